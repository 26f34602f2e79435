"""Scores positions by playing them to the end at random, as Monte-Carlo tree search did before networks."""

from __future__ import annotations

import numpy as np

from agents.core import Array, Evaluation
from games import Game, sample_legal


class RolloutEvaluator:
    """Uniform priors, and as value the mean result of uniformly random playouts from the position.

    Its answers are random, so they must not be cached. All playouts of a batch advance together; those that have
    ended drop out.

    Attributes:
        rng: what the playouts are drawn from; the agent that owns the evaluator sets it before each search.
    """

    version = 0
    cacheable = False

    def __init__(self, game: Game, rng: np.random.Generator, rollouts: int = 1) -> None:
        self.rng = rng
        self._game = game
        self._rollouts = rollouts

    def evaluate(self, states: Array, legal_action_mask: Array) -> Evaluation:
        """Scores states ``[B]``, none of them terminated."""
        movers = states["to_play"].astype(np.intp)
        returns = self._playout_returns(np.repeat(states, self._rollouts))
        mean = returns.reshape(len(states), self._rollouts, -1).mean(axis=1)
        return Evaluation(
            prior_logits=np.zeros(legal_action_mask.shape, dtype=np.float32),
            value=mean[np.arange(len(states)), movers].astype(np.float32),
        )

    def _playout_returns(self, states: Array) -> Array:
        """float32 ``[B, P]``: how one random playout of each state ended. ``states`` is overwritten."""
        results = np.zeros((len(states), self._game.spec.num_players), dtype=np.float32)
        rows = np.arange(len(states))
        while len(rows):
            self._game.step_unchecked(states, sample_legal(self._game.legal_action_mask(states), self.rng))
            over = states["terminated"]
            if over.any():
                results[rows[over]] = self._game.returns(states[over])
                rows, states = rows[~over], states[~over]
        return results
