"""A trained network, alone or with a search on top. PyTorch is imported when the first one is made."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.core import Agent, Array, Evaluation, Evaluator, SearchResult
from agents.histories import History, as_seen
from agents.registry import AgentKind, option
from agents.search import Analysis, EvaluationCache, Search, SearchConfig, SharedSearch, trained_with
from games import ArenaError, Game

if TYPE_CHECKING:
    from agents.networks.reading import Reader

CACHE_MEGABYTES = 128


@dataclass(frozen=True)
class NetOptions:
    """What ``net:PATH,…`` accepts."""

    path: str = option("", "a run directory, its newest checkpoint being used, or one checkpoint")
    simulations: int = option(64, "descents of the tree per move; 0 = the raw policy, without search", low=0)
    temperature: float = option(0.0, "0 plays the best move; above, moves are drawn by weight^(1/temperature)", low=0.0)
    c_scale: float = option(0.25, "how much values count beside the network's own preference for moves", low=0.0)
    c_backup: float = option(
        0.0, "above 0 (such as 0.5), a reply once found counts at once; 0 = as one of all simulations", low=0.0
    )
    mask: bool = option(
        True, "false, without search: nobody tells the network which moves are legal; its illegal choices are counted"
    )
    device: str = option("auto", "where the network runs: auto, cpu, cuda, cuda:1")

    def __post_init__(self) -> None:
        if not self.path:
            raise ArenaError("Agent 'net' needs a run or a checkpoint; write it as in net:runs/c4,simulations=64.")
        if not self.mask and self.simulations > 0:
            raise ArenaError("A search knows the legal moves; mask=false goes with simulations=0.")


class NetAgent:
    """Gumbel search (Danihelka et al., 2022) without root noise, or the network's policy by itself.

    Attributes:
        choices: how many moves were chosen without a mask.
        illegal_choices: how many of those were illegal; the best legal move was played in their place.
    """

    def __init__(self, spec: str, game: Game, options: NetOptions, trained: _Trained) -> None:
        self.name = spec
        self.choices = self.illegal_choices = 0
        self._game, self._options, self._trained = game, options, trained
        self._search: Search | None = None
        if options.simulations > 0:
            settings = self._trained.settings
            config = SearchConfig(
                simulations=options.simulations,
                c_scale=options.c_scale,
                c_backup=options.c_backup,
                add_noise=False,
                temperature=0,
                **settings,
            )
            self._search = Search(game, self._trained.evaluator, config, cache=self._trained.cache)

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        if self._search:
            result = self._search.act(states, rng, slots)
        else:
            mask = self._game.legal_action_mask(states)
            result = self._raw_policy(self._trained.evaluator.evaluate(states, mask), mask)
        return self._drawn(result, rng)

    def reset(self) -> None:
        """Forgets the trees; what the network said about positions stays true and is kept."""
        if self._search:
            self._search.reset()

    def forget(self, slots: Array) -> None:
        """See ``ForgettingAgent``."""
        if self._search:
            self._search.forget(slots)

    def analysis(self, rng: np.random.Generator, megabytes: float) -> Analysis | None:
        """See ``Analyst``."""
        if self._options.temperature > 0:
            raise ArenaError(f"{self.name} draws its moves; an engine plays the best one: leave temperature out.")
        if self._search is None:
            return None
        trained = self._trained
        return Analysis(self._game, trained.evaluator, self._search.config, trained.cache, megabytes=megabytes)

    def remark(self) -> str:
        """What there is to say of its play beside the results; "" where there is nothing."""
        if self._options.mask or not self.choices:
            return ""
        share = self.illegal_choices / self.choices
        return f"{self.name}: {self.illegal_choices} of {self.choices} moves were illegal at first ({share:.2%})."

    def _drawn(self, result: SearchResult, rng: np.random.Generator) -> SearchResult:
        if self._options.temperature > 0:
            return replace(result, action=_draw(result.action_weights, self._options.temperature, rng))
        return result

    def _raw_policy(self, evaluation: Evaluation, mask: Array) -> SearchResult:
        if not self._options.mask:
            first = evaluation.prior_logits.argmax(axis=1)
            self.choices += len(first)
            self.illegal_choices += int((~mask[np.arange(len(first)), first]).sum())
        logits = np.where(mask, evaluation.prior_logits.astype(np.float64), -np.inf)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return SearchResult(
            action=np.argmax(logits, axis=1),
            action_weights=(weights / weights.sum(axis=1, keepdims=True)).astype(np.float32),
            value=evaluation.value,
            visit_counts=np.zeros(mask.shape, dtype=np.int32),
        )


class SearchingNetAgent(NetAgent):
    """The same as a ``PatientAgent``: in matches all agents that play by the same weights, each with simulations of its
    own, search as one, so that the network sees the positions of all their games in the same batches."""

    def __init__(self, spec: str, game: Game, options: NetOptions, trained: _Trained) -> None:
        super().__init__(spec, game, options, trained)
        assert self._search is not None
        constants = options.c_scale, options.c_backup
        if constants not in trained.shared:
            # Its cache is its own, because leaves may wait in it while others search.
            own = EvaluationCache(megabytes=CACHE_MEGABYTES)
            trained.shared[constants] = SharedSearch(Search(game, trained.evaluator, self._search.config, own))
        self._shared = trained.shared[constants]
        self._member = self._shared.join(options.simulations)

    def begin(self, states: Array, rng: np.random.Generator, slots: Array, simulations: int | None = None) -> None:
        """See ``PatientAgent``."""
        self._shared.begin(self._member, states, rng, slots, simulations)

    def finished(self) -> tuple[Array, SearchResult]:
        """See ``PatientAgent``."""
        return self._shared.finished(self._member)

    def forget(self, slots: Array) -> None:
        """See ``ForgettingAgent``."""
        super().forget(slots)
        self._shared.forget(self._member, slots)

    def reset(self) -> None:
        super().reset()
        self._shared.reset(self._member)


class SequenceNetAgent(NetAgent):
    """The same with a network that reads the course of a game: a ``HistoryAgent``. Without a search, a recurrent
    network carries its state from move to move and reads on, instead of reading the game again."""

    def __init__(self, spec: str, game: Game, options: NetOptions, trained: _Trained) -> None:
        assert isinstance(trained.game, History)
        super().__init__(spec, trained.game, options, trained)
        self._history = trained.game
        self._reader = None if options.simulations or trained.make_reader is None else trained.make_reader()

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        """Only at the start of a game are the moves so far known without being told."""
        return self.act_after(states, np.zeros((len(states), 0), np.int64), np.zeros(len(states), np.int64), rng, slots)

    def act_after(
        self, states: Array, moves: Array, plies: Array, rng: np.random.Generator, slots: Array | None = None
    ) -> SearchResult:
        if not np.array_equal(states["ply"], plies):
            raise ArenaError(
                f"{self.name} plays by the moves from the start of a game, and this position comes without them."
            )
        if self._reader is None:  # a search, or a network that reads everything again
            return super().act(self._history.remember(states, moves, plies), rng, slots)
        mask = self._history.game.legal_action_mask(states)
        return self._drawn(self._raw_policy(self._reader.evaluate(moves, plies, slots), mask), rng)

    def reset(self) -> None:
        super().reset()
        if self._reader is not None:
            self._reader.forget()


def _draw(weights: Array, temperature: float, rng: np.random.Generator) -> Array:
    """One action (int64 ``[B]``) from each row of ``weights`` ``[B, A]`` raised to ``1 / temperature``."""
    with np.errstate(divide="ignore"):
        logits = np.log(weights.astype(np.float64)) / temperature
    return np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)


@dataclass(frozen=True)
class _Trained:
    """What all agents of this process that play by the same weights have in common.

    Attributes:
        evaluator: the network.
        cache: what it said about positions.
        settings: of the search, that it was trained with.
        game: as the network sees it.
        make_reader: of a recurrent network, what makes a reader that carries its state.
        shared: the searches that their games go to together, by ``c_scale`` and ``c_backup``.
    """

    evaluator: Evaluator
    cache: EvaluationCache
    settings: dict[str, Any]
    game: Game
    make_reader: Callable[[], Reader] | None = None
    shared: dict[tuple[float, float], SharedSearch] = field(default_factory=dict)


_in_use: weakref.WeakValueDictionary[tuple[object, ...], _Trained] = weakref.WeakValueDictionary()


def _trained(game: Game, options: NetOptions) -> _Trained:
    from agents.network_evaluator import NetworkEvaluator
    from agents.networks.description import read_description
    from agents.networks.files import find_network, load_network

    directory = find_network(Path(options.path))
    changed = tuple(file.stat().st_mtime_ns for file in sorted(directory.glob("network.*")))
    key = (directory.resolve(), changed, game.spec, options.device)
    trained = _in_use.get(key)
    if trained is None:
        config = read_description(directory)[0].config
        seen = as_seen(game, config.reads, config.context)
        network, metadata = load_network(directory, seen)
        saved = metadata.extra.get("search")
        settings = trained_with(saved if isinstance(saved, dict) else {})
        evaluator = NetworkEvaluator(seen, network, device=options.device)
        cache, reader = EvaluationCache(megabytes=CACHE_MEGABYTES), None
        if config.backbone == "recurrent":
            from agents.networks.reading import Reader

            assert isinstance(seen, History)
            reader = functools.partial(Reader, network, seen, evaluator.device, evaluator.precision)
        trained = _in_use[key] = _Trained(evaluator, cache, settings, seen, reader)
    return trained


def _build(spec: str, game: Game, options: NetOptions) -> Agent:
    trained = _trained(game, options)
    if isinstance(trained.game, History):
        return SequenceNetAgent(spec, game, options, trained)
    # Moves that are drawn are drawn for all games at once.
    is_patient = options.simulations > 0 and options.temperature == 0
    return (SearchingNetAgent if is_patient else NetAgent)(spec, game, options, trained)


KIND = AgentKind("net", "a trained network, alone or with search", NetOptions, _build, argument="path")
