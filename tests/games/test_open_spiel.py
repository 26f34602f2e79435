"""Our rules against OpenSpiel's: the legal moves at every ply, the ends and the results of random games."""

from __future__ import annotations

import numpy as np
import pytest

from games import ArenaError
from scripts.beside_open_spiel import GAMES, Beside, Options, run

pytest.importorskip("pyspiel")

COUNTS = {
    "tic_tac_toe": 3000,
    "connect_four": 3000,
    "othello": 600,
    "gomoku_9x9": 100,
    "gomoku_15x15": 10,
    "hex_5x5": 1000,
    "hex_7x7:swap=true": 200,
    "hex_11x11": 60,
    "hex_19x19": 2,
    "go_5x5": 1000,
    "go_9x9": 60,
    "go_13x13": 4,
    "go_19x19": 2,
    "chess": 8,
    "shogi": 24,
}


@pytest.mark.parametrize("name", GAMES)
def test_random_games(name: str) -> None:
    found = Beside(name).play(COUNTS[name], np.random.default_rng(17))
    assert not found.differences
    assert found.counts["differences"] == 0
    assert (
        found.counts["games"]
        == COUNTS[name]
        == found.counts["over for both"] + sum(times for what, times in found.alone.items() if what != "superko")
    )
    assert found.counts["over for both"] > COUNTS[name] // 4


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        ("hex_7x7:swap=true", "hex(board_size=7)", "legal here"),
        ("tic_tac_toe", "mnk(m=3,n=3,k=2)", "over there only"),
        ("hex_5x5", "y(board_size=5)", "legal here"),
    ],
)
def test_other_rules_are_noticed(ours: str, theirs: str, says: str) -> None:
    found = Beside(ours, theirs).play(20, np.random.default_rng(1))
    assert found.counts["differences"] > 10
    assert says in found.differences[0]


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert sum(GAMES.values()) == 100_000
    assert run(Options(("tic_tac_toe", "go_5x5"), games=5)) == 0
    out = capsys.readouterr().out
    assert "10 games" in out
    assert "repeats a position" in out
    with pytest.raises(ArenaError, match="two_zero"):
        run(Options(("two_zero",)))
