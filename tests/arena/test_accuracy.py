"""Accuracy against ground truth: the shipped positions, the measure, and what is printed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

import agents
import games
from agents.core import SearchResult
from arena import accuracy
from games import ILLEGAL_SCORE, solved
from games.connect_four_solver import Solver

RNG_SEED = 3


class Scripted:
    """Plays the best or the worst move by the scores of the positions, and calls every one of them a draw."""

    name = "scripted"

    def __init__(self, positions: solved.SolvedPositions, *, worst: bool = False) -> None:
        self._game = games.make(positions.game)
        shown = np.where(positions.scores == ILLEGAL_SCORE, 10**6, positions.scores) if worst else -positions.scores
        self._answers = dict(zip(self._game.hash(positions.states), np.argmin(shown, axis=1), strict=True))

    def act(self, states: np.ndarray, rng: np.random.Generator, slots: np.ndarray | None = None) -> SearchResult:
        action = np.array([self._answers[key] for key in self._game.hash(states)], np.int64)
        zeros = np.zeros((len(states), 7), np.float32)
        return SearchResult(action, zeros, zeros[:, 0], zeros.astype(np.int32))

    def reset(self) -> None:
        pass


@pytest.fixture(scope="module")
def connect_four() -> solved.SolvedPositions:
    return solved.load("connect_four")


@pytest.mark.parametrize("name", ["connect_four", "tic_tac_toe"])
def test_positions_are_legal_and_in_classes(name: str) -> None:
    game, positions = games.make(name), solved.load(name)
    assert not positions.states["terminated"].any()
    np.testing.assert_array_equal(positions.scores != ILLEGAL_SCORE, game.legal_action_mask(positions.states))
    assert set(positions.class_index.tolist()) == set(range(len(positions.class_names)))
    assert len(np.unique(game.hash(positions.states))) == len(positions.states)
    for state in positions.states[:: max(1, len(positions.states) // 100)]:
        again = game.parse_state(game.state_to_string(state))
        assert game.hash(again)[0] == game.hash(state[None])[0]


def test_connect_four_classes_mean_what_they_say(connect_four: solved.SolvedPositions) -> None:
    ply = connect_four.states["ply"].astype(int)
    best = connect_four.scores.max(axis=1)
    # The winner's last stone is the one after which 21 - (score - 1) of its own have been played.
    mover_stones, other_stones = ply // 2, (ply + 1) // 2
    won, lost = 22 - best - mover_stones, 22 + best - other_stones
    remaining = np.where(best > 0, 2 * won - 1, np.where(best < 0, 2 * lost, 42 - ply))
    labels = [connect_four.class_names[index] for index in connect_four.class_index]
    stages = np.select([ply <= 14, ply <= 28], ["begin", "middle"], "end")
    difficulties = np.select([remaining < 14, remaining <= 28], ["easy", "medium"], "hard")
    assert labels == [f"{stage}-{difficulty}" for stage, difficulty in zip(stages, difficulties, strict=True)]


def test_shipped_scores_agree_with_the_solver(connect_four: solved.SolvedPositions) -> None:
    rows = np.flatnonzero(connect_four.states["ply"] >= 16)[::10]
    np.testing.assert_array_equal(Solver(16).solve(connect_four.states[rows]), connect_four.scores[rows])


def test_tic_tac_toe_has_every_position() -> None:
    positions = solved.load("tic_tac_toe")
    assert len(positions.states) == 4520  # of the 5478 reachable ones, those that are not over
    assert positions.scores[0].tolist() == [0] * 9


def test_games_without_solved_positions_are_refused() -> None:
    with pytest.raises(games.UnknownNameError, match="tic_tac_to"):
        solved.load("tic_tac_to")


def test_perfect_and_worst_play(connect_four: solved.SolvedPositions) -> None:
    game, rng = games.make("connect_four"), np.random.default_rng(RNG_SEED)
    perfect = accuracy.measure(game, Scripted(connect_four), connect_four, rng, batch_size=100)
    assert perfect.mean.outcome_kept.share == perfect.mean.best_move.share == 1.0
    assert perfect.mean.outcome_kept.standard_error == 0.0
    assert [row.name for row in perfect.classes] == list(connect_four.class_names)
    drawn = (connect_four.scores.max(axis=1) == 0).mean()
    assert sum(row.value.share * row.value.count for row in perfect.classes) == pytest.approx(
        drawn * len(connect_four.states)
    )
    assert perfect.mean.outcome_kept.count == len(connect_four.states)
    worst = accuracy.measure(game, Scripted(connect_four, worst=True), connect_four, rng)
    assert worst.mean.outcome_kept.share < 0.8
    assert worst.mean.best_move.share < 0.5


def test_figures_by_hand() -> None:
    scores = np.array([[5, 1, -3], [0, -2, ILLEGAL_SCORE], [-7, -1, -7]], np.int32)
    found = accuracy.judge_moves(scores, np.array([1, 0, 0]), np.array([0.9, 0.1, 0.4], np.float32))
    assert found.tolist() == [[True, False, True], [True, True, True], [True, False, False]]


def test_the_solver_is_perfect_and_random_is_not() -> None:
    game = games.make("tic_tac_toe")
    positions, rng = solved.load("tic_tac_toe"), np.random.default_rng(RNG_SEED)
    table = accuracy.measure(game, agents.make("solver", game), positions, rng, limit=50)
    for share in (table.mean.outcome_kept, table.mean.best_move, table.mean.value):
        assert share.share == 1.0
    assert max(row.best_move.count for row in table.classes) == 50
    keeps, best = accuracy.measure_accuracy(game, agents.make("random", game), None, rng)
    assert 0.3 < best <= keeps < 0.9


def test_measuring_is_repeatable() -> None:
    tables = [
        accuracy.run("tic_tac_toe", "random", seed=5, limit=20, console=Console(file=io.StringIO())) for _ in "ab"
    ]
    assert tables[0] == tables[1]


def test_what_is_printed() -> None:
    out = io.StringIO()
    accuracy.run("connect_four", "random", limit=10, console=Console(file=out, width=100))
    text = out.getvalue()
    assert "random in connect_four" in text
    assert "mean of classes" in text
    assert all(name in text for name in solved.CONNECT_FOUR_CLASSES)


def test_wrong_arguments(connect_four: solved.SolvedPositions) -> None:
    game, rng = games.make("tic_tac_toe"), np.random.default_rng(RNG_SEED)
    agent = agents.make("random", game)
    with pytest.raises(games.ArenaError, match="positions of connect_four"):
        accuracy.measure(game, agent, connect_four, rng)
    with pytest.raises(games.ArenaError, match="1 or more, not 0"):
        accuracy.measure(game, agent, solved.load("tic_tac_toe"), rng, limit=0)
    with pytest.raises(games.ArenaError, match="batch size must be 1 or more, not -1"):
        accuracy.measure(game, agent, solved.load("tic_tac_toe"), rng, batch_size=-1)
