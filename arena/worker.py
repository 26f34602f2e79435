"""What runs inside a self-play process: a network, a search and hundreds of games, made from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.network_evaluator import NetworkEvaluator, use_one_thread
from agents.networks.core import build_network
from arena.config import TrainConfig
from arena.self_play import SelfPlay, SelfPlayStats
from arena.shards import Shard

Array = np.ndarray


@dataclass(frozen=True)
class Portion:
    """What a worker hands over at a time.

    Attributes:
        shard: finished games.
        stats: what making them took.
    """

    shard: Shard
    stats: SelfPlayStats


class SelfPlayWorker:
    """One worker of a run. It must be given weights before it plays.

    Args:
        config: of the run.
        seed: of all workers of this session of the run.
        index: which worker this is.
        incarnation: how many of its name died before it; it plays other games than they did.
    """

    def __init__(self, config: TrainConfig, seed: int, index: int, incarnation: int) -> None:
        use_one_thread()
        game = config.make_game()
        network = build_network(config.network, game.spec.observation_shape, game.spec.num_actions)
        evaluator = NetworkEvaluator(game, network, device=config.device, precision=config.precision)
        seeds = (seed, index, incarnation)
        self._self_play = SelfPlay(game, evaluator, config.search, config.self_play, seeds)

    def set_weights(self, weights: Mapping[str, Array], version: int) -> None:
        """Plays on with these weights."""
        self._self_play.set_weights(weights, version)

    def play(self) -> Portion:
        """Plays until one shard is full."""
        shard = self._self_play.play()
        stats = self._self_play.stats
        assert stats is not None
        return Portion(shard, stats)

    def state(self) -> dict[str, Any]:
        """Arrays and JSON-able values from which ``restore`` goes on exactly; the search forgets its trees."""
        return self._self_play.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a ``state``."""
        self._self_play.restore(state)
