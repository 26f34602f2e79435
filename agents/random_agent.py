"""Plays any legal move, uniformly: the zero of every rating scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.core import Array, SearchResult
from agents.registry import AgentKind
from games import Game, sample_legal


@dataclass(frozen=True)
class RandomOptions:
    """It has none."""


class RandomAgent:
    """Uniformly random legal moves. Its value is NaN: it has no opinion."""

    def __init__(self, spec: str, game: Game, options: RandomOptions = RandomOptions()) -> None:
        del options
        self.name = spec
        self._game = game

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        del slots  # nothing is kept between moves
        mask = self._game.legal_action_mask(states)
        weights = mask / mask.sum(axis=1, keepdims=True)
        return SearchResult(
            action=sample_legal(mask, rng),
            action_weights=weights.astype(np.float32),
            value=np.full(len(states), np.nan, dtype=np.float32),
            visit_counts=np.zeros(mask.shape, dtype=np.int32),
        )

    def reset(self) -> None:
        """Nothing is carried between moves."""


KIND = AgentKind("random", "plays uniformly random legal moves", RandomOptions, RandomAgent)
