"""Perfect play, in games that have an exact solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.core import Array, SearchResult
from agents.registry import AgentKind, option
from games import ILLEGAL_SCORE, Game, UnsupportedError, sample_legal


@dataclass(frozen=True)
class SolverOptions:
    """What ``solver:…`` accepts."""

    ties: str = option(
        "random", "which of several best moves: a random one, or the first by number", choices=("random", "first")
    )


class SolverAgent:
    """Plays a best-scoring move: the soonest win, else a draw, else the latest loss.

    Raises:
        UnsupportedError: the game has no exact solver.
    """

    def __init__(self, spec: str, game: Game, options: SolverOptions = SolverOptions()) -> None:
        if not game.can_solve:
            raise UnsupportedError(f"{game.spec.name} has no exact solver; use another agent, such as 'mcts'.")
        self.name = spec
        self._game = game
        self._random_ties = options.ties == "random"

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        del slots  # nothing is kept between moves
        scores = self._game.solve(states)
        top = scores.max(axis=1, keepdims=True)
        best = (scores == top) & (scores != ILLEGAL_SCORE)
        return SearchResult(
            action=sample_legal(best, rng) if self._random_ties else np.argmax(best, axis=1),
            action_weights=(best / best.sum(axis=1, keepdims=True)).astype(np.float32),
            value=np.sign(top[:, 0]).astype(np.float32),
            visit_counts=np.zeros(best.shape, dtype=np.int32),
        )

    def reset(self) -> None:
        """Nothing is carried between moves."""


KIND = AgentKind("solver", "plays perfectly, where the game has an exact solver", SolverOptions, SolverAgent)
