"""Who meets whom, and that it follows from the results alone."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable

import numpy as np
import pytest

from arena.formats import Fixture, Format, FormatError, Gauntlet, RoundRobin, SequentialTest, Swiss
from arena.sprt import Sprt
from games import ArenaError

NAMES = tuple("abcdefg")


def stronger_first(fixture: Fixture) -> float:
    """The agent that comes first in the alphabet wins."""
    return float(fixture.first < fixture.second)


def play(
    schedule: Format, outcome: Callable[[Fixture], float], seed: int = 0, in_flight: int = 30
) -> dict[Fixture, float]:
    """Plays everything, so many games at once, which end in an order of their own."""
    rng = np.random.default_rng(seed)
    results: dict[Fixture, float] = {}
    while missing := [fixture for fixture in schedule.fixtures(results) if fixture not in results]:
        for row in rng.permutation(len(missing[:in_flight]))[: in_flight // 2 + 1]:
            results[missing[row]] = outcome(missing[row])
    return results


def test_round_robin() -> None:
    schedule = RoundRobin(NAMES, 6)
    fixtures = list(schedule.fixtures({}))
    assert len(set(fixtures)) == len(fixtures) == schedule.total == 6 * 21
    assert collections.Counter((f.first, f.second) for f in fixtures) == dict.fromkeys(
        itertools.permutations(NAMES, 2), 3
    )
    assert {f.number for f in fixtures} == {0, 1, 2}
    assert all(fixture.swapped in fixtures for fixture in fixtures)


def test_a_round_robin_grows_by_what_is_missing() -> None:
    before = set(RoundRobin(NAMES[:3], 4).fixtures({}))
    after = set(RoundRobin(NAMES[:4], 6).fixtures({}))
    assert before < after


def test_gauntlet() -> None:
    schedule = Gauntlet(NAMES, 4)
    fixtures = list(schedule.fixtures({}))
    assert len(fixtures) == schedule.total == 4 * 6
    assert all("a" in (fixture.first, fixture.second) for fixture in fixtures)


@pytest.mark.parametrize("count", [2, 4, 5, 7])
def test_swiss_pairs_everybody_with_somebody_new(count: int) -> None:
    rounds = count - 1
    schedule = Swiss(NAMES[:count], 2, rounds, seed=3)
    results = play(schedule, stronger_first)
    assert len(results) == schedule.total
    met = collections.Counter(frozenset((f.first, f.second)) for f in results)
    if count <= 5:
        assert set(met.values()) == {2}  # nobody met twice, as long as that can be
    for number in range(rounds):
        playing = [f.first for f in results if f.number == number]
        assert len(set(playing)) == len(playing) == count // 2 * 2  # each once from either seat, at most one rests
    resting = [next(iter(set(NAMES[:5]) - {f.first for f in results if f.number == n}), "") for n in range(rounds)]
    if count == 5:
        assert len(set(resting)) == rounds  # nobody rests twice


def test_swiss_brings_likes_together() -> None:
    names = [f"{number:02d}" for number in range(32)]
    schedule = Swiss(names, 2, 5, seed=0)
    results = play(schedule, stronger_first)
    points: dict[str, float] = collections.defaultdict(float)
    for fixture, won in results.items():
        points[fixture.first] += won
        points[fixture.second] += 1 - won
    assert [name for name, score in points.items() if score == 10] == ["00"]  # one has won all its games
    gaps = [abs(int(f.first) - int(f.second)) for f in results]
    numbers = [f.number for f in results]
    by_round = [np.mean([gap for gap, number in zip(gaps, numbers, strict=True) if number == n]) for n in range(5)]
    assert by_round[4] < 0.6 * by_round[0]


def test_swiss_plays_on_when_everybody_has_met() -> None:
    results = play(Swiss(NAMES[:4], 2, 9, seed=1), lambda fixture: 0.5)
    met = collections.Counter(frozenset((f.first, f.second)) for f in results)
    assert set(met.values()) == {6}  # nine rounds of three possible: each pair three times


def test_the_next_round_of_a_swiss_waits_for_this_one() -> None:
    schedule = Swiss(NAMES[:4], 2, 3, seed=0)
    first = list(schedule.fixtures({}))
    assert len(first) == 4
    results = dict.fromkeys(first[:-1], 1.0)
    assert list(schedule.fixtures(results)) == first
    assert len(list(schedule.fixtures(results | {first[-1]: 1.0}))) == 8


def test_results_decide_not_the_order_they_came_in() -> None:
    rng = np.random.default_rng(5)
    outcomes: dict[Fixture, float] = collections.defaultdict(lambda: float(rng.choice([0, 0.5, 1])))
    schedule = Swiss(NAMES, 4, 5, seed=2)
    one = play(schedule, lambda fixture: outcomes[fixture], seed=1)
    other = play(schedule, lambda fixture: outcomes[fixture], seed=2)
    assert one == other
    assert list(schedule.counted(one)) == list(schedule.counted(other))


def test_a_large_swiss_is_paired_quickly() -> None:
    names = [f"{number:03d}" for number in range(100)]
    results = play_rounds(Swiss(names, 2, 30, seed=0))
    met = collections.Counter(frozenset((f.first, f.second)) for f in results)
    assert max(met.values()) == 2
    assert len(met) == 1500


def play_rounds(schedule: Format) -> dict[Fixture, float]:
    results: dict[Fixture, float] = {}
    while missing := [fixture for fixture in schedule.fixtures(results) if fixture not in results]:
        results |= {fixture: stronger_first(fixture) for fixture in missing}
    return results


# ---- the sequential test ---------------------------------------------------------------------------------------------


def random_outcomes(share: float, seed: int) -> Callable[[Fixture], float]:
    """The first of two agents, ``a``, wins that share of its games."""
    rng = np.random.default_rng(seed)
    drawn: dict[Fixture, float] = collections.defaultdict(lambda: float(rng.random() < share))
    return lambda fixture: drawn[fixture] if fixture.first == "a" else 1 - drawn[fixture]


def test_a_sequential_test_stops_when_it_knows() -> None:
    for share, verdict in ((0.8, "elo1"), (0.3, "elo0")):
        schedule = SequentialTest("ab", 2000, Sprt(0, 50))
        results = play(schedule, random_outcomes(share, 0))
        curve = schedule.llr_curve(results)
        assert schedule.verdict(results) == verdict
        assert len(results) >= len(schedule.counted(results)) == 2 * len(curve)
        assert (np.abs(curve[:-1]) < schedule.sprt.upper).all()
        assert abs(curve[-1]) >= schedule.sprt.upper
        assert schedule.pentanomial(results).sum() == len(curve)


def test_pairs_count_in_their_order_whatever_order_they_end_in() -> None:
    schedules = [SequentialTest("ab", 2000, Sprt(0, 50)) for _ in range(2)]
    outcomes = random_outcomes(0.75, 1)
    results = [play(schedule, outcomes, seed) for seed, schedule in enumerate(schedules)]
    assert schedules[0].counted(results[0]) == schedules[1].counted(results[1])
    assert results[0] != results[1]
    curves = [schedule.llr_curve(result) for schedule, result in zip(schedules, results, strict=True)]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-9)


def test_what_was_remembered_is_of_these_results() -> None:
    schedule = SequentialTest("ab", 2000, Sprt(0, 50))
    won, lost = (play(SequentialTest("ab", 2000, Sprt(0, 50)), random_outcomes(share, 0)) for share in (0.8, 0.3))
    for _ in range(2):
        assert schedule.verdict(won) == "elo1"
        assert schedule.verdict(lost) == "elo0"
        assert schedule.verdict({}) == ""


def test_a_pair_that_is_half_played_decides_nothing() -> None:
    schedule = SequentialTest("ab", 2000, Sprt(0, 100))
    results = {Fixture("a", "b", number): 1.0 for number in range(500)}
    assert schedule.verdict(results) == ""
    assert not schedule.is_decided(results)
    results |= {Fixture("b", "a", number): 0.0 for number in range(1, 500)}
    assert not schedule.is_decided(results)  # the first pair is still open
    results[Fixture("b", "a", 0)] = 0.0
    assert schedule.is_decided(results)


def test_a_test_without_an_answer_ends_with_its_games() -> None:
    schedule = SequentialTest("ab", 20, Sprt(0, 1))
    results = play(schedule, random_outcomes(0.5, 0))
    assert len(results) == schedule.total == 20
    assert schedule.verdict(results) == ""


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RoundRobin(["a"], 2), "two agents or more"),
        (lambda: RoundRobin(["a", "b", "a"], 2), "'a' is given twice"),
        (lambda: RoundRobin(["a", "b"], 3), "even number"),
        (lambda: Gauntlet(["a", "b"], 0), "even number"),
        (lambda: Swiss(["a", "b"], 2, 0, seed=0), "--rounds"),
        (lambda: SequentialTest(["a", "b", "c"], 2, Sprt()), "between two agents"),
        (lambda: RoundRobin([str(n) for n in range(1001)], 2), "1000 at most"),
    ],
)
def test_impossible_formats(make: Callable[[], Format], says: str) -> None:
    with pytest.raises(FormatError, match=says) as error:
        make()
    assert isinstance(error.value, ArenaError)
