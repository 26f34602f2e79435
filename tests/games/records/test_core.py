"""Records themselves: fields, equality, results and games by text."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from games import ArenaError, EndReason
from games.records import GameRecord, RecordError, game_of, game_text, result_text
from games.records.core import end_of, parse_result


def test_fields_are_checked_and_made_what_they_should_be() -> None:
    record = GameRecord("othello", [37, 43], returns=[1, -1], evaluations=[0.5, np.nan])  # type: ignore[arg-type]
    assert record.moves.dtype == np.int32
    assert record.returns is not None
    assert record.returns.dtype == record.evaluations.dtype == np.float32  # type: ignore[union-attr]
    for wrong, what in (
        ({"moves": np.zeros((2, 2))}, "give a line of actions"),
        ({"comments": ("a",)}, "2 moves take 3 comments, or none, not 1"),
        ({"evaluations": np.zeros(3)}, "2 moves take 2 evaluations"),
    ):
        with pytest.raises(RecordError, match=what):
            dataclasses.replace(record, **wrong)


def test_equality_leaves_out_where_it_was_read() -> None:
    def make(**more) -> GameRecord:
        return dataclasses.replace(GameRecord("othello", np.array([37]), evaluations=np.array([np.nan])), **more)

    assert make() == make(source="a", number=3)
    for more in (
        {"moves": np.array([29])},
        {"evaluations": None},
        {"returns": np.zeros(2)},
        {"tags": {"a": "b"}},
        {"end": EndReason.DRAW},
        {"comments": ("", "x")},
    ):
        assert make() != make(**more)
    assert make() != "something else"
    with pytest.raises(TypeError):
        hash(make())


def test_errors_name_the_place() -> None:
    error = RecordError("it broke", source="a.pgn", number=3, ply=7)
    assert str(error) == "a.pgn, game 3, ply 7: it broke."
    assert str(RecordError("it broke.")) == "it broke."
    assert str(RecordError("it broke", ply=0)) == "ply 0: it broke."


@pytest.mark.parametrize("text", ["1-0", "0-1", "1/2-1/2", "*", "0.25,-1.0"])
def test_results_come_back(text) -> None:
    assert result_text(parse_result(text)) == text


def test_results_of_one_player() -> None:
    returns = parse_result("0.5", 1)
    assert returns is not None
    assert returns.tolist() == [0.5]
    with pytest.raises(RecordError, match="'1-0' is not a result"):
        parse_result("1-0", 1)


def test_ends() -> None:
    assert [end_of(parse_result(text)) for text in ("0-1", "1/2-1/2", "*")] == [EndReason.WIN, EndReason.DRAW, None]


def test_games_by_text() -> None:
    assert game_text("hex_5x5", swap=True) == "hex_5x5:swap=true"
    assert game_text("hex_5x5:swap=true", swap=False) == "hex_5x5"
    assert game_text("go_9x9:komi=3.5", ko="simple") == "go_9x9:komi=3.5,ko=simple"
    assert game_of("hex_5x5:swap=true") is game_of("hex_5x5:swap=true")
    for text in ("hex_5x5:swop=true", "go_9x9:komi=inf", "go_9x9:komi=1e400", "go_9x9:history=999999999999", "nothing"):
        with pytest.raises(ArenaError):
            game_of(text)
