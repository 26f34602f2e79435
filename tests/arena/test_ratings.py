"""Ratings against choix, against simulation, against themselves, and at the edges."""

from __future__ import annotations

import math

import choix
import numpy as np
import pytest

from arena.ratings import ELO_PER_NAT, RatingError, RatingTable, rate, tally
from scripts.rating_coverage import coverage, simulate

NAMES = ("a", "b", "c", "d")
STRENGTH = np.array([0.0, 60.0, 200.0, -150.0])


def decisive(seed: int, games: int, elo: np.ndarray = STRENGTH) -> np.ndarray:
    """Counts of games without draws and without an advantage."""
    return simulate(np.random.default_rng(seed), elo, games, draws=0.0, advantage=0.0)


def two_players(wins: float, draws: float, losses: float) -> np.ndarray:
    """Counts of games in which the first of two players always moved first."""
    counts = np.zeros((2, 2, 3))
    counts[0, 1] = wins, draws, losses
    return counts


def comparisons(counts: np.ndarray) -> list[tuple[int, int]]:
    """What choix takes: (winner, loser) of every game."""
    pairs = []
    for i, j in np.ndindex(*counts.shape[:2]):
        pairs += [(i, j)] * int(counts[i, j, 0]) + [(j, i)] * int(counts[i, j, 2])
    return pairs


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_choix_without_a_prior(seed: int) -> None:
    counts = decisive(seed, 20)
    theirs = choix.opt_pairwise(4, comparisons(counts), method="Newton-CG", tol=1e-12)
    also_theirs = choix.ilsr_pairwise(4, comparisons(counts), tol=1e-12)
    ours = rate(NAMES, counts, seats=False, prior=math.inf).elo / ELO_PER_NAT
    np.testing.assert_allclose(ours, theirs - theirs.mean(), atol=1e-6)
    np.testing.assert_allclose(ours, also_theirs - also_theirs.mean(), atol=1e-6)


@pytest.mark.parametrize("prior", [50.0, 1000.0])
def test_agrees_with_choix_under_the_same_prior(prior: float) -> None:
    counts = decisive(1, 5)
    counts[0] = 0  # the first player lost every game it played
    counts[1:, 0, 2] = 0
    theirs = choix.opt_pairwise(
        4, comparisons(counts), alpha=0.5 * (ELO_PER_NAT / prior) ** 2, method="Newton-CG", tol=1e-12
    )
    ours = rate(NAMES, counts, seats=False, prior=prior).elo / ELO_PER_NAT
    np.testing.assert_allclose(ours, theirs - theirs.mean(), atol=1e-6)


def log_likelihood(table: RatingTable, elo: np.ndarray, advantage: float, draw_share: float) -> float:
    """Of the model as the docstring of arena.ratings writes it."""
    v = 2 * draw_share / (1 - draw_share)
    total = 0.0
    for i, j in np.ndindex(*table.counts.shape[:2]):
        u = (2 + v) / 4 * (elo[i] - elo[j] + advantage) * math.log(10) / 400
        weights = np.array([math.exp(u), v, math.exp(-u)])
        total += float(table.counts[i, j] @ np.log(weights / weights.sum()))
    return total


def test_no_other_ratings_are_likelier() -> None:
    counts = simulate(np.random.default_rng(2), STRENGTH, 30, draws=0.8, advantage=40.0)
    table = rate(NAMES, counts)
    best = log_likelihood(table, table.elo, table.advantage, table.draw_share)
    rng = np.random.default_rng(3)
    for _ in range(300):
        near = table.elo + rng.normal(0, 30, 4)
        advantage, draws = table.advantage + rng.normal(0, 30), table.draw_share * math.exp(rng.normal(0, 0.2))
        assert log_likelihood(table, near, advantage, draws) < best + 0.05  # the weak prior moves it a little


def test_a_draw_is_half_a_win_and_half_a_loss() -> None:
    some, other = two_players(6, 8, 4), two_players(8, 4, 6)
    assert rate("ab", some, seats=False).difference("a", "b")[0] > 0
    assert [np.sign(rate("ab", counts, seats=False).elo[0]) for counts in (some, other)] == [1, 1]
    counts = np.zeros((4, 4, 3))
    counts[0, 1] = counts[2, 3] = 3, 4, 1  # 5 of 8 points …
    counts[1, 2] = counts[3, 0] = 1, 4, 3
    counts[0, 2] = counts[1, 3] = 2, 2, 2
    table = rate(NAMES, counts, seats=False)
    assert table.scores.sum(axis=1).tolist() == [13, 9, 13, 9]
    np.testing.assert_allclose(table.elo[[0, 1]], table.elo[[2, 3]], atol=1e-6)  # … are worth the same to everybody


