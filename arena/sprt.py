"""Statistics of game pairs, and the sequential test that stops when it knows. Pure arithmetic, as in ``arena.ratings``.

Each opening is played from both seats, and the *pair* of games is what is counted: two games from one lopsided opening
depend on each other, two pairs do not. A pair scores 0, ½, 1, 1½ or 2 points for the first agent, so results are five
counts, the *pentanomial*: LL, LD, DD or WL, DW, WW. (Where games are not paired, three counts do: L, D, W.)

The generalised sequential probability ratio test decides between "worth ``elo0``" and "worth ``elo1``". Its statistic
is the log-likelihood ratio (LLR) of the most likely pentanomial that is worth ``elo1`` and the most likely one that is
worth ``elo0``. Elo is *logistic* (the average score says it all) or *normalised*: how far the score is from one half,
in standard deviations of a game, times 800 / ln 10. An opening book that makes more draws leaves normalised Elo, and
the games that a test takes, about as they were. This is what Stockfish's fishtest and fastchess compute.

Sources: M. Van den Bergh, "A practical introduction to the GSPRT", "The generalized maximum likelihood ratio for the
expectation value of a distribution" (``tilted`` is its proposition 1.1) and "Comments on normalized Elo" (its section
4.1), https://www.cantate.be/Fishtest/; fishtest's LLRcalc.py and fastchess's sprt.cpp.

Axes: ``...`` any number of tests at once, ``K`` = 5 or 3 outcomes, the worst for the first agent first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from arena.ratings import Z_95
from games import ArenaError

Array = np.ndarray
EloModel = Literal["normalized", "logistic"]

NORMALIZED_ELO = 800.0 / math.log(10.0)
"""Normalised Elo of a player whose average score is one standard deviation above one half."""

MAX_NORMALIZED = 200.0
"""Beyond some 230, pairs of games are too wide a choice of results to be as regular as the hypothesis says."""

_UNSEEN = 1e-3  # what an outcome that never came counts, as in fishtest, so that logarithms stay finite


@dataclass(frozen=True)
class PairEstimate:
    """What counted pairs say about the first agent. Intervals are 95 % and, after a sequential test, a little off.

    Attributes:
        games: how many there were.
        score: the first agent's share of the points.
        elo, elo_interval: logistic Elo, and half the width of its interval.
        normalized, normalized_interval: likewise, normalised Elo.
        superiority: the likelihood that the first agent is the stronger (LOS).
    """

    games: int
    score: float
    elo: float
    elo_interval: float
    normalized: float
    normalized_interval: float
    superiority: float


def count_pairs(points: Iterable[tuple[float, float]]) -> Array:
    """int64 ``[5]``: the pentanomial of the first agent's points (0, ½, 1) in both games of each pair."""
    counts = np.zeros(5, np.int64)
    for one, other in points:
        counts[round(2 * (one + other))] += 1
    return counts


def estimate(counts: Array) -> PairEstimate:
    """The first agent's strength by ``counts`` ``[K]``."""
    total, shares, scores = _distribution(counts)
    score = float(shares @ scores)
    deviation = math.sqrt(float(shares @ (scores - score) ** 2))
    error = Z_95 * deviation / math.sqrt(float(total))
    per_game = deviation * math.sqrt((len(scores) - 1) / 2)
    return PairEstimate(
        games=int(np.sum(counts)) * (len(scores) - 1) // 2,
        score=score,
        elo=score_to_elo(score),
        elo_interval=(score_to_elo(score + error) - score_to_elo(score - error)) / 2,
        normalized=NORMALIZED_ELO * (score - 0.5) / per_game,
        normalized_interval=NORMALIZED_ELO * error / per_game,
        superiority=0.5 * (1.0 + math.erf((score - 0.5) * Z_95 / error / math.sqrt(2.0))),
    )


def score_to_elo(score: float) -> float:
    """Logistic Elo of an average score; scores nearer than a thousandth to 0 or 1 count as that."""
    score = min(max(score, 1e-3), 1.0 - 1e-3)
    return 400.0 * math.log10(score / (1.0 - score))


def elo_to_score(elo: float) -> float:
    """The average score that is worth this much logistic Elo."""
    return 1.0 / (1.0 + 10.0 ** (-elo / 400.0))


