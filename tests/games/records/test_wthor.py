"""WTHOR: hand-made files, passes, names, and what is broken."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import games
from games.records import GameRecord, RecordError, read, replay, write
from games.records.wthor import HEADER, RECORD, black_score, parse, read_names, with_passes


def random_game(rng: np.random.Generator) -> list[int]:
    game, actions = games.make("othello"), []
    states = game.init(1)
    while not states["terminated"][0]:
        actions.append(int(rng.choice(np.flatnonzero(game.legal_action_mask(states)[0]))))
        game.step(states, actions[-1:])
    return actions


def as_bytes(*games_: list[int], score: int = 40, announced: int | None = None, **header: int) -> bytes:
    """A file whose games have these moves."""
    head, rows = np.zeros((), HEADER), np.zeros(len(games_), RECORD)
    head["games"], head["played_in"], head["board"] = len(games_) if announced is None else announced, 1999, 8
    for name, value in header.items():
        head[name] = value
    for row, moves in zip(rows, games_, strict=True):
        row["moves"][: len(moves)] = moves
        row["score"], row["black"], row["white"] = score, 1, 2
    return head.tobytes() + rows.tobytes()


def records(data: bytes) -> list[Any]:
    return list(parse(io.BytesIO(data), "x.wtb"))


def as_moves(actions: list[int]) -> list[int]:
    return [10 * (action // 8) + action % 8 + 11 for action in actions if action != 64]


def test_the_layout_is_that_of_the_specification() -> None:
    assert (HEADER.itemsize, RECORD.itemsize) == (16, 68)
    data = bytes([20, 1, 2, 3, 1, 0, 0, 0, 0, 0, 0xCF, 7, 8, 0, 22, 0])  # 2001-02-03, one game, 1999, 8 × 8, depth 22
    data += bytes([5, 0, 1, 0, 2, 1, 33, 30, 56, 46]) + bytes(58)
    (record,) = records(data)
    assert isinstance(record, GameRecord)
    assert record.moves.tolist() == [37, 29]  # f5 f4
    assert record.players == ("player 1", "player 258")
    assert record.tags == {
        "Event": "tournament 5",
        "Date": "1999",
        "BlackDiscs": "33",
        "TheoreticalScore": "30",
        "Depth": "22",
    }
    assert record.returns is not None
    assert record.returns.tolist() == [1, -1]
    assert record.end is None  # it breaks off


def test_passes_are_put_in() -> None:
    rng = np.random.default_rng(0)
    games_ = [random_game(rng) for _ in range(200)]
    assert sum(64 in actions for actions in games_) > 20
    found = records(as_bytes(*map(as_moves, games_)))
    assert [record.moves.tolist() for record in found if isinstance(record, GameRecord)] == games_
    played = with_passes(np.array([[*as_moves(actions), *[0] * (60 - len(as_moves(actions)))] for actions in games_]))
    assert played.over.all()
    assert not played.problems


def test_the_winner_is_given_the_empty_squares() -> None:
    game = games.make("othello")
    states = game.init(1)
    for move in ["e6", "f4", "e3", "f6", "g5", "d6", "e7", "f5", "c5"]:
        game.step(states, [game.parse_action(states[0], move)])
    assert black_score(states[0]) == 64
    assert black_score(game.init(1)[0]) == 32


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "it is too short to be a file of WTHOR"),
        (as_bytes(board=10), "it holds games on a board of 10"),
        (as_bytes(solitaires=1), "it holds solitaires"),
        (as_bytes([56], announced=3), "it is cut off: 3 games are announced, 1 are there"),
        (as_bytes([56])[:-1], "it is cut off"),
        (as_bytes([11]), "game 1, ply 0: a1 is illegal because no disc would turn over"),
        (as_bytes([56, 56]), "game 1, ply 1: f5 is illegal"),
        (as_bytes([56, 99]), "game 1, ply 1: move 99 is not a square"),
        (as_bytes([56, 0, 46]), "game 1, ply 0: moves stand after the last"),
        (
            as_bytes([*as_moves([44, 29, 20, 45, 38, 43, 52, 37, 34]), 11]),
            "ply 9: a1 is illegal because the game is over",
        ),
    ],
)
def test_what_is_broken(data, what) -> None:
    *_, error = records(data)
    assert isinstance(error, RecordError)
    assert what in str(error)
    assert str(error).startswith("x.wtb")


def test_a_broken_game_costs_no_other() -> None:
    found = records(as_bytes([56, 46], [11], [56, 66]))
    assert [isinstance(item, GameRecord) for item in found] == [True, False, True]
    assert [item.number for item in found] == [1, 2, 3]


def test_files_and_names_come_back(tmp_path) -> None:
    rng, path = np.random.default_rng(1), tmp_path / "WTH_1999.wtb"
    made = []
    for number in range(5):
        actions = random_game(rng)
        score = black_score(replay(GameRecord("othello", np.array(actions)))[-1])
        made.append(
            GameRecord(
                "othello",
                np.array(actions),
                returns=np.array([1, -1]) * np.sign(score - 32),
                end=games.EndReason.WIN if score != 32 else games.EndReason.DRAW,
                players=(f"Ann {number % 2}", "Zoë"),
                tags={
                    "Event": "Cup",
                    "Date": "1999",
                    "BlackDiscs": str(score),
                    "TheoreticalScore": "33",
                    "Depth": "22",
                },
            )
        )
    assert write(path, iter(made)) == 5
    assert list(read(path)) == made
    assert read_names(tmp_path / "WTHOR.JOU") == ["Ann 0", "Zoë", "Ann 1"]
    # A second file adds its names and leaves the numbers of the others alone.
    more = GameRecord("othello", made[0].moves, returns=made[0].returns, players=("Zoë", "New"), tags={"Event": "Open"})
    write(tmp_path / "WTH_2000.wtb", [more])
    assert read_names(tmp_path / "WTHOR.JOU") == ["Ann 0", "Zoë", "Ann 1", "New"]
    assert list(read(path)) == made
    assert next(read(tmp_path / "WTH_2000.wtb")).players == ("Zoë", "New")


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (GameRecord("connect_four", np.array([0])), "games of Othello from their start"),
        (GameRecord("othello", np.array([0])), "action 0 is illegal"),
        (GameRecord("othello", np.array([37])), "its result is \\*"),
        (GameRecord("othello", np.array([37]), returns=np.array([-1, 1])), "discs of black do not say"),
        (
            GameRecord("othello", np.array([37]), returns=np.array([1, -1]), tags={"Date": "May"}),
            "the tag Date is 'May'",
        ),
    ],
)
def test_what_cannot_be_written(tmp_path, record, what) -> None:
    with pytest.raises(RecordError, match=what):
        write(tmp_path / "a.wtb", [record])
    assert not list(tmp_path.iterdir())