@pytest.mark.parametrize("draws", [0.0, 0.3, 0.9])
def test_near_equals_are_as_far_apart_as_on_the_logistic_curve(draws: float) -> None:
    score = 0.51
    counts = 1e6 * np.array([score - draws / 2, draws, 1 - score - draws / 2])
    gap, interval = rate("ab", two_players(*counts), seats=False).difference("a", "b")
    assert gap == pytest.approx(400 * math.log10(score / (1 - score)), rel=1e-2)
    # The interval is that of the score, whose variance draws make smaller.
    deviation = math.sqrt((counts[0] + counts[2] - 1e6 * (2 * score - 1) ** 2) / 4e12)
    assert interval == pytest.approx(1.96 * deviation * 1600 / math.log(10), rel=2e-2)


def test_the_prior_is_as_weak_as_stated() -> None:
    gap, _ = rate("ab", two_players(65, 0, 35), seats=False).difference("a", "b")
    assert abs(gap - 400 * math.log10(65 / 35)) < 1.0


def test_the_first_move_is_told_apart_from_strength() -> None:
    counts = simulate(np.random.default_rng(4), STRENGTH, 4000, draws=0.5, advantage=75.0)
    table = rate(NAMES, counts)
    assert abs(table.advantage - 75.0) < 2 * table.advantage_interval
    assert table.advantage_interval < 5
    assert table.draw_share == pytest.approx(0.5 / 2.5, abs=0.01)
    np.testing.assert_allclose(table.elo, STRENGTH - STRENGTH.mean(), atol=15)
    lopsided = np.zeros((2, 2, 3))  # a won each game as second, b each as first; a moved first more often
    lopsided[0, 1], lopsided[1, 0] = (600, 0, 300), (200, 0, 100)
    table = rate("ab", lopsided)
    assert table.difference("a", "b")[0] == pytest.approx(0.0, abs=0.1)
    assert table.advantage == pytest.approx(400 * math.log10(2), abs=1)
    assert rate("ab", lopsided, seats=False).difference("a", "b")[0] > 40


def test_intervals_cover_the_truth_95_percent_of_the_time() -> None:
    """400 tournaments; scripts/rating_coverage.py has 10,000. A coverage has a standard error of 1.1 %, so one of 17
    shares 4.4 % off by chance has p = 1e-3, and the seed is fixed."""
    for share in coverage(400, seed=1).values():
        assert abs(share - 0.95) < 0.044


def test_superiority_is_calibrated_when_strengths_are_equal() -> None:
    """Of equal players each is called 95 % superior in one tournament of twenty: 600 have a deviation of 0.9 %."""
    called = [rate(NAMES, decisive(seed, 25, np.zeros(4))).superiority[0, 1] > 0.95 for seed in range(600)]
    assert abs(np.mean(called) - 0.05) < 0.03


def test_differences_do_not_depend_on_anchors() -> None:
    counts = simulate(np.random.default_rng(5), STRENGTH, 20, draws=0.4, advantage=30.0)
    free, fixed = rate(NAMES, counts), rate(NAMES, counts, anchors={"d": 1500.0})
    assert free.elo.mean() == pytest.approx(0.0, abs=1e-9)
    assert fixed.elo[3] == 1500.0
    assert fixed.interval[3] == 0.0
    np.testing.assert_allclose(free.elo - free.elo[3] + 1500, fixed.elo, atol=1e-6)
    np.testing.assert_allclose(free.superiority, fixed.superiority, atol=1e-7)
    np.testing.assert_allclose(free.superiority + free.superiority.T, 1.0)
    assert free.difference("a", "c") == pytest.approx(fixed.difference("a", "c"), abs=1e-6)
    # Of the two players' own intervals, held against the mean, neither sum nor root of squares is that of the gap.
    assert free.difference("a", "c")[1] != pytest.approx(math.hypot(free.interval[0], free.interval[2]), rel=0.02)