@dataclass(frozen=True)
class Sprt:
    """A sequential test of "worth ``elo1``" against "worth ``elo0``".

    Attributes:
        elo0, elo1: what the hypotheses say that the first agent is worth, in the Elo of ``model``.
        alpha: how often "worth elo1" is accepted, at most, where elo0 is true.
        beta: how often "worth elo0" is accepted, at most, where elo1 is true.
        model: what Elo is meant.

    Raises:
        ArenaError: bounds or error rates that make no test.
    """

    elo0: float = 0.0
    elo1: float = 10.0
    alpha: float = 0.05
    beta: float = 0.05
    model: EloModel = "normalized"

    def __post_init__(self) -> None:
        if self.model not in get_args(EloModel):
            raise ArenaError(f"A sequential test's Elo is {self.model!r}; give {' or '.join(get_args(EloModel))}.")
        if not (math.isfinite(self.elo0) and math.isfinite(self.elo1) and self.elo0 < self.elo1):
            raise ArenaError(f"A sequential test needs elo0 below elo1, not {self.elo0:g} and {self.elo1:g}.")
        if self.model == "normalized" and max(abs(self.elo0), abs(self.elo1)) > MAX_NORMALIZED:
            raise ArenaError(
                f"Normalised Elo of a sequential test goes from -{MAX_NORMALIZED:g} to {MAX_NORMALIZED:g}, but it is "
                f"{self.elo0:g} and {self.elo1:g}."
            )
        if not (self.alpha > 0 and self.beta > 0 and self.alpha + self.beta < 1):
            raise ArenaError(
                f"The error rates alpha and beta must be above 0 and sum to less than 1, not {self.alpha:g} and "
                f"{self.beta:g}."
            )

    @property
    def lower(self) -> float:
        """Where the LLR accepts "worth elo0"."""
        return math.log(self.beta / (1.0 - self.alpha))

    @property
    def upper(self) -> float:
        """Where the LLR accepts "worth elo1"."""
        return math.log((1.0 - self.beta) / self.alpha)

    def llr(self, counts: Array) -> Array:
        """float64 ``[...]``: the log-likelihood ratio of ``counts`` ``[..., K]``."""
        total, shares, scores = _distribution(counts)
        if self.model == "logistic":
            fits = [tilted(shares, scores - elo_to_score(elo)) for elo in (self.elo0, self.elo1)]
        else:
            # Pairs vary less than games do, so the same strength is more standard deviations of a pair.
            per_pair = math.sqrt((len(scores) - 1) / 2) / NORMALIZED_ELO
            fits = [_with_deviations(shares, scores, elo * per_pair) for elo in (self.elo0, self.elo1)]
        return total * np.sum(shares * (np.log(fits[1]) - np.log(fits[0])), axis=-1)

    def verdict(self, counts: Array) -> Literal["", "elo0", "elo1"]:
        """Which hypothesis ``counts`` ``[K]`` decide for; "" = none yet."""
        llr = float(self.llr(counts))
        return "elo1" if llr >= self.upper else "elo0" if llr <= self.lower else ""


def tilted(shares: Array, offsets: Array) -> Array:
    """The distribution ``[..., K]`` of mean offset 0 under which samples of ``shares`` ``[..., K]`` are likeliest.

    It is ``shares / (1 + t offsets)``, where ``t`` solves ``sum(shares offsets / (1 + t offsets)) = 0``; the left side
    falls with ``t``. ``offsets`` ``[..., K]`` must have both signs.
    """
    offsets = np.broadcast_to(offsets, shares.shape)
    low, high = -1.0 / offsets.max(axis=-1), -1.0 / offsets.min(axis=-1)
    low, high = low + 1e-12 * np.abs(low), high - 1e-12 * np.abs(high)
    t = np.zeros_like(low)
    for _ in range(200):  # Newton's method, with bisection wherever it would leave the bracket
        terms = offsets / (1.0 + t[..., None] * offsets)
        value = np.sum(shares * terms, axis=-1)
        low, high = np.where(value > 0, t, low), np.where(value > 0, high, t)
        after = t + value / np.sum(shares * terms**2, axis=-1)
        after = np.where((after > low) & (after < high), after, (low + high) / 2)
        if np.all(np.abs(after - t) <= 1e-13 * (1.0 + np.abs(t))):
            break
        t = after
    return shares / (1.0 + t[..., None] * offsets)


def _with_deviations(shares: Array, scores: Array, deviations: float) -> Array:
    """As ``tilted``, for distributions whose mean is this many of their own standard deviations above one half."""
    fit = np.full(shares.shape, 1.0 / len(scores))
    for _ in range(50):  # what has the wanted value to first order around the last fit
        mean = fit @ scores
        deviation = np.sqrt(np.sum(fit * (scores - mean[..., None]) ** 2, axis=-1))[..., None]
        spread = ((scores - mean[..., None]) / deviation) ** 2
        last, fit = fit, tilted(shares, scores - 0.5 - deviations * deviation * (1.0 + spread) / 2)
        if np.abs(fit - last).max() < 1e-9:
            break
    return fit


def _distribution(counts: Array) -> tuple[Array, Array, Array]:
    """How many there are ``[...]``, their shares ``[..., K]``, and the average score ``[K]`` of each outcome."""
    counts = np.asarray(counts, dtype=np.float64)
    if counts.shape[-1] not in (3, 5) or (counts < 0).any():
        raise ArenaError("A test needs five counts of pairs (LL, LD, DD or WL, DW, WW) or three of games (L, D, W).")
    counts = np.where(counts == 0, _UNSEEN, counts)
    total = counts.sum(axis=-1)
    return total, counts / total[..., None], np.linspace(0.0, 1.0, counts.shape[-1])
