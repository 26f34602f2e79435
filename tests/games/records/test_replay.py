"""Replaying: single games, thousands side by side, and the script that counts."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

import games
from games import ArenaError
from games.records import GameRecord, RecordError, replay, replay_all, write
from scripts import replay_records
from scripts.replay_records import Options, run


def random_records(name: str, count: int, seed: int = 0) -> list[GameRecord]:
    game, rng, found = games.make(name), np.random.default_rng(seed), []
    for number in range(count):
        states, actions = game.init(1), []
        while not states["terminated"][0]:
            actions.append(int(rng.choice(np.flatnonzero(game.legal_action_mask(states)[0]))))
            game.step(states, actions[-1:])
        found.append(GameRecord(name, np.array(actions), returns=game.returns(states)[0], number=number))
    return found


def test_one_game_ply_by_ply() -> None:
    game, (record,) = games.make("othello"), random_records("othello", 1)
    states = replay(record)
    assert len(states) == len(record.moves) + 1
    assert states[:1].tobytes() == game.init(1).tobytes()
    current = game.init(1)
    for ply, action in enumerate(record.moves):
        game.step(current, [action])
        assert states[ply + 1 : ply + 2].tobytes() == current.tobytes()
    with pytest.raises(RecordError, match=r"x\.pgn, game 7, ply 1: connect_four, ply 1: action 7 is illegal"):
        replay(GameRecord("connect_four", np.array([0, 7]), source="x.pgn", number=7))
    with pytest.raises(RecordError, match="not a position"):
        replay(GameRecord("connect_four", np.array([0]), start="nonsense"))


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_many_games_agree_with_one(batch_size) -> None:
    mixed = random_records("othello", 20) + random_records("connect_four", 30) + random_records("tic_tac_toe", 10)
    order = np.random.default_rng(0).permutation(len(mixed))
    found = list(replay_all((mixed[i] for i in order), batch_size))
    assert sorted((r.record.game, r.record.number) for r in found) == sorted((r.game, r.number) for r in mixed)
    for item in found:
        assert item.states.tobytes() == replay(item.record)[-1:].tobytes()
        assert (item.plies, item.problem, item.over, item.agrees) == (len(item.record.moves), "", True, True)


def test_trouble_is_named_and_stops_its_own_game_only() -> None:
    good = random_records("connect_four", 1)[0]
    cases = [
        good,
        GameRecord("connect_four", good.moves, returns=-good.returns if good.returns is not None else None),
        GameRecord("connect_four", good.moves[:-1], returns=good.returns),
        GameRecord("connect_four", good.moves),
        GameRecord("connect_four", np.array([3, 99, 3])),
        GameRecord("connect_four", np.array([-1])),
        GameRecord("connect_four", np.append(good.moves, [0, 0])),
        GameRecord("connect_four", np.array([3]), start="bad"),
        GameRecord("connect_four", np.array([], np.int32)),
    ]
    found = {id(item.record): item for item in replay_all(cases)}
    items = [found[id(record)] for record in cases]
    assert [item.agrees for item in items] == [True, False, None, None, None, None, None, None, None]
    assert [item.over for item in items[:4]] == [True, True, False, True]
    assert [item.plies for item in items[4:]] == [1, 0, len(good.moves), 0, 0]
    assert "ply 1: action 99 is illegal" in items[4].problem
    assert "The position is 6/" in items[4].problem or "The position is 7/" in items[4].problem
    assert "the game is over" in items[6].problem
    assert "not a position" in items[7].problem
    assert items[8].problem == ""


def test_no_more_than_some_batches_wait() -> None:
    """Of many games in turn, some records come out long before the last has gone in."""
    names = ["connect_four", "tic_tac_toe", "othello", *(f"hex_{n}x{n}" for n in range(5, 12))]
    taken = 0

    def records():
        nonlocal taken
        for number in range(2000):
            taken += 1
            yield GameRecord(names[number % len(names)], np.array([0] if number % 10 != 2 else [19]))

    first = next(iter(replay_all(records(), batch_size=16)))
    assert taken <= 10 * 16
    assert first.problem == ""


@pytest.fixture
def printed(monkeypatch) -> io.StringIO:
    out = io.StringIO()
    monkeypatch.setattr(replay_records, "Console", lambda: Console(file=out, width=200))
    return out


def test_the_script_counts(tmp_path, printed) -> None:
    good = random_records("connect_four", 3)
    wrong = GameRecord("connect_four", good[0].moves, returns=-good[0].returns)  # type: ignore[operator]
    write(tmp_path / "a.moves", [*good, wrong])
    (tmp_path / "b.sgf").write_text("(;FF[4]SZ[9];B[aa];W[aa])\n(;FF[4]SZ[9];B[bb])")
    (tmp_path / "c.pgn").write_text("1. e4 e5 2. e5 *")
    assert run(Options((tmp_path,))) == 2  # one is illegal, one cannot be read
    text = printed.getvalue()
    assert "a.moves, game 4: the record says" in text
    assert "b.sgf, game 1, ply 1: go_9x9:ko=simple, ply 1: point A9 is taken." in text
    assert "c.pgn, game 1, ply 2" in text
    row = next(line for line in text.splitlines() if "connect_four " in line)
    plies = sum(len(record.moves) for record in [*good, wrong])
    assert [cell.strip() for cell in row.split("│")[2:-1]] == ["4", str(plies), "0", "4", "3", "1", "0"]
    assert "1 games could not be read" in text


def test_the_script_says_what_it_wants(tmp_path) -> None:
    for options, what in (
        (Options(()), "Give at least one file"),
        (Options((tmp_path,)), "holds no file that ends in"),
        (Options((tmp_path / "a.pgn",)), "there is no such file"),
        (Options((tmp_path / "a.pgn",), rules=("ko",)), "'ko' is not an option of a game"),
    ):
        with pytest.raises(ArenaError, match=what):
            run(options)
