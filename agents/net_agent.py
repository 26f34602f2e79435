"""A trained network, alone or with a search on top. PyTorch is imported when the first one is made."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.core import Array, Evaluator, SearchResult
from agents.registry import AgentKind, option
from agents.search import EvaluationCache, Search, SearchConfig, trained_with
from games import ArenaError, Game

CACHE_MEGABYTES = 128


@dataclass(frozen=True)
class NetOptions:
    """What ``net:PATH,…`` accepts."""

    path: str = option("", "a run directory, its newest checkpoint being used, or one checkpoint")
    simulations: int = option(64, "descents of the tree per move; 0 = the raw policy, without search", low=0)
    temperature: float = option(0.0, "0 plays the best move; above, moves are drawn by weight^(1/temperature)", low=0.0)
    c_scale: float = option(0.25, "how much values count beside the network's own preference for moves", low=0.0)
    device: str = option("auto", "where the network runs: auto, cpu, cuda, cuda:1")

    def __post_init__(self) -> None:
        if not self.path:
            raise ArenaError("Agent 'net' needs a run or a checkpoint; write it as in net:runs/c4,simulations=64.")


class NetAgent:
    """Gumbel search (Danihelka et al., 2022) without root noise, or the network's policy by itself."""

    def __init__(self, spec: str, game: Game, options: NetOptions) -> None:
        self.name = spec
        self._game = game
        self._temperature = options.temperature
        self._trained = _trained(game, options)
        self._search: Search | None = None
        if options.simulations > 0:
            settings = self._trained.settings
            config = SearchConfig(
                simulations=options.simulations, c_scale=options.c_scale, add_noise=False, temperature=0, **settings
            )
            self._search = Search(game, self._trained.evaluator, config, cache=self._trained.cache)

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        result = self._search.act(states, rng, slots) if self._search else self._raw_policy(states)
        if self._temperature > 0:
            result = replace(result, action=_draw(result.action_weights, self._temperature, rng))
        return result

    def reset(self) -> None:
        """Forgets the trees; what the network said about positions stays true and is kept."""
        if self._search:
            self._search.reset()

    def _raw_policy(self, states: Array) -> SearchResult:
        mask = self._game.legal_action_mask(states)
        evaluation = self._trained.evaluator.evaluate(states, mask)
        logits = np.where(mask, evaluation.prior_logits.astype(np.float64), -np.inf)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return SearchResult(
            action=np.argmax(logits, axis=1),
            action_weights=(weights / weights.sum(axis=1, keepdims=True)).astype(np.float32),
            value=evaluation.value,
            visit_counts=np.zeros(mask.shape, dtype=np.int32),
        )


def _draw(weights: Array, temperature: float, rng: np.random.Generator) -> Array:
    """One action (int64 ``[B]``) from each row of ``weights`` ``[B, A]`` raised to ``1 / temperature``."""
    with np.errstate(divide="ignore"):
        logits = np.log(weights.astype(np.float64)) / temperature
    return np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)


@dataclass(frozen=True)
class _Trained:
    """What all agents of this process that play by the same weights have in common: the network, what it said about
    positions, and the search settings that it was trained with."""

    evaluator: Evaluator
    cache: EvaluationCache
    settings: dict[str, Any]


_in_use: weakref.WeakValueDictionary[tuple[object, ...], _Trained] = weakref.WeakValueDictionary()


def _trained(game: Game, options: NetOptions) -> _Trained:
    from agents.network_evaluator import NetworkEvaluator
    from agents.networks.files import find_network, load_network

    directory = find_network(Path(options.path))
    changed = tuple(file.stat().st_mtime_ns for file in sorted(directory.glob("network.*")))
    key = (directory.resolve(), changed, game.spec, options.device)
    trained = _in_use.get(key)
    if trained is None:
        network, metadata = load_network(directory, game)
        saved = metadata.extra.get("search")
        settings = trained_with(saved if isinstance(saved, dict) else {})
        evaluator = NetworkEvaluator(game, network, device=options.device)
        trained = _in_use[key] = _Trained(evaluator, EvaluationCache(megabytes=CACHE_MEGABYTES), settings)
    return trained


KIND = AgentKind("net", "a trained network, alone or with search", NetOptions, NetAgent, argument="path")
