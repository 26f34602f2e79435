"""The arena's own move list."""

from __future__ import annotations

import io

import numpy as np
import pytest

import games
from games import ArenaError, EndReason
from games.records import GameRecord, RecordError
from games.records.movelist import dumps, loads, parse


def test_the_example_of_the_docstring() -> None:
    text = "# game\n\nconnect_four | 1-0 | 4 4 4 4 4 2 3 3 5 2 6\r\n\nhex_11x11:swap=true | 0-1 | c2 swap f6"
    first, second = parse(io.BytesIO(b"\xef\xbb\xbf" + text.encode()), "x.moves")
    assert isinstance(first, GameRecord)
    assert isinstance(second, GameRecord)
    assert first.moves.tolist() == [3, 3, 3, 3, 3, 1, 2, 2, 4, 1, 5]
    assert first.end is EndReason.WIN
    assert second.game == "hex_11x11:swap=true"
    assert second.number == 2


@pytest.mark.parametrize("name", [*(names[0] for names in games.families().values()), "hex_5x5:swap=true"])
def test_every_game_comes_back(name) -> None:
    game, rng = games.make(name), np.random.default_rng(3)
    states = game.init(1)
    game.step(states, [int(np.flatnonzero(game.legal_action_mask(states)[0])[0])])
    start, actions = game.state_to_string(states[0]), []
    states = game.parse_state(start)
    while not states["terminated"][0] and len(actions) < 60:
        actions.append(int(rng.choice(np.flatnonzero(game.legal_action_mask(states)[0]))))
        game.step(states, actions[-1:])
    seats = game.spec.num_players
    record = GameRecord(
        game=game.spec.name,
        moves=np.array(actions),
        start=start,
        returns=rng.uniform(-1, 1, seats),
        end=EndReason.TRUNCATED,
        end_text="| stopped |",
        players=("Zoë", "Bob")[:seats],
        tags={"a | b": '"\n'},
        comments=tuple(f"{ply} |\n" if ply % 2 else "" for ply in range(len(actions) + 1)),
        evaluations=np.where(np.arange(len(actions)) % 2, np.nan, rng.uniform(-1, 1, len(actions))),
    )
    line = dumps(record)
    assert "\n" not in line
    assert loads(line) == record
    bare = GameRecord(game.spec.name, np.array(actions), start=start, returns=np.ones(seats), players=("",) * seats)
    assert loads(dumps(bare)) == bare  # the end is not known, although the result is


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("connect_four", "is no game; a line is"),
        ("conect_four | * | 4", "did you mean 'connect_four'"),
        ("connect_four:big=true | * | 4", "connect_four has no options"),
        ("hex_5x5:swap=perhaps | * | a1", "must be true or false"),
        ("connect_four | 2-0 | 4", "'2-0' is not a result"),
        ("connect_four | 0.5 | 4", "'0.5' is not a result"),
        ("connect_four | nan,nan | 4", "is not a result"),
        ("connect_four | * | 4 9", "ply 1: '9' is not a move"),
        ("connect_four | * | 4 | {", "is not JSON"),
        ("connect_four | * | 4 | []", "is not a JSON object"),
        ("connect_four | * | 4 | " + "[" * 100_000, "is not JSON"),
        ('connect_four | * | 4 | {"tag": {}}', "did you mean 'tags'"),
        ('connect_four | * | 4 | {"tags": []}', "the field tags is []; give an object of texts"),
        ('connect_four | * | 4 | {"end": "boredom"}', 'the field end is "boredom"; give ongoing, win'),
        ('connect_four | * | 4 | {"comments": ["a"]}', "1 moves take 2 comments, or none, not 1"),
        ('connect_four | * | 4 | {"evaluations": [2]}', "give a list of numbers from -1 to 1"),
        ('connect_four | * | 4 | {"players": ["a"]}', "there are 1 players, but connect_four has 2"),
        ('connect_four | * | 4 | {"start": "7"}', "is not a position of connect_four"),
    ],
)
def test_what_is_broken(line, what) -> None:
    (error,) = parse(io.BytesIO(line.encode()), "x.moves")
    assert isinstance(error, RecordError)
    assert what in str(error)
    assert str(error).startswith("x.moves, game 1")
    with pytest.raises(ArenaError):
        loads(line)


def test_other_bytes_than_utf_8() -> None:
    (error,) = parse(io.BytesIO(b"connect_four | * | \xff"), "x.moves")
    assert isinstance(error, RecordError)
    assert "UTF-8" in str(error)
