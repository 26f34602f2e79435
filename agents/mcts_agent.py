"""Monte-Carlo tree search with random playouts: no network, no knowledge beyond the rules.

PUCT with uniform priors (Silver et al., 2017) over playouts (Kocsis and Szepesvári, 2006); a fixed anchor that every
training run can be measured against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.core import Array, SearchResult
from agents.registry import AgentKind, option
from agents.rollout_evaluator import RolloutEvaluator
from agents.search import Analysis, Search, SearchConfig
from games import Game


@dataclass(frozen=True)
class MctsOptions:
    """What ``mcts:…`` accepts."""

    simulations: int = option(800, "descents of the tree per move", low=1, high=10_000_000)
    rollouts: int = option(1, "random playouts per new position", low=1, high=10_000)


class MctsAgent:
    """Plays the most visited move of a fresh search.

    The tree is not kept between moves, so that the strength of ``mcts:simulations=800`` as an anchor is the same
    whoever calls it.
    """

    def __init__(self, spec: str, game: Game, options: MctsOptions = MctsOptions()) -> None:
        self.name = spec
        self._game = game
        self._evaluator = RolloutEvaluator(game, np.random.default_rng(0), options.rollouts)
        config = SearchConfig(
            policy="puct", simulations=options.simulations, add_noise=False, temperature=0.0, reuse_tree=False
        )
        self._search = Search(game, self._evaluator, config, cache=None)

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        del slots  # every search is a fresh one
        self._evaluator.rng = rng  # playouts draw from the caller's generator, so a seed replays a whole match
        return self._search.act(states, rng)

    def analysis(self, rng: np.random.Generator, megabytes: float) -> Analysis:
        """See ``Analyst``."""
        self._evaluator.rng = rng
        return Analysis(self._game, self._evaluator, self._search.config, megabytes=megabytes)

    def reset(self) -> None:
        """Nothing is carried between moves."""


KIND = AgentKind("mcts", "Monte-Carlo tree search with random playouts", MctsOptions, MctsAgent)
