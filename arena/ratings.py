"""Elo ratings from game results, with honest error bars. Pure arithmetic: knows nothing of games or agents.

The model is Bradley–Terry (1952): player i scores ``1 / (1 + 10^((r_j - r_i) / 400))`` on average against player j,
and a draw counts as half a win and half a loss (which makes the intervals slightly too wide where draws are common).
Ratings are the maximum of the likelihood times a *weak prior*: every rating is normal around a common level with
a standard deviation of 1,000 Elo. It keeps a player that won every game at a finite rating and moves a 65 % score over
100 games by less than one Elo. Intervals come from the curvature at the maximum (the inverse Hessian).

Axes: ``N`` players.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from games import ArenaError

Array = np.ndarray

PRIOR_ELO = 1000.0
"""Standard deviation of the prior, in Elo."""

ELO_PER_NAT = 400.0 / math.log(10.0)
Z_95 = 1.959963984540054
"""Half the width of a 95 % interval, in standard deviations of a normal distribution."""


@dataclass(frozen=True)
class RatingTable:
    """What a set of games says about the players' strengths.

    Attributes:
        names: ``N`` names, in the order given.
        elo: float64 ``[N]``; mean 0, or 0 for the anchor.
        covariance: float64 ``[N, N]``, of ``elo``, in Elo squared, under the same anchoring.
        scores: float64 ``[N, N]``: points that row took from column (win 1, draw ½).
        games: float64 ``[N, N]``: games between row and column.
        anchor: the player held at 0; None when the mean is.
        groups: int64 ``[N]``: players with the same number are linked by games; ratings across groups mean nothing.
    """

    names: tuple[str, ...]
    elo: Array
    covariance: Array
    scores: Array
    games: Array
    anchor: str | None
    groups: Array

    @property
    def interval(self) -> Array:
        """float64 ``[N]``: half the width of each 95 % interval, in Elo. An anchor's is 0."""
        return Z_95 * np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    @property
    def superiority(self) -> Array:
        """float64 ``[N, N]``: the likelihood that row is stronger than column (LOS); ½ on the diagonal."""
        variance = np.diag(self.covariance)[:, None] + np.diag(self.covariance)[None, :] - 2 * self.covariance
        gap = self.elo[:, None] - self.elo[None, :]
        deviations = gap / np.sqrt(np.maximum(variance, 1e-12))
        return 0.5 * (1.0 + np.vectorize(math.erf)(deviations / math.sqrt(2.0)))

    @property
    def warning(self) -> str:
        """One sentence when some players are not linked by any chain of games; "" otherwise."""
        if len(set(self.groups.tolist())) <= 1:
            return ""
        parts = [
            "{" + ", ".join(name for name, group in zip(self.names, self.groups, strict=True) if group == number) + "}"
            for number in sorted(set(self.groups.tolist()))
        ]
        return f"No games link {' and '.join(parts)}, so ratings cannot be compared between these groups."

    def difference(self, first: str, second: str) -> tuple[float, float]:
        """Elo of ``first`` over ``second``, and half the width of its 95 % interval."""
        i, j = self.names.index(first), self.names.index(second)
        variance = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        return float(self.elo[i] - self.elo[j]), Z_95 * math.sqrt(max(float(variance), 0.0))


def rate(names: Sequence[str], scores: Array, games: Array, *, anchor: str | None = None) -> RatingTable:
    """Rates ``N`` players.

    Args:
        names: one each, all different.
        scores: ``[N, N]``, points that row took from column (win 1, draw ½); for every pair the two entries sum to
            the number of games.
        games: ``[N, N]``, symmetric, zero on the diagonal.
        anchor: the player to hold at 0; without one the mean is.

    Raises:
        ArenaError: a name given twice, an anchor that does not play, or a table that is not of such results.
    """
    count = len(names)
    scores, games = np.asarray(scores, dtype=np.float64), np.asarray(games, dtype=np.float64)
    _check(names, scores, games, anchor)
    prior = (ELO_PER_NAT / PRIOR_ELO) ** 2
    theta = np.zeros(count)
    hessian = np.eye(count)
    # The posterior is strictly concave, so Newton's method with a bounded step finds its one maximum.
    for _ in range(200):
        expected = 1.0 / (1.0 + np.exp(theta[None, :] - theta[:, None]))
        gradient = (scores - games * expected).sum(axis=1) - prior * theta
        weight = games * expected * (1.0 - expected)
        hessian = np.diag(weight.sum(axis=1) + prior) - weight
        step = np.linalg.solve(hessian, gradient)
        theta = theta + step * min(1.0, 1.0 / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-10:
            break
    reference = np.full((count, count), 1.0 / count)
    if anchor is not None:
        reference = np.tile(np.eye(count)[list(names).index(anchor)], (count, 1))
    shift = np.eye(count) - reference  # subtracts the mean, or the anchor, from every rating
    return RatingTable(
        names=tuple(names),
        elo=ELO_PER_NAT * (shift @ theta),
        covariance=ELO_PER_NAT**2 * (shift @ np.linalg.inv(hessian) @ shift.T),
        scores=scores,
        games=games,
        anchor=anchor,
        groups=_linked_groups(games),
    )


def tally(names: Sequence[str], results: Iterable[tuple[str, str, float]]) -> tuple[Array, Array]:
    """``scores`` and ``games`` for ``rate``, from (first player, second player, points of the first: 1, ½ or 0)."""
    index = {name: row for row, name in enumerate(names)}
    scores, games = np.zeros((2, len(index), len(index)))
    for first, second, points in results:
        i, j = index[first], index[second]
        scores[i, j] += points
        scores[j, i] += 1.0 - points
        games[i, j] += 1.0
        games[j, i] += 1.0
    return scores, games


def _check(names: Sequence[str], scores: Array, games: Array, anchor: str | None) -> None:
    if not names or len(set(names)) != len(names):
        raise ArenaError(f"Ratings need at least one player and no name twice, not {', '.join(names) or 'none'}.")
    if anchor is not None and anchor not in names:
        raise ArenaError(f"The anchor {anchor!r} is not one of the players; they are {', '.join(names)}.")
    shape = (len(names), len(names))
    if scores.shape != shape or games.shape != shape:
        raise ArenaError(f"{len(names)} players need tables of shape {shape}, not {scores.shape} and {games.shape}.")
    if not (np.isfinite(scores).all() and (scores >= 0).all() and np.allclose(scores + scores.T, games)):
        raise ArenaError("The points of each pair of players must be at least 0 and sum to their number of games.")
    if np.diag(games).any():
        raise ArenaError("A game of a player against itself cannot be rated; leave it out.")


def _linked_groups(games: Array) -> Array:
    """int64 ``[N]``: the lowest-numbered player each one is linked to by a chain of games."""
    groups = np.arange(len(games))
    for _ in range(len(games)):
        groups = np.where(games > 0, groups[None, :], groups[:, None]).min(axis=1, initial=len(games))
    return groups
