"""Who meets whom: round robin, gauntlet, Swiss, and the sequential test of two agents.

A format is a pure function of the results so far, so a tournament that was cut off goes on where it was: the games to
play are those the format names less those that were played. Agents meet in pairs of games: the same opening, seats
swapped. No opening is ever drawn for a pair of agents twice, and all pairs of agents meet on the same ones.
"""

from __future__ import annotations

import abc
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from arena.sprt import Sprt, count_pairs
from games import ArenaError

MAX_AGENTS = 1000


class FormatError(ArenaError):
    """A tournament that cannot be played."""


@dataclass(frozen=True)
class Fixture:
    """One game to be played, or that was.

    Attributes:
        first: the agent in seat 0.
        second: the agent in seat 1.
        number: which opening. The fixture with the agents swapped and the same number is the other game of the pair.
    """

    first: str
    second: str
    number: int

    @property
    def swapped(self) -> Fixture:
        """The other game of the pair."""
        return Fixture(self.second, self.first, self.number)


Results = Mapping[Fixture, float]
"""Points of the first agent (1, ½, 0) in the games that were played."""


class Format(abc.ABC):
    """A way to play a tournament.

    Attributes:
        names: the agents.
        games: games of each two agents that meet; even.
        grows: whether agents and games may be added to a tournament that has begun.

    Raises:
        FormatError: fewer than two agents, a name given twice, or an odd number of games.
    """

    grows = True

    def __init__(self, names: Sequence[str], games: int) -> None:
        if not 2 <= len(names) <= MAX_AGENTS:
            raise FormatError(
                f"A tournament needs two agents or more ({MAX_AGENTS} at most), not {len(names)}: give --agents A B …"
            )
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise FormatError(f"Agent {twice[0]!r} is given twice; every agent of a tournament must be different.")
        if games < 2 or games % 2:
            raise FormatError(
                f"--games is {games}; give an even number from 2 up, because each opening is played from both seats."
            )
        self.names, self.games = tuple(names), games

    @abc.abstractmethod
    def fixtures(self, results: Results) -> Iterator[Fixture]:
        """The games to play as far as ``results`` tell, those that were played included, in the order to play them."""

    @property
    @abc.abstractmethod
    def total(self) -> int:
        """How many games there will be, at most."""

    def is_decided(self, results: Results) -> bool:
        """Whether to stop at once, games in flight included."""
        return False

    def counted(self, results: Results) -> dict[Fixture, float]:
        """The results that count, in the order of the fixtures."""
        return {fixture: results[fixture] for fixture in self.fixtures(results) if fixture in results}

    def _all_play(self, pairs: Sequence[tuple[str, str]], first: int = 0) -> Iterator[Fixture]:
        for number in range(first, first + self.games // 2):
            for one, other in pairs:
                yield Fixture(one, other, number)
                yield Fixture(other, one, number)


class RoundRobin(Format):
    """Every agent meets every other."""

    def fixtures(self, results: Results) -> Iterator[Fixture]:
        return self._all_play(list(itertools.combinations(self.names, 2)))

    @property
    def total(self) -> int:
        return self.games * len(self.names) * (len(self.names) - 1) // 2


class Gauntlet(Format):
    """The first agent meets every other."""

    def fixtures(self, results: Results) -> Iterator[Fixture]:
        return self._all_play([(self.names[0], other) for other in self.names[1:]])

    @property
    def total(self) -> int:
        return self.games * (len(self.names) - 1)


class Swiss(Format):
    """In every round agents meet others with about as many points that they have not met, as far as there are any.

    The Monrad system: from the top of the standings down, each agent meets the next; whom it has met before only when
    there is no other way. Agents with equal points stand in an order drawn from ``seed``. With an odd number of agents
    the lowest that has not sat out yet does, and counts as having won.

    Args:
        rounds: how many; each gives every two agents that meet ``games`` games.
    """

    grows = False

    def __init__(self, names: Sequence[str], games: int, rounds: int, seed: int) -> None:
        super().__init__(names, games)
        if rounds < 1:
            raise FormatError(f"--rounds is {rounds}; give 1 or more.")
        self.rounds = rounds
        order = np.random.default_rng([seed, 2]).permutation(len(names))
        self._rank = {names[agent]: rank for rank, agent in enumerate(order)}

    def fixtures(self, results: Results) -> Iterator[Fixture]:
        points = dict.fromkeys(self.names, 0.0)
        met: Counter[frozenset[str]] = Counter()
        rested: set[str] = set()
        for number in range(self.rounds):
            standing = sorted(self.names, key=lambda name: (-points[name], self._rank[name]))
            if len(standing) % 2:
                resting = next((name for name in reversed(standing) if name not in rested), standing[-1])
                standing.remove(resting)
                rested.add(resting)
                points[resting] += self.games
            pairs = _neighbours(standing, met)
            fixtures = list(self._all_play(pairs, first=number * self.games // 2))
            yield from fixtures
            if any(fixture not in results for fixture in fixtures):
                return
            met.update(frozenset(pair) for pair in pairs)
            for fixture in fixtures:
                points[fixture.first] += results[fixture]
                points[fixture.second] += 1.0 - results[fixture]

    @property
    def total(self) -> int:
        return self.rounds * self.games * (len(self.names) // 2)


def _neighbours(standing: Sequence[str], met: Counter[frozenset[str]]) -> list[tuple[str, str]]:
    """``standing`` (an even number of names) in pairs of near neighbours, with hardly any that have met.

    From the top down everybody gets the next one not met (or, once all have met, not met more often than need be).
    Those who are left without anybody trade with a pair, the lowest first, so that all four meet somebody new; only
    where no trade does it is a pair played again.
    """
    fewest = min(met[frozenset(pair)] for pair in itertools.combinations(standing, 2))

    def new(one: str, other: str) -> bool:
        return met[frozenset((one, other))] <= fewest

    rest, pairs, left = list(standing), [], []
    while rest:
        one = rest.pop(0)
        other = next((other for other in rest if new(one, other)), None)
        if other is None:
            left.append(one)
        else:
            rest.remove(other)
            pairs.append((one, other))
    for one, other in zip(left[::2], left[1::2], strict=True):
        for place in reversed(range(len(pairs))):
            above, below = pairs[place]
            if new(above, other) and new(one, below):
                above, below = below, above
            if new(above, one) and new(other, below):
                pairs[place : place + 1] = [(above, one), (other, below)]
                break
        else:
            pairs.append((one, other))
    return pairs


class SequentialTest(Format):
    """Two agents meet until the test of ``arena.sprt`` decides which hypothesis about the first one holds.

    Pairs of games are looked at in the order of their openings, whatever order they end in: else short games, which end
    first, would be seen more often than they are played. Pairs beyond the one that decides do not count.

    Args:
        sprt: the test.
        games: the most games to play.
    """

    def __init__(self, names: Sequence[str], games: int, sprt: Sprt) -> None:
        super().__init__(names, games)
        if len(names) != 2:
            raise FormatError(f"A sequential test is between two agents, not {len(names)}.")
        self.sprt = sprt
        self._seen: list[tuple[float, float]] = []
        self._curve: list[float] = []

    def fixtures(self, results: Results) -> Iterator[Fixture]:
        pairs, _, decided = self._progress(results)
        return itertools.islice(
            self._all_play([(self.names[0], self.names[1])]), 2 * len(pairs) if decided else self.games
        )

    @property
    def total(self) -> int:
        return self.games

    def is_decided(self, results: Results) -> bool:
        return bool(self._progress(results)[2])

    def verdict(self, results: Results) -> str:
        """Which hypothesis was accepted: ``"elo0"``, ``"elo1"`` or, as yet, ``""``."""
        return self._progress(results)[2]

    def llr_curve(self, results: Results) -> np.ndarray:
        """float64: the log-likelihood ratio after each whole pair, in order, up to the one that decides."""
        return np.array(self._progress(results)[1])

    def pentanomial(self, results: Results) -> np.ndarray:
        """int64 ``[5]``: the counts of the pairs so far, up to the one that decides."""
        return count_pairs(self._progress(results)[0])

    def _progress(self, results: Results) -> tuple[list[tuple[float, float]], list[float], str]:
        """The first agent's points in each pair up to the one that decides, the LLR after each, and the verdict."""
        pairs: list[tuple[float, float]] = []
        for number in range(self.games // 2):
            one = Fixture(self.names[0], self.names[1], number)
            if one not in results or one.swapped not in results:
                break
            pairs.append((results[one], 1.0 - results[one.swapped]))
        # A long test asks after every game, so what was found out about the same first pairs is kept.
        known = len(self._seen) if pairs[: len(self._seen)] == self._seen else 0
        if known < len(pairs):
            counts = np.array([count_pairs([points]) for points in pairs[known:]])
            curve = self.sprt.llr(count_pairs(pairs[:known]) + np.cumsum(counts, axis=0))
            self._seen, self._curve = pairs, [*self._curve[:known], *curve.tolist()]
        for row in range(len(pairs)):
            if not self.sprt.lower < self._curve[row] < self.sprt.upper:
                verdict = "elo1" if self._curve[row] >= self.sprt.upper else "elo0"
                return pairs[: row + 1], self._curve[: row + 1], verdict
        return pairs, self._curve[: len(pairs)], ""
