"""Pair statistics against published tests of Stockfish and fastchess, and the sequential test's error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from arena.sprt import NORMALIZED_ELO, Sprt, count_pairs, elo_to_score, estimate, score_to_elo, tilted
from games import ArenaError

# Finished tests of fishtest, as their authors reported them in pull requests of official-stockfish/Stockfish: the
# number of the request, elo0, elo1, the pentanomial, the LLR. <a, b> are bounds in normalised Elo, {a, b} in logistic.
FISHTEST = [
    ("#6019 STC <0.00,2.00>", "normalized", 0.0, 2.0, (320, 12431, 27275, 12858, 316), 2.95),
    ("#6019 LTC <0.50,2.50>", "normalized", 0.5, 2.5, (197, 45541, 117722, 46579, 228), 2.96),
    ("#6031 VVLTC <0.00,2.00>", "normalized", 0.0, 2.0, (35, 38029, 125672, 38755, 38), 2.95),
    ("#6031 VVLTC <0.50,2.50>", "normalized", 0.5, 2.5, (6, 5202, 17768, 5537, 3), 2.94),
    ("#4194 STC <0.00,2.00>", "normalized", 0.0, 2.0, (371, 10263, 24989, 10642, 379), 2.95),
    ("#4194 LTC <0.50,2.50>", "normalized", 0.5, 2.5, (47, 8181, 25234, 8575, 47), 2.94),
    ("#6285 SMP STC <-1.75,0.25>", "normalized", -1.75, 0.25, (289, 26459, 62934, 26379, 331), 2.94),
    ("#6285 SMP LTC <-1.75,0.25>", "normalized", -1.75, 0.25, (118, 38575, 109888, 38432, 122), 2.95),
    ("#3515 STC <-2.50,0.50>", "normalized", -2.5, 0.5, (238, 5274, 26761, 5326, 237), 2.94),
    ("#3515 LTC <-2.50,0.50>", "normalized", -2.5, 0.5, (52, 4237, 60354, 4202, 63), 2.98),
    ("#2920 STC {-0.50,1.50}", "logistic", -0.5, 1.5, (665, 4806, 9333, 4893, 747), 2.95),
    ("#2920 LTC {0.25,1.75}", "logistic", 0.25, 1.75, (328, 4564, 15580, 4789, 371), 2.98),
    ("#2951 STC {-0.50,1.50}", "logistic", -0.5, 1.5, (59, 754, 2467, 865, 75), 2.95),
    ("#2951 LTC {0.25,1.75}", "logistic", 0.25, 1.75, (33, 1185, 8378, 1302, 50), 2.95),
]

# The expectations of Disservin/fastchess, app/tests/sprt_test.cpp, but for two tests of one single outcome, where its
# approximation at the time was off (fishtest's LLRcalc.py gives 2.095 and -3.451 there, as we do).
FASTCHESS = [
    ("normalized", 0.0, 2.0, (365, 16618, 36229, 16974, 390), 2.25),
    ("normalized", -1.75, 0.25, (127, 4883, 10712, 5150, 104), 3.01),
    ("normalized", 0.0, 5.0, (0, 0, 0, 0, 104), 2.095),
    ("logistic", 0.5, 2.5, (223, 9863, 21279, 10037, 246), -3.07),
    ("logistic", 0.0, 2.0, (871, 26175, 55983, 26678, 821), -4.98),
    ("normalized", 0.0, 2.0, (36027, 68692, 36433), 0.92),
    ("normalized", -1.75, 0.25, (10650, 20431, 10871), 2.30),
    ("normalized", 0.0, 5.0, (0, 16700, 0), -3.451),
    ("logistic", 0.5, 2.5, (21184, 40708, 21404), -1.57),
    ("logistic", 0.0, 2.0, (57030, 106593, 57433), -2.59),
]


@pytest.mark.parametrize(("name", "model", "elo0", "elo1", "counts", "llr"), FISHTEST, ids=lambda value: str(value))
def test_llr_of_finished_fishtest_tests(name, model, elo0, elo1, counts, llr) -> None:
    assert Sprt(elo0, elo1, model=model).llr(np.array(counts)) == pytest.approx(llr, abs=0.0051)


@pytest.mark.parametrize(("model", "elo0", "elo1", "counts", "llr"), FASTCHESS, ids=lambda value: str(value))
def test_llr_of_fastchess(model, elo0, elo1, counts, llr) -> None:
    assert Sprt(elo0, elo1, model=model).llr(np.array(counts)) == pytest.approx(llr, abs=0.0051)


# fastchess: app/tests/elo_test.cpp (Elo, ±, normalised, ±, LOS), then reports of matches in public repositories.
@pytest.mark.parametrize(
    ("counts", "elo", "interval", "normalized", "normalized_interval", "superiority"),
    [
        ((34, 54, 63, 64, 75), 55.58, 27.65, 57.94, 28.28, 1.0),
        ((332, 433, 498, 333, 334), -8.64, 10.33, -9.17, 10.96, 0.0505),
        ((7895, 8757, 5685, 568, 9999), -21.04, 2.95, -19.01, 2.65, 0.0),
        ((96, 111, 136), 40.70, 30.43, 49.77, 36.77, 0.9960),
        ((352, 579, 1264, 743, 464), 19.83, 6.77, 24.25, 8.26, 1.0),
        ((1, 10, 78, 48, 13), 72.85, 22.33, 132.30, 39.32, 1.0),
    ],
)
def test_elo_of_fastchess(counts, elo, interval, normalized, normalized_interval, superiority) -> None:
    found = estimate(np.array(counts))
    assert found.elo == pytest.approx(elo, abs=0.0051)
    assert found.elo_interval == pytest.approx(interval, abs=0.0051)
    assert found.normalized == pytest.approx(normalized, abs=0.0051)
    assert found.normalized_interval == pytest.approx(normalized_interval, abs=0.0051)
    assert found.superiority == pytest.approx(superiority, abs=0.00005)
    assert found.games == sum(counts) * (2 if len(counts) == 5 else 1)


def test_bounds_are_walds() -> None:
    assert (Sprt().lower, Sprt().upper) == pytest.approx((-2.944439, 2.944439))
    assert Sprt(alpha=0.01, beta=0.2).upper == pytest.approx(math.log(0.8 / 0.01))


def test_elo_and_score_are_inverse() -> None:
    for elo in (-300.0, -1.0, 0.0, 55.5):
        assert score_to_elo(elo_to_score(elo)) == pytest.approx(elo)
    assert math.isfinite(score_to_elo(1.0))
    assert math.isfinite(estimate(np.array([0, 0, 0, 0, 9])).elo_interval)


def test_pairs_are_counted_by_their_points() -> None:
    pairs = [(0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (1.0, 1.0)]
    assert count_pairs(pairs).tolist() == [1, 1, 2, 1, 2]
    assert count_pairs([]).tolist() == [0, 0, 0, 0, 0]


def test_the_tilted_distribution_is_the_likeliest_with_that_mean() -> None:
    rng = np.random.default_rng(0)
    scores = np.linspace(0, 1, 5)
    for _ in range(20):
        shares = rng.dirichlet(np.ones(5))
        wanted = rng.uniform(0.1, 0.9)
        found = tilted(shares, scores - wanted)
        assert found.sum() == pytest.approx(1.0)
        assert found @ scores == pytest.approx(wanted)
        best = shares @ np.log(found)
        for _ in range(50):  # move along directions that keep both the sum and the mean
            step = rng.normal(size=5)
            for keep in (np.ones(5), scores - scores.mean()):
                step -= keep * (step @ keep) / (keep @ keep)
            other = found + 0.2 * found.min() * step / np.abs(step).max()
            assert shares @ np.log(other) <= best + 1e-12


@pytest.mark.parametrize("outcomes", [3, 5])
def test_many_tests_at_once_are_those_tests_one_by_one(outcomes: int) -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 60, size=(40, outcomes)) * (rng.random((40, outcomes)) < 0.6)
    for test in (Sprt(-200, 200), Sprt(0, 10), Sprt(190, 200), Sprt(-800, 800, model="logistic")):
        together = test.llr(counts)
        assert np.isfinite(together).all()
        np.testing.assert_allclose(together, [test.llr(row) for row in counts], rtol=1e-6, atol=1e-6)


def outcome_shares(worth: float) -> np.ndarray:
    """Pentanomial shares of a first agent worth that much normalised Elo, from a lopsided book."""
    base = np.array([0.08, 0.2, 0.42, 0.2, 0.1])
    scores, shift, weights = np.linspace(0, 1, 5), 0.0, base
    for _ in range(50):
        weights = base * np.exp(shift * scores)
        weights /= weights.sum()
        mean = weights @ scores
        deviation = math.sqrt(2 * (weights @ (scores - mean) ** 2))
        shift += (worth - NORMALIZED_ELO * (mean - 0.5) / deviation) / 100
    return weights


def error_rates(test: Sprt, tests: int, seed: int) -> tuple[float, float, float]:
    """How often elo1 is accepted where elo0 is true, elo0 where elo1 is true, and the pairs that a test takes."""
    rng = np.random.default_rng(seed)
    wrong, lengths = [], []
    for truth, mistake in ((test.elo0, test.upper), (test.elo1, test.lower)):
        shares = outcome_shares(truth)
        counts, live, mistakes = np.zeros((tests, 5)), np.arange(tests), 0
        for pair in range(1, 100_000):
            counts[live, rng.choice(5, size=len(live), p=shares)] += 1
            llr = test.llr(counts[live])
            over = (llr <= test.lower) | (llr >= test.upper)
            mistakes += int(((llr >= mistake) if mistake > 0 else (llr <= mistake)).sum())
            lengths += [pair] * int(over.sum())
            live = live[~over]
            if not len(live):
                break
        wrong.append(mistakes / tests)
    return wrong[0], wrong[1], float(np.mean(lengths))


def test_error_rates_are_kept() -> None:
    """300 tests a side: the share of errors has a standard error of 1.3 %, and three of them are allowed."""
    alpha, beta, length = error_rates(Sprt(0.0, 120.0), tests=300, seed=0)
    assert alpha < 0.05 + 0.039
    assert beta < 0.05 + 0.039
    assert alpha + beta > 0.02  # they are used up, too, or the test is longer than it need be
    assert 10 < length < 60


@pytest.mark.study
def test_error_rates_of_a_finer_test_are_kept() -> None:
    for test in (Sprt(0.0, 25.0), Sprt(-10.0, 20.0, alpha=0.1, beta=0.02)):
        alpha, beta, _ = error_rates(test, tests=4000, seed=1)
        assert alpha < test.alpha + 3 * math.sqrt(test.alpha / 4000)
        assert beta < test.beta + 3 * math.sqrt(test.beta / 4000)
        assert alpha > test.alpha / 2
        assert beta > test.beta / 3


@pytest.mark.parametrize(
    "settings",
    [{"elo0": 5.0, "elo1": 5.0}, {"elo0": math.nan}, {"alpha": 0.0}, {"alpha": 0.6, "beta": 0.5}, {"elo1": 201.0}],
)
def test_impossible_tests(settings: dict[str, float]) -> None:
    with pytest.raises(ArenaError):
        Sprt(**settings)  # type: ignore[arg-type]


def test_counts_that_are_none() -> None:
    for counts in ([1, 2, 3, 4], [1, -1, 0]):
        with pytest.raises(ArenaError, match="five counts"):
            Sprt().llr(np.array(counts))
