"""Ratings against an independent computation, against simulation, and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from arena import ratings
from arena.ratings import rate, tally
from games import ArenaError

NAMES = ("a", "b", "c", "d")
STRENGTH = np.array([0.0, 60.0, 200.0, -150.0])


def simulate(rng: np.random.Generator, games: int, elo: np.ndarray = STRENGTH) -> tuple[np.ndarray, np.ndarray]:
    """Decisive games between every pair, drawn from the model."""
    count = len(elo)
    scores = np.zeros((count, count))
    for i in range(count):
        for j in range(i):
            wins = rng.binomial(games, 1 / (1 + 10 ** ((elo[j] - elo[i]) / 400)))
            scores[i, j], scores[j, i] = wins, games - wins
    return scores, scores + scores.T


def evenly(games: int) -> np.ndarray:
    """That many games between two players."""
    return np.array([[0, games], [games, 0]])


def minorise_maximise(scores: np.ndarray) -> np.ndarray:
    """Bradley–Terry by Hunter's (2004) MM iteration, without a prior: Elo with mean 0."""
    games = scores + scores.T
    gamma = np.ones(len(scores))
    for _ in range(20_000):
        gamma = scores.sum(axis=1) / (games / (gamma[:, None] + gamma[None, :])).sum(axis=1)
        gamma /= np.exp(np.log(gamma).mean())
    return 400 * np.log10(gamma)


def test_agrees_with_an_independent_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, games = simulate(np.random.default_rng(0), 100)
    scores[0, 1] += 3.5  # draws count as halves, and pairs may play different numbers of games
    scores[1, 0] += 0.5
    games[0, 1] = games[1, 0] = 104
    expected = minorise_maximise(scores)
    assert np.abs(rate(NAMES, scores, games).elo - expected).max() < 1.5  # what the weak prior moves
    monkeypatch.setattr(ratings, "PRIOR_ELO", 1e7)
    np.testing.assert_allclose(rate(NAMES, scores, games).elo, expected, atol=1e-3)


def test_the_prior_is_as_weak_as_stated() -> None:
    table = rate("ab", np.array([[0, 65], [35, 0]]), evenly(100))
    assert abs(table.difference("a", "b")[0] - 400 * math.log10(65 / 35)) < 1.0


def test_the_interval_of_two_players_is_the_binomial_one() -> None:
    table = rate("ab", np.array([[0, 520], [480, 0]]), evenly(1000), anchor="b")
    deviation = 400 / math.log(10) / math.sqrt(1000 * 0.52 * 0.48)
    assert table.interval[0] == pytest.approx(1.96 * deviation, rel=0.01)
    assert table.interval[1] == pytest.approx(0.0, abs=1e-6)
    z = table.elo[0] / deviation
    assert table.superiority[0, 1] == pytest.approx(0.5 * (1 + math.erf(z / math.sqrt(2))), abs=0.01)


def test_intervals_cover_the_truth_95_percent_of_the_time() -> None:
    """1,000 tournaments; each coverage has a standard error of 0.7 %: one of eight 3 % off has p = 1e-4."""
    rng = np.random.default_rng(1)
    mean_zero, anchored, pairwise = [], [], []
    for _ in range(1000):
        scores, games = simulate(rng, 60)
        table = rate(NAMES, scores, games)
        mean_zero.append(np.abs(table.elo - (STRENGTH - STRENGTH.mean())) < table.interval)
        fixed = rate(NAMES, scores, games, anchor="b")
        anchored.append(np.abs(fixed.elo - (STRENGTH - STRENGTH[1])) <= fixed.interval)
        gap, interval = table.difference("c", "d")
        pairwise.append(abs(gap - 350) < interval)
    assert np.abs(np.mean(mean_zero, axis=0) - 0.95).max() < 0.03
    assert np.abs(np.mean(anchored, axis=0)[[0, 2, 3]] - 0.95).max() < 0.03
    assert abs(np.mean(pairwise) - 0.95) < 0.03


def test_superiority_is_calibrated_when_strengths_are_equal() -> None:
    """Of equal players each is called 95 % superior in one tournament of twenty: 1,000 have a deviation of 0.7 %."""
    rng = np.random.default_rng(2)
    called = [rate(NAMES, *simulate(rng, 50, np.zeros(4))).superiority[0, 1] > 0.95 for _ in range(1000)]
    assert abs(np.mean(called) - 0.05) < 0.03


def test_superiority_is_antisymmetric_and_anchors_do_not_matter() -> None:
    scores, games = simulate(np.random.default_rng(3), 30)
    free, anchored = rate(NAMES, scores, games), rate(NAMES, scores, games, anchor="d")
    np.testing.assert_allclose(free.superiority + free.superiority.T, 1.0)
    np.testing.assert_allclose(free.superiority, anchored.superiority, atol=1e-9)
    np.testing.assert_allclose(free.elo - free.elo[3], anchored.elo, atol=1e-9)
    assert free.elo.mean() == pytest.approx(0.0, abs=1e-9)
    assert free.difference("a", "c") == pytest.approx(anchored.difference("a", "c"))


def test_whoever_won_every_game_has_a_finite_rating() -> None:
    table = rate("ab", np.array([[0, 1000], [0, 0]]), evenly(1000))
    gap, interval = table.difference("a", "b")
    assert 800 < gap < 4000
    assert interval > 200


def test_nobody_played() -> None:
    table = rate("ab", np.zeros((2, 2)), np.zeros((2, 2)))
    assert table.elo.tolist() == [0, 0]
    assert table.superiority[0, 1] == pytest.approx(0.5)


def test_players_without_a_chain_of_games_are_warned_of() -> None:
    chain = [("a", "b", 1.0), ("c", "b", 0.5), ("d", "c", 0.0)]
    assert rate(NAMES, *tally(NAMES, chain)).warning == ""
    split = rate(NAMES, *tally(NAMES, [("a", "c", 1.0), ("b", "d", 0.5)]))
    assert split.warning == "No games link {a, c} and {b, d}, so ratings cannot be compared between these groups."


def test_tally_counts_both_sides() -> None:
    scores, games = tally("ab", [("a", "b", 1.0), ("b", "a", 1.0), ("a", "b", 0.5)])
    assert scores.tolist() == [[0, 1.5], [1.5, 0]]
    assert games.tolist() == [[0, 3], [3, 0]]


@pytest.mark.parametrize(
    ("names", "scores", "games", "anchor"),
    [
        ((), np.zeros((0, 0)), np.zeros((0, 0)), None),
        ("aa", np.zeros((2, 2)), np.zeros((2, 2)), None),
        ("ab", np.zeros((2, 2)), np.zeros((2, 2)), "c"),
        ("ab", np.zeros((3, 3)), np.zeros((2, 2)), None),
        ("ab", [[0, 2], [0, 0]], [[0, 1], [1, 0]], None),
        ("ab", [[0, -1], [2, 0]], [[0, 1], [1, 0]], None),
        ("ab", [[0, np.nan], [1, 0]], [[0, 1], [1, 0]], None),
        ("ab", [[1, 0], [0, 0]], [[2, 0], [0, 0]], None),
    ],
)
def test_tables_that_are_no_results_are_refused(names, scores, games, anchor) -> None:
    with pytest.raises(ArenaError):
        rate(names, scores, games, anchor=anchor)
