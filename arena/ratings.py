"""Elo ratings from game results, with honest error bars. Pure arithmetic: knows nothing of games or agents.

The model is Bradley–Terry (1952) with draws after Davidson (1970) and a first-move advantage after Davidson and Beaver
(1977). With ``u`` half the gap in strength between the player who moves first and the other, the advantage included,

    win : draw : loss  =  exp(u) : v : exp(-u).

Davidson rather than the Rao–Kupper model of BayesElo: it is a multinomial logit, so a draw counts exactly as half a win
and half a loss, equal scores on equal schedules give equal ratings, the likelihood is log-concave, and it fitted chess
better (Coulom's comparison of the two on CCRL games). Without draws both are Bradley–Terry; then ``v`` is 0.

Elo. Draws flatten the curve of expected scores, so ``u = (2 + v) / 4 * gap * ln 10 / 400``: between near equals every
Elo is worth what it is on the logistic curve, 100 Elo some 64 %, however many games are drawn (BayesElo's ``scale``).

The *weak prior*: ratings are normal around an unknown common level with a standard deviation of 1,000 Elo, and so is
the advantage around 0. It keeps a player that won every game at a finite rating and moves a 65 % score over 100 games
by less than one Elo. Draws, where there are any, have the prior of three games of equals, one of them drawn: else a
player with wins and draws alone could as well be a little better in a game full of draws as much better in another.

Intervals come from the inverse of the expected (Fisher) information at the maximum, the uncertainty of ``v`` and of the
advantage included. Games count as independent. Pairs of games from one lopsided opening are not, and then intervals are
too wide rather than too narrow; ``arena.sprt`` counts pairs.

Axes: ``N`` players.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from games import ArenaError

Array = np.ndarray

PRIOR_ELO = 1000.0
"""Standard deviation of the prior of ratings and of the first-move advantage, in Elo."""

PRIOR_DRAWS, PRIOR_EQUALS = 1.0, 3.0
"""Draws, and games, of equals that the prior is worth."""

ELO_PER_NAT = 400.0 / math.log(10.0)
Z_95 = 1.959963984540054
"""Half the width of a 95 % interval, in standard deviations of a normal distribution."""

_MAX_ITERATIONS = 500
_MAX_STEP = 2.0  # in natural units, some 350 Elo


class RatingError(ArenaError):
    """Results that cannot be rated."""


@dataclass(frozen=True)
class RatingTable:
    """What a set of games says about the players' strengths.

    Attributes:
        names: ``N`` names, in the order given.
        elo: float64 ``[N]``; mean 0, unless there are anchors.
        covariance: float64 ``[N, N]``, of ``elo``, in Elo squared, under the same anchoring.
        counts: float64 ``[N, N, 3]``, as given to ``rate``.
        advantage: what the first move is worth, in Elo; 0 where seats were ignored.
        advantage_interval: half the width of its 95 % interval; 0 where seats were ignored.
        draw_share: how often equals draw, the advantage aside.
        anchors: the players held at an Elo of our choice; empty when the mean is 0.
        groups: int64 ``[N]``: players with the same number are linked by games; ratings across groups mean nothing.
        peers: int64 ``[N]``: players with the same number have each a chain of points to every other; only the prior
            bounds the gap between different numbers.
    """

    names: tuple[str, ...]
    elo: Array
    covariance: Array
    counts: Array
    advantage: float
    advantage_interval: float
    draw_share: float
    anchors: Mapping[str, float]
    groups: Array
    peers: Array

    @property
    def interval(self) -> Array:
        """float64 ``[N]``: half the width of each 95 % interval, in Elo. An anchor's is 0."""
        return Z_95 * np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    @property
    def results(self) -> Array:
        """float64 ``[N, N, 3]``: wins, draws and losses of the row against the column, from either seat."""
        return self.counts + self.counts.transpose(1, 0, 2)[:, :, ::-1]

    @property
    def scores(self) -> Array:
        """float64 ``[N, N]``: points that the row took from the column (win 1, draw ½)."""
        return self.results @ np.array([1.0, 0.5, 0.0])

    @property
    def games(self) -> Array:
        """float64 ``[N, N]``: games between row and column."""
        return self.results.sum(axis=2)

    @property
    def superiority(self) -> Array:
        """float64 ``[N, N]``: the likelihood that the row is stronger than the column (LOS); ½ on the diagonal."""
        variance = np.diag(self.covariance)[:, None] + np.diag(self.covariance)[None, :] - 2 * self.covariance
        gap = self.elo[:, None] - self.elo[None, :]
        deviations = gap / np.sqrt(np.maximum(variance, 1e-12))
        return 0.5 * (1.0 + np.vectorize(math.erf)(deviations / math.sqrt(2.0)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about ratings that say less than they seem to; usually none."""
        found = []
        if len(set(self.groups.tolist())) > 1:
            parts = " and ".join(self._members(self.groups, number) for number in sorted(set(self.groups.tolist())))
            found.append(f"No games link {parts}, so ratings cannot be compared between these groups.")
        beaten = self.scores > 0
        for number in sorted(set(self.peers.tolist())):
            inside = self.peers == number
            linked = (self.groups == self.groups[number]) & ~inside
            took, gave = beaten[np.ix_(inside, linked)].any(), beaten[np.ix_(linked, inside)].any()
            if linked.any() and took != gave:
                end, bound = ("won", "a lower") if took else ("lost", "an upper")
                found.append(
                    f"{self._members(self.peers, number)} {end} every game against the others, so only the weak prior "
                    f"keeps the gap finite: take its rating as {bound} bound."
                )
        return tuple(found)

    def difference(self, first: str, second: str) -> tuple[float, float]:
        """Elo of ``first`` over ``second``, and half the width of its 95 % interval."""
        i, j = self.names.index(first), self.names.index(second)
        variance = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        return float(self.elo[i] - self.elo[j]), Z_95 * math.sqrt(max(float(variance), 0.0))

    def _members(self, numbers: Array, number: int) -> str:
        names = [name for name, other in zip(self.names, numbers, strict=True) if other == number]
        return names[0] if len(names) == 1 else "{" + ", ".join(names) + "}"


def rate(
    names: Sequence[str],
    counts: Array,
    *,
    anchors: Mapping[str, float] | None = None,
    seats: bool = True,
    prior: float = PRIOR_ELO,
) -> RatingTable:
    """Rates ``N`` players.

    Args:
        names: one each, all different.
        counts: ``[N, N, 3]``: how often the row, moving first, won, drew and lost against the column. Zero on the
            diagonal.
        anchors: the players to hold at an Elo; without any, the mean is held at 0.
        seats: whether who moved first is known and is to have an advantage; else ``counts[i, j]`` and the mirrored
            ``counts[j, i]`` say the same.
        prior: standard deviation of the weak prior of the ratings, in Elo; ``math.inf`` for maximum likelihood.

    Raises:
        RatingError: a name given twice, an anchor that does not play, counts that are none, or no prior where the
            likelihood has no maximum.
    """
    counts = np.asarray(counts, dtype=np.float64)
    anchors = dict(anchors or {})
    _check(names, counts, anchors, prior)
    peers = _strongly_linked(counts)
    if math.isinf(prior) and len(set(peers.tolist())) > 1:
        raise RatingError(
            "Without a prior these ratings have no finite maximum: some players never took a point from the others. "
            "Rate with a prior, or let them play more."
        )
    fit = _Fit(names, counts, anchors, seats and bool(counts.any()), prior / ELO_PER_NAT)
    values, covariance = fit.maximum()
    count, anchored = len(names), list(anchors)
    shift = np.eye(count)
    if not anchored:
        shift -= 1.0 / count  # subtracts the mean from every rating
    log_draws = values[-1] if fit.has_draws else -math.inf
    return RatingTable(
        names=tuple(names),
        elo=ELO_PER_NAT * (shift @ values[:count]),
        covariance=ELO_PER_NAT**2 * (shift @ covariance[:count, :count] @ shift.T),
        counts=counts,
        advantage=ELO_PER_NAT * float(values[count]),
        advantage_interval=Z_95 * ELO_PER_NAT * math.sqrt(max(float(covariance[count, count]), 0.0)),
        draw_share=1.0 / (1.0 + 2.0 * math.exp(-log_draws)) if fit.has_draws else 0.0,
        anchors=anchors,
        groups=_linked(counts),
        peers=peers,
    )


def tally(names: Sequence[str], results: Iterable[tuple[str, str, float]]) -> Array:
    """``counts`` for ``rate``, from (first player, second player, points of the first: 1, ½ or 0)."""
    index = {name: row for row, name in enumerate(names)}
    counts = np.zeros((len(index), len(index), 3))
    for first, second, points in results:
        counts[index[first], index[second], round(2 - 2 * points)] += 1.0
    return counts


class _Fit:
    """The posterior in natural units: ``N`` ratings, the advantage, ``ln v``. What is not estimated stays put."""

    def __init__(
        self, names: Sequence[str], counts: Array, anchors: Mapping[str, float], seats: bool, prior: float
    ) -> None:
        size = len(names)
        self.has_draws = bool(counts[:, :, 1].any())
        first, second = np.nonzero(counts.sum(axis=2))
        self._counts = counts[first, second]
        self._gaps = np.zeros((len(first), size + 2))  # [pairs, parameters]: what makes up each pair's gap
        rows = np.arange(len(first))
        self._gaps[rows, first], self._gaps[rows, second], self._gaps[:, size] = 1.0, -1.0, float(seats)
        self._start = np.zeros(size + 2)
        for name, elo in anchors.items():
            self._start[list(names).index(name)] = elo / ELO_PER_NAT
        self._start[[i for i, name in enumerate(names) if name not in anchors]] = (
            sum(anchors.values()) / max(len(anchors), 1) / ELO_PER_NAT
        )
        free = [name not in anchors for name in names]
        self._free = np.flatnonzero([*free, seats, self.has_draws])
        self._precision = np.zeros((size + 2, size + 2))
        self._precision[:size, :size] = (np.eye(size) - 1.0 / size) / prior**2  # the common level is unknown
        self._precision[size, size] = (ELO_PER_NAT / PRIOR_ELO) ** 2
        # Without anchors the common level is free, and any value of it is as good: hold it.
        self._gauge = np.zeros_like(self._precision)
        if not anchors:
            self._gauge[:size, :size] = 1.0 / size

    def maximum(self) -> tuple[Array, Array]:
        """The parameters ``[N + 2]`` and their covariance, by Fisher scoring with halved steps."""
        values = self._start.copy()
        free = np.ix_(self._free, self._free)
        best, gradient, information = self._posterior(values)
        for _ in range(_MAX_ITERATIONS):
            step = np.zeros_like(values)
            step[self._free] = np.linalg.solve((information + self._gauge)[free], gradient[self._free])
            step *= min(1.0, _MAX_STEP / max(np.abs(step).max(initial=0.0), 1e-300))
            if np.abs(step).max(initial=0.0) < 1e-11:
                break
            for halvings in range(40):
                tried = values + step * 0.5**halvings
                height, *slopes = self._posterior(tried)
                if height >= best - 1e-12 * abs(best):
                    break
            else:
                break  # no step that floating point can tell from standing still leads up
            values, best, (gradient, information) = tried, height, slopes
        covariance = np.zeros_like(information)
        if len(self._free):
            covariance[free] = np.linalg.inv((information + self._gauge)[free])
        return values, covariance

    def _posterior(self, values: Array) -> tuple[float, Array, Array]:
        """The logarithm of the posterior, its gradient, and the expected information."""
        draws = math.exp(values[-1]) if self.has_draws else 0.0
        gap, slope = self._gaps @ values, (2.0 + draws) / 4.0
        half = slope * gap
        # The three outcomes' logits, less their maximum so that nothing overflows.
        with np.errstate(divide="ignore"):
            logits = np.stack([half, np.full_like(half, np.log(draws)), -half], axis=1)
        logits -= logits.max(axis=1, keepdims=True)
        weights = np.exp(logits)
        total = weights.sum(axis=1, keepdims=True)
        shares, played = weights / total, self._counts.sum(axis=1)
        seen = self._counts > 0
        height = float((self._counts[seen] * (logits - np.log(total))[seen]).sum())
        # By (half, ln v), and from there to the parameters: d half = slope d gap + draws / 4 gap d ln v.
        lean = shares[:, 0] - shares[:, 2]
        along = self._counts[:, 0] - self._counts[:, 2] - played * lean
        drawn = self._counts[:, 1] - played * shares[:, 1]
        to_half = slope * self._gaps
        to_half[:, -1] += draws / 4.0 * gap
        to_draws = np.zeros_like(to_half)
        to_draws[:, -1] = 1.0
        gradient = to_half.T @ along + to_draws.T @ drawn - self._precision @ values
        both = (to_half.T * (-played * lean * shares[:, 1])) @ to_draws
        information = (
            (to_half.T * (played * (1.0 - shares[:, 1] - lean**2))) @ to_half
            + (to_draws.T * (played * shares[:, 1] * (1.0 - shares[:, 1]))) @ to_draws
            + (both + both.T)
        )
        height -= 0.5 * float(values @ self._precision @ values)
        information += self._precision
        if self.has_draws:
            share = draws / (2.0 + draws)  # of draws among equals
            height += PRIOR_DRAWS * float(values[-1]) - PRIOR_EQUALS * math.log(2.0 + draws)
            gradient[-1] += PRIOR_DRAWS - PRIOR_EQUALS * share
            information[-1, -1] += PRIOR_EQUALS * share * (1.0 - share)
        return height, gradient, information


def _check(names: Sequence[str], counts: Array, anchors: Mapping[str, float], prior: float) -> None:
    if not names or len(set(names)) != len(names):
        raise RatingError(f"Ratings need at least one player and no name twice, not {', '.join(names) or 'none'}.")
    for name, elo in anchors.items():
        if name not in names:
            raise RatingError(f"The anchor {name!r} is not one of the players; they are {', '.join(names)}.")
        if not math.isfinite(elo):
            raise RatingError(f"The anchor {name!r} is to have {elo} Elo; give a finite number.")
    if counts.shape != (len(names), len(names), 3):
        raise RatingError(f"{len(names)} players need counts [{len(names)}, {len(names)}, 3], not {counts.shape}.")
    if not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise RatingError("Wins, draws and losses must be counts of 0 or more.")
    if counts[np.arange(len(names)), np.arange(len(names))].any():
        raise RatingError("A game of a player against itself cannot be rated; leave it out.")
    if not prior > 0:
        raise RatingError(f"The prior's standard deviation is {prior} Elo; give one above 0, or infinity for none.")


def _linked(counts: Array) -> Array:
    """int64 ``[N]``: the lowest-numbered player each one is linked to by a chain of games."""
    played = counts.sum(axis=2)
    return _lowest_of_each(_reachable(played + played.T > 0))


def _strongly_linked(counts: Array) -> Array:
    """int64 ``[N]``: the lowest-numbered player with a chain of points to and from each one."""
    points = counts @ np.array([1.0, 0.5, 0.0]) + (counts @ np.array([0.0, 0.5, 1.0])).T
    reach = _reachable(points > 0)
    return _lowest_of_each(reach & reach.T)


def _reachable(edges: Array) -> Array:
    """bool ``[N, N]``: whether a chain of edges, possibly empty, leads from row to column (Warshall's algorithm)."""
    reach = edges | np.eye(len(edges), dtype=bool)
    for via in range(len(reach)):
        reach |= reach[:, via, None] & reach[None, via]
    return reach


def _lowest_of_each(same: Array) -> Array:
    return np.argmax(same, axis=1)