def test_several_anchors_stretch_the_scale_between_them() -> None:
    counts = simulate(np.random.default_rng(6), STRENGTH, 200, draws=0.4, advantage=0.0)
    table = rate(NAMES, counts, anchors={"a": 1000.0, "c": 1200.0})
    assert table.elo[[0, 2]].tolist() == [1000.0, 1200.0]
    np.testing.assert_allclose(table.elo, 1000 + STRENGTH, atol=40)
    both = rate("ab", two_players(5, 5, 5), anchors={"a": 0.0, "b": 100.0})
    assert both.elo.tolist() == pytest.approx([0.0, 100.0])


def test_whoever_won_every_game_has_a_finite_rating_and_a_warning() -> None:
    table = rate("ab", two_players(1000, 0, 0))
    gap, interval = table.difference("a", "b")
    assert 800 < gap < 4000
    assert interval > 200
    assert table.warnings[0].startswith("a won every game against the others")
    assert len(table.warnings) == 2
    assert rate("ab", two_players(999, 1, 0)).warnings == ()
    with pytest.raises(RatingError, match="no finite maximum"):
        rate("ab", two_players(1000, 0, 0), prior=math.inf)


def test_wins_and_draws_alone_are_about_their_score_on_the_logistic_curve() -> None:
    gap, interval = rate("ab", two_players(53, 7, 0), seats=False).difference("a", "b")
    assert gap == pytest.approx(400 * math.log10(56.5 / 3.5), abs=60)
    assert 80 < interval < 250


def test_only_draws() -> None:
    table = rate("ab", two_players(0, 40, 0))
    assert table.elo.tolist() == pytest.approx([0, 0], abs=1e-9)
    assert 0.9 < table.draw_share < 1
    assert np.isfinite(table.covariance).all()


def test_nobody_played() -> None:
    table = rate("ab", two_players(0, 0, 0))
    assert table.elo.tolist() == [0, 0]
    assert table.superiority[0, 1] == pytest.approx(0.5)
    assert rate("a", np.zeros((1, 1, 3))).elo.tolist() == [0]


def test_players_without_a_chain_of_games_are_warned_of() -> None:
    chain = [("a", "b", 0.5), ("c", "b", 0.5), ("d", "c", 0.5)]
    assert rate(NAMES, tally(NAMES, chain)).warnings == ()
    split = rate(NAMES, tally(NAMES, [("a", "c", 0.5), ("b", "d", 0.5)]))
    assert split.warnings == ("No games link {a, c} and {b, d}, so ratings cannot be compared between these groups.",)
    assert split.difference("a", "b")[1] > 1000
    with pytest.raises(RatingError):
        rate(NAMES, split.counts, prior=math.inf)


def test_tally_counts_by_seat() -> None:
    counts = tally("ab", [("a", "b", 1.0), ("b", "a", 1.0), ("a", "b", 0.5), ("a", "b", 0.0)])
    assert counts[0, 1].tolist() == [1, 1, 1]
    assert counts[1, 0].tolist() == [1, 0, 0]
    table = rate("ab", counts)
    assert table.results[0, 1].tolist() == [1, 1, 2]
    assert table.scores.tolist() == [[0, 1.5], [2.5, 0]]
    assert table.games.tolist() == [[0, 4], [4, 0]]


@pytest.mark.parametrize(
    ("names", "counts", "anchors", "says"),
    [
        ((), np.zeros((0, 0, 3)), {}, "at least one"),
        ("aa", np.zeros((2, 2, 3)), {}, "no name twice"),
        ("ab", np.zeros((2, 2, 3)), {"c": 0.0}, "'c' is not one of the players"),
        ("ab", np.zeros((2, 2, 3)), {"a": math.nan}, "finite"),
        ("ab", np.zeros((2, 2)), {}, "need counts"),
        ("ab", np.zeros((3, 3, 3)), {}, "need counts"),
        ("ab", -two_players(1, 0, 0), {}, "counts of 0 or more"),
        ("ab", two_players(math.nan, 0, 0), {}, "counts of 0 or more"),
        ("ab", np.ones((2, 2, 3)), {}, "against itself"),
    ],
)
def test_tables_that_are_no_results_are_refused(names, counts, anchors, says) -> None:
    with pytest.raises(RatingError, match=says):
        rate(names, counts, anchors=anchors)
