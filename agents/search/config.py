"""How to search: one frozen record, shared by self-play, play and tournaments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from games import ArenaError


@dataclass(frozen=True)
class SearchConfig:
    """Settings of the tree search."""

    policy: Literal["gumbel", "puct"] = "gumbel"
    """Gumbel AlphaZero (Danihelka et al., 2022), or AlphaZero's PUCT (Silver et al., 2018)."""
    simulations: int = 32
    """Simulations per move; a simulation is one descent from the root to a leaf."""
    max_considered: int = 16
    """Gumbel: how many root moves sequential halving starts with."""
    c_visit: float = 50.0
    """Gumbel: values weigh (c_visit + most visits) * c_scale against the prior logits."""
    c_scale: float = 0.25
    """Gumbel: see c_visit; for values in [-1, 1]."""
    c_backup: float = 0.0
    """A position is worth the mean of its moves' values, weighted by softmax(logit + (c_visit + most visits) * c_backup
    * value), so that a reply once found counts at once; 0 = the mean of its simulations, as the papers have it."""
    c_init: float = 1.25
    """PUCT: exploration constant."""
    c_base: float = 19652.0
    """PUCT: how slowly exploration grows with the number of visits."""
    fpu_reduction: float = 0.2
    """PUCT: an unvisited move is taken to be worth its parent's value less this."""
    dirichlet_alpha: float = 1.0
    """PUCT: concentration of the root noise; about 10 divided by the usual number of legal moves."""
    dirichlet_fraction: float = 0.25
    """PUCT: share of the root prior that is noise."""
    forced_playouts: float = 0.0
    """PUCT, where there is noise: a root move that has been tried is tried sqrt(forced_playouts * prior * simulations)
    times, and what that was spent on in vain is left out of the policy target (Wu, 2019, with 2); 0 = off."""
    add_noise: bool = True
    """Explore at the root (Gumbel or Dirichlet noise). Off when playing to win."""
    noise_plies: int | None = None
    """No noise after this many plies, so that the rest of a game shows what its positions are worth between players who
    do their best; by default there is noise throughout."""
    temperature: float = 1.0
    """PUCT: moves are drawn from visits ** (1 / temperature); 0 plays the most visited move."""
    temperature_plies: int = 30
    """PUCT: after this many plies the most visited move is played."""
    length_weight: float = 0.0
    """A result at ply t counts 1 - length_weight * t / max_plies, so that a sooner win is better than a later one."""
    reuse_tree: bool = True
    """Keep the part of the tree below the moves that were played."""
    fast_simulations: int = 0
    """Playout-cap randomisation (Wu, 2019): the budget of the fast searches, which no policy learns from; 0 = off."""
    full_probability: float = 0.25
    """Playout-cap randomisation: how often a move gets the full budget."""

    def __post_init__(self) -> None:
        checks = (
            ("simulations", self.simulations >= 1, "at least 1"),
            ("max_considered", self.max_considered >= 1, "at least 1"),
            ("fast_simulations", self.fast_simulations >= 0, "0 or more"),
            ("noise_plies", self.noise_plies is None or self.noise_plies >= 0, "0 or more"),
            ("temperature", self.temperature >= 0, "0 or more"),
            ("c_backup", self.c_backup >= 0, "0 or more"),
            ("dirichlet_alpha", self.dirichlet_alpha > 0, "more than 0"),
            ("forced_playouts", self.forced_playouts >= 0, "0 or more"),
            ("dirichlet_fraction", 0 <= self.dirichlet_fraction <= 1, "from 0 to 1"),
            ("length_weight", 0 <= self.length_weight < 1, "from 0 to less than 1"),
            ("full_probability", 0 < self.full_probability <= 1, "more than 0, up to 1"),
        )
        for field, holds, accepted in checks:
            if not holds:
                raise ArenaError(f"Search setting {field}={getattr(self, field)} is out of range: give {accepted}.")


TRAINED_WITH = ("length_weight",)
"""The settings that decide what a network's values mean: whoever plays by it should search with the same."""


def trained_with(saved: Mapping[str, object]) -> dict[str, Any]:
    """Those of ``saved``'s entries that ``TRAINED_WITH`` names, checked; ``saved`` may come from a stranger's file."""
    settings = {name: saved[name] for name in TRAINED_WITH if name in saved}
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
            raise ArenaError(f"The network's search setting {name} is {value!r}, which is no number.")
    return settings


def shaped_returns(returns: np.ndarray, ply: np.ndarray, max_plies: int, length_weight: float) -> np.ndarray:
    """Returns ``[B, P]`` of games that ended at ``ply`` ``[B]``, shrunk linearly with their length.

    The order of outcomes stays (any win > a draw > any loss); among wins the sooner is better, among losses the later.
    """
    shrink = 1.0 - length_weight * np.asarray(ply, dtype=np.float32) / max_plies
    return returns * shrink[:, None].astype(np.float32)
