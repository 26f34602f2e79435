"""Do the 95 % intervals of arena.ratings cover the truth 95 % of the time? In simulated tournaments they should.

    python -m scripts.rating_coverage                # 10,000 tournaments, some five minutes on one core
    python -m scripts.rating_coverage --tournaments 1000 --seed 7

Each tournament is a round robin of players whose strengths, whose advantage of the first move and whose draws are drawn
anew, played by the model itself. A coverage of ``n`` tournaments has a standard error of ``sqrt(0.95 * 0.05 / n)``,
0.22 % for 10,000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from arena.ratings import ELO_PER_NAT, RatingTable, rate
from scripts.program import start

NAMES = ("a", "b", "c", "d", "e")
SPREAD = 150.0  # standard deviation of the strengths, in Elo


@dataclass(frozen=True)
class Options:
    """Simulates tournaments and counts how often intervals cover the truth."""

    tournaments: int = 10_000
    """How many."""
    seed: int = 0
    """What they are drawn from."""


def simulate(rng: np.random.Generator, elo: np.ndarray, games: int, draws: float, advantage: float) -> np.ndarray:
    """Counts ``[N, N, 3]`` of a double round robin: ``games`` games of every two players from either seat."""
    count = len(elo)
    half = (2 + draws) / 4 * (elo[:, None] - elo[None, :] + advantage) / ELO_PER_NAT
    weights = np.stack([np.exp(half), np.full((count, count), draws), np.exp(-half)], axis=2)
    counts = rng.multinomial(games, weights / weights.sum(axis=2, keepdims=True)).astype(float)
    counts[np.arange(count), np.arange(count)] = 0
    return counts


def coverage(tournaments: int, seed: int) -> dict[str, float]:
    """The share of tournaments in which each interval covers the truth, by what the interval is of."""
    rng = np.random.default_rng(seed)
    covered: dict[str, int] = {}
    for _ in range(tournaments):
        elo, games = rng.normal(0, SPREAD, len(NAMES)), int(rng.integers(10, 60))
        draws, advantage = float(rng.choice([0.0, 0.5, 2.0])), float(rng.normal(0, 50))
        counts = simulate(rng, elo, games, draws, advantage)
        for name, hit in _hits(counts, elo, advantage).items():
            covered[name] = covered.get(name, 0) + hit
    return {name: hits / tournaments for name, hits in covered.items()}


def _hits(counts: np.ndarray, elo: np.ndarray, advantage: float) -> dict[str, bool]:
    free, anchored = rate(NAMES, counts), rate(NAMES, counts, anchors={"b": float(elo[1])})
    hits = {f"{name}, mean 0": bool(hit) for name, hit in zip(NAMES, _within(free, elo - elo.mean()), strict=True)}
    within = _within(anchored, elo)
    hits |= {f"{name}, b anchored": bool(hit) for name, hit in zip(NAMES, within, strict=True) if name != "b"}
    for one, other in ((0, 1), (0, 4), (2, 3)):
        gap, interval = free.difference(NAMES[one], NAMES[other])
        hits[f"{NAMES[one]} over {NAMES[other]}"] = abs(gap - (elo[one] - elo[other])) < interval
    hits["the first move"] = abs(free.advantage - advantage) < free.advantage_interval
    return hits


def _within(table: RatingTable, truth: np.ndarray) -> np.ndarray:
    return np.abs(table.elo - truth) < table.interval


def run(options: Options) -> bool:
    """Prints every coverage; whether all are within four standard errors of 95 %."""
    error = math.sqrt(0.95 * 0.05 / options.tournaments)
    shares = coverage(options.tournaments, options.seed)
    for name, share in shares.items():
        print(f"{name:16s} {share:7.2%}  ({(share - 0.95) / error:+.1f} standard errors)")
    worst = max(abs(share - 0.95) / error for share in shares.values())
    print(f"{options.tournaments} tournaments: the worst is {worst:.1f} standard errors of {error:.2%} from 95 %.")
    return worst < 4


if __name__ == "__main__":
    start(lambda options: not run(options), Options)
