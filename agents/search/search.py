"""The one search: many trees descend together, and the evaluator sees one batch of positions never seen before.

Simulations run in waves. In each wave every game that is not waiting for the evaluator makes one descent; a game whose
leaf is terminal or cached backs it up and goes straight on. The other leaves wait, and when few games are left to go
on, all waiting leaves are evaluated as one batch. ``act`` searches until all of its games are done; with ``begin`` and
``finished``, games that are done are handed out and others join in their place, so that batches stay full. Where the
evaluator computes elsewhere (a GPU), the games fall into two groups: while one batch is under way, the other group goes
on.

The search knows no game and no network: it is given a game and an evaluator.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np

from agents.core import Array, AsynchronousEvaluator, Evaluation, Evaluator, SearchResult
from agents.search import select
from agents.search import tree as trees
from agents.search.batch import Batch, legal_logits
from agents.search.cache import EvaluationCache
from agents.search.config import SearchConfig, shaped_returns
from games import Game

_GO_ON_SHARE = 1 / 3
"""Leaves are evaluated once the games that could still go on are fewer than this share of those that wait."""

ROW_FIELDS = ("_reusable", "_done", "_budget", "_draws", "_noise", "_line")
"""The arrays of ``Search`` that have an entry for every tree; see ``Search.reset``."""

_MAX_KEPT = 8
"""A reused tree may hold this many times the simulations of one move; a larger one is dropped."""


@dataclass
class SearchStats:
    """Counters since the search was made. Seconds are wall time."""

    moves: int = 0
    simulations: int = 0
    evaluations: int = 0
    batches: int = 0
    cache_hits: int = 0
    duplicates: int = 0
    terminals: int = 0
    seconds_network: float = 0.0
    seconds_rules: float = 0.0
    seconds_total: float = 0.0

    @contextlib.contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Adds the wall time of what is done in it to ``seconds_<part>``."""
        started = time.perf_counter()
        yield
        name = f"seconds_{part}"
        setattr(self, name, getattr(self, name) + time.perf_counter() - started)

    def since(self, earlier: SearchStats) -> SearchStats:
        """The difference of two readings."""
        return SearchStats(*(getattr(self, f.name) - getattr(earlier, f.name) for f in fields(self)))


class Search:
    """Chooses moves by searching ``game`` with ``evaluator``; an ``Agent``.

    Args:
        game: the rules.
        evaluator: scores leaves; when its ``version`` changes, cached evaluations are dropped.
        config: see ``SearchConfig``.
        cache: shared by all games; None, or an evaluator that is not ``cacheable``, evaluates every leaf anew.
    """

    def __init__(
        self, game: Game, evaluator: Evaluator, config: SearchConfig, cache: EvaluationCache | None = None
    ) -> None:
        self.name = f"{config.policy}:{config.simulations}"
        self.config = config
        self.stats = SearchStats()
        self._game = game
        self._evaluator = evaluator
        self._cache = cache if evaluator.cacheable else None
        self._rule = select.Rule.of(config)
        self._considered = min(config.max_considered, game.spec.num_actions)
        self._schedules: dict[int, Array] = {}  # by simulations
        for simulations in sorted({config.simulations, config.fast_simulations} - {0}):
            self.allow(simulations)
        self._elsewhere = evaluator if isinstance(evaluator, AsynchronousEvaluator) and evaluator.asynchronous else None
        self._waiting = Batch(0, 0, game.dtype.itemsize, game.spec.num_actions)
        self._under_way: tuple[Batch, Callable[[], Evaluation]] | None = None
        self._most_kept = _MAX_KEPT * (config.simulations + 1)
        self.reset()

    def reset(self) -> None:
        """Forgets all trees and searches that were begun. The cache, which others may share, keeps what is true."""
        nodes = 2 * (self.config.simulations + 1)
        self._tree = trees.resize(None, 0, nodes, nodes * min(self._game.spec.num_actions, 32))
        self._states = np.zeros((0, nodes, self._game.dtype.itemsize), dtype=np.uint8)
        # Per row: may its tree be kept; simulations done and to do; what was drawn for it; its line of the schedules.
        self._reusable = np.zeros(0, dtype=bool)
        self._done = np.zeros(0, dtype=np.int32)
        self._budget = np.zeros(0, dtype=np.int32)
        self._draws = np.zeros(0)
        self._noise = np.zeros((0, self._game.spec.num_actions))
        self._line = np.zeros(0, dtype=np.int64)
        self._active = np.empty(0, dtype=np.int64)  # rows that can make a descent
        self._finished: list[Array] = []
        if (self._waiting.num_leaves or self._under_way) and self._cache is not None:
            self._cache.clear()  # it holds the claims of leaves that nobody waits for any more
        self._waiting, self._under_way = self._new_batch(0), None

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the trees of all games take, the cache not included."""
        rows = (getattr(self, name) for name in ROW_FIELDS)
        return sum(array.nbytes for array in (*self._tree, self._states, *rows))

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        """Searches every one of ``states`` ``[B]`` and picks a move; see ``Agent.act``."""
        budget, noise, draws = self._draw(states, rng)
        return self.run(states, noise, budget, slots, draws)

    def forget(self, slots: Array) -> None:
        """Drops the trees of the games ``slots``; see ``ForgettingAgent``."""
        self._reusable[slots[slots < len(self._reusable)]] = False

    def allow(self, simulations: int) -> None:
        """Makes it ready for moves with so many simulations, beside those of its configuration."""
        if simulations not in self._schedules:
            self._schedules[simulations] = select.considered_visits(self._considered, simulations)
            shape = self._considered + 1, max(self._schedules)
            self._lines = np.concatenate([trees.enlarged(table, shape) for table in self._schedules.values()])

    def begin(self, states: Array, rng: np.random.Generator, slots: Array, simulations: int | None = None) -> None:
        """Starts to search ``states`` ``[B]`` for the games ``slots``; see ``PatientAgent.begin``.

        ``simulations``: for each of them, if that is not to be as the configuration says.
        """
        budget, noise, draws = self._draw(states, rng)
        most_kept = self._most_kept
        if simulations is not None:
            self.allow(simulations)
            budget, most_kept = np.full(len(states), simulations), _MAX_KEPT * (simulations + 1)
        with self.stats.timing("total"):
            rows = np.asarray(slots, dtype=np.int64)
            self._begin(rows, states, noise, budget, draws, self.config.reuse_tree, most_kept)

    def finished(self) -> tuple[Array, SearchResult]:
        """Goes on until at least one game is searched, and returns the slots and results of those that are."""
        with self.stats.timing("total"):
            while self._is_busy and not (self._finished and self._should_evaluate):
                self._advance()
            rows = np.sort(np.concatenate([np.empty(0, dtype=np.int64), *self._finished]))
            self._finished = []
            return rows, self._result(rows)

    def run(
        self,
        states: Array,
        noise: Array,
        budget: Array,
        slots: Array | None = None,
        draws: Array | None = None,
    ) -> SearchResult:
        """The search itself, without randomness of its own.

        Args:
            states: ``[B]``, none terminated.
            noise: float64 ``[B, A]``: Gumbel noise added to the root's logits, or Dirichlet noise (PUCT; rows of zeros
                where there is to be none).
            budget: int ``[B]``, simulations for each root; the configuration's ``simulations`` or ``fast_simulations``.
            slots: see ``Agent.act``.
            draws: float64 ``[B]`` in [0, 1), which pick moves from visits (PUCT in its first plies); by default the
                most visited move is picked.
        """
        if self._is_busy or self._finished:
            raise RuntimeError("A search that was begun is not finished; fetch its results first.")
        rows = np.arange(len(states)) if slots is None else np.asarray(slots, dtype=np.int64)
        reuse = slots is not None and self.config.reuse_tree
        draws = np.full(len(states), np.nan) if draws is None else draws
        with self.stats.timing("total"):
            self._begin(rows, states, noise, budget, draws, reuse, self._most_kept)
            while self._is_busy:
                self._advance()
            self._finished = []
            self._reusable[rows] = slots is not None
            return self._result(rows)

    # ---- the roots ---------------------------------------------------------------------------------------------

    def _draw(self, states: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """All the randomness of the searches of ``states`` ``[B]``: their budgets, root noise, and draws of moves."""
        if states["terminated"].any():
            raise ValueError(f"{self._game.spec.name}: cannot search a game that is over.")
        config, shape = self.config, (len(states), self._game.spec.num_actions)
        is_full = np.ones(len(states), dtype=bool)
        if config.fast_simulations:
            is_full = rng.random(len(states)) < config.full_probability
        noise = np.zeros(shape)
        if config.add_noise and config.policy == "gumbel":
            noise = rng.gumbel(size=shape)
        elif config.add_noise:
            gamma = rng.standard_gamma(config.dirichlet_alpha, size=shape) * self._game.legal_action_mask(states)
            noise = gamma / np.maximum(gamma.sum(axis=1, keepdims=True), 1e-30)
        if config.noise_plies is not None:
            noise[states["ply"] >= config.noise_plies] = 0.0
        noise[~is_full] = 0.0
        draws = np.full(len(states), np.nan)
        if config.policy == "puct" and config.temperature > 0:
            draws = np.where(states["ply"] < config.temperature_plies, rng.random(len(states)), np.nan)
        return np.where(is_full, config.simulations, config.fast_simulations), noise, draws

    def _begin(
        self, rows: Array, states: Array, noise: Array, budget: Array, draws: Array, reuse: bool, most_kept: int
    ) -> None:
        """Gives ``rows`` ``[B]`` their roots and makes them ready to descend, or to wait for the root's evaluation."""
        if self._cache is not None and self._cache.version != self._evaluator.version:
            self._drain()
            self._cache.clear()
            self._cache.version = self._evaluator.version
            self._reusable[:] = False
        self._plant(rows, states, int(budget.max()) + 1, reuse, most_kept)
        self._done[rows], self._budget[rows], self._draws[rows], self._noise[rows] = 0, budget, draws, noise
        for number, simulations in enumerate(self._schedules):
            self._line[rows[budget == simulations]] = number * (self._considered + 1)
        is_expanded = self._tree.edge_count[rows, 0] > 0
        self._go_on(rows[is_expanded])
        if len(unexpanded := rows[~is_expanded]):
            roots = np.zeros(len(unexpanded), dtype=np.int32)
            self._go_on(self._score(unexpanded, roots, self._root_states(unexpanded)))

    def _plant(self, rows: Array, states: Array, new_nodes: int, reuse: bool, most_kept: int) -> None:
        """Gives every row a root: the descendant of its old root that holds the state, or else a new one. Trees of more
        than ``most_kept`` nodes are dropped."""
        self._make_room(rows, new_nodes)
        kept = np.full(len(rows), -1, dtype=np.int32)
        old = np.flatnonzero(self._reusable[rows]) if reuse else np.empty(0, dtype=np.int64)
        if len(old):
            found = np.empty(len(old), dtype=np.int32)
            wanted = _as_bytes(states)[old]
            trees.find_descendant(self._tree, rows[old], self._states, wanted, self._game.spec.num_players, found)
            kept[old] = found
            trees.reroot(self._tree, rows[kept >= 0], kept[kept >= 0], self._states)
            too_large = self._tree.num_nodes[rows] > most_kept
            kept[too_large] = -1
        fresh = kept < 0
        trees.reset_rows(self._tree, rows[fresh], states["to_play"][fresh])
        self._states[rows[fresh], 0] = _as_bytes(states)[fresh]
        self._make_room(rows, new_nodes)
        self._reusable[rows] = True

    def _make_room(self, rows: Array, new_nodes: int) -> None:
        have_rows, have_nodes = self._tree.parent.shape
        num_rows = max(have_rows, int(rows.max()) + 1)
        used = self._tree.num_nodes[rows[rows < have_rows]].max(initial=0)
        num_nodes = have_nodes if used + new_nodes <= have_nodes else 2 * (int(used) + new_nodes)
        if (num_rows, num_nodes) == (have_rows, have_nodes):
            return
        self._tree = trees.resize(
            self._tree, num_rows, num_nodes, max(self._tree.action.shape[1], self._game.spec.num_actions)
        )
        self._states = trees.enlarged(self._states, (num_rows, num_nodes, self._states.shape[2]))
        for name in ROW_FIELDS:
            array = getattr(self, name)
            setattr(self, name, trees.enlarged(array, (num_rows, *array.shape[1:])))

    # ---- the waves ---------------------------------------------------------------------------------------------

    @property
    def _is_busy(self) -> bool:
        return len(self._active) > 0 or self._waiting.num_leaves > 0 or self._under_way is not None

    @property
    def _should_evaluate(self) -> bool:
        if self._elsewhere and self._under_way is None and self._waiting.num_leaves >= len(self._active):
            return True  # the first half of the games is one group, the rest the other
        return len(self._active) <= _GO_ON_SHARE * self._waiting.num_leaves

    def _advance(self) -> None:
        """One wave of descents, or one batch of all that wait sent off, and the one before it taken in."""
        if not self._should_evaluate:
            self._wave()
            return
        before, self._under_way = self._under_way, None
        if self._waiting.num_leaves:
            self._submit()
        if before is not None:
            self._take_in(*before)
        elif not self._elsewhere:
            self._drain()

    def _drain(self) -> None:
        """Has everything evaluated that waits or is under way."""
        while self._under_way is not None or self._waiting.num_leaves:
            if self._under_way is None:
                self._submit()
            assert self._under_way is not None
            under_way, self._under_way = self._under_way, None
            self._take_in(*under_way)

    def _go_on(self, rows: Array) -> None:
        """Takes in ``rows`` whose root has just become ready."""
        self._line[rows] += np.minimum(self._tree.edge_count[rows, 0], self._considered)
        self._active = np.concatenate([self._active, rows])

    def _count(self, rows: Array) -> None:
        """Takes in ``rows`` that have just made a simulation."""
        going_on, finished = trees.counted(rows, self._done, self._budget)
        self._active = np.concatenate([self._active, going_on])
        if len(finished):
            self._finished.append(finished)

    def _wave(self) -> None:
        """One descent in each active row. Those that were backed up are counted; the others wait."""
        active, self._active = self._active, self._active[:0]
        rows = np.empty(len(active), dtype=np.int64)
        nodes, edges, actions = np.empty((3, len(active)), dtype=np.int32)
        states = np.empty(len(active), dtype=self._game.dtype)
        schedules = self._lines, self._line, self._done
        outputs = rows, nodes, edges, actions, _as_bytes(states)
        found = select.descend(self._tree, active, self._rule, self._noise, *schedules, self._states, *outputs)
        states = states[:found]
        children, live = self._grow(rows[:found], nodes[:found], edges[:found], actions[:found], states)
        self.stats.terminals += len(rows) - live
        self._count(np.concatenate([rows[live:], self._score(rows[:live], children[:live], states[:live])]))

    def _grow(self, rows: Array, nodes: Array, edges: Array, actions: Array, states: Array) -> tuple[Array, int]:
        """Plays ``actions`` in ``states``, those of the ``nodes``, and hangs what comes of it under their ``edges``.

        Returns the new nodes, and how many of them did not end the game: see ``tree.grow`` for their order.
        """
        results = np.zeros(len(rows), dtype=np.float32)
        with self.stats.timing("rules"):
            self._game.step_unchecked(states, actions)
            if len(ended := np.flatnonzero(states["terminated"])):
                results[ended] = self._terminal_values(_rows_of(states, ended))
        # Copied, since a field of one state is contiguous and one of several is not: two versions to compile.
        facts = states["to_play"].copy(), states["terminated"].copy(), results, _as_bytes(states)
        children = np.empty(len(rows), dtype=np.int32)
        return children, trees.grow(self._tree, self._rule, rows, nodes, edges, *facts, self._states, children)

    def _root_states(self, rows: Array) -> Array:
        return self._states[rows, 0].view(self._game.dtype)[:, 0]

    def _terminal_values(self, states: Array) -> Array:
        spec = self._game.spec
        returns = self._game.returns(states)
        returns = shaped_returns(returns, states["ply"], spec.max_plies, self.config.length_weight)
        return returns[np.arange(len(states)), states["to_play"]]

    def _score(self, rows: Array, nodes: Array, states: Array) -> Array:
        """Expands and backs up the leaves that the cache knows; returns their rows. The others join those waiting."""
        if not len(rows):
            return rows
        waiting = self._waiting
        with self.stats.timing("rules"):
            masks = self._game.legal_action_mask(states)
            keys = np.zeros(len(rows), dtype=np.uint64) if self._cache is None else self._game.hash(states)
        leaves = np.arange(len(rows))
        if self._cache is None:
            starts, claimed = -1 - waiting.end - leaves, leaves
        else:
            if waiting.num_leaves == 0:
                self._cache.make_room(2 * self._tree.parent.shape[0], 0)
            starts, values, claimed = self._cache.lookup(keys, waiting.end)
            self._expand(rows, nodes, masks, leaves, self._cache.logits, starts, values)
        waiting.add(claimed, _as_bytes(states), masks, keys)
        waiting.join(rows, nodes, starts)
        if self._under_way is not None:
            self._under_way[0].join(rows, nodes, starts)
        hits = rows[starts >= 0]
        self.stats.cache_hits += len(hits)
        self.stats.duplicates += len(rows) - len(hits) - len(claimed)
        return hits

    def _submit(self) -> None:
        """Hands all that wait to the evaluator, as one batch."""
        batch = self._waiting
        self._waiting = self._new_batch(batch.end)
        with self.stats.timing("network"):
            self._under_way = batch, self._submitted(batch.states.view(self._game.dtype)[:, 0], batch.masks)
        self.stats.evaluations += batch.num_positions
        self.stats.batches += 1

    def _new_batch(self, first: int) -> Batch:
        return Batch(first, len(self._states), self._game.dtype.itemsize, self._game.spec.num_actions)

    def _submitted(self, states: Array, masks: Array) -> Callable[[], Evaluation]:
        if self._elsewhere:
            return self._elsewhere.submit(states, masks)
        evaluation = self._evaluator.evaluate(states, masks)
        return lambda: evaluation

    def _take_in(self, batch: Batch, answer: Callable[[], Evaluation]) -> None:
        """Waits for the answer to a batch, expands and backs up its leaves, and counts them."""
        with self.stats.timing("network"):
            evaluation = answer()
        logits, starts = legal_logits(batch.masks, np.ascontiguousarray(evaluation.prior_logits, np.float32))
        values = evaluation.value.astype(np.float32, copy=False)
        if self._cache is not None:
            self._cache.store(batch.keys, logits, starts, values)
        rows, nodes, positions = batch.rows, batch.nodes, batch.positions
        self._expand(rows, nodes, batch.masks, positions, logits, starts[positions], values[positions])
        is_root = nodes == 0
        self._go_on(rows[is_root])
        self._count(rows[~is_root])

    def _expand(self, *leaves: Array) -> None:
        while not trees.expand(self._tree, self._rule, *leaves):
            rows, nodes = self._tree.parent.shape
            room = self._tree.action.shape[1]
            self._tree = trees.resize(self._tree, rows, nodes, max(room + self._game.spec.num_actions, room * 3 // 2))

    # ---- the answer --------------------------------------------------------------------------------------------

    def _result(self, rows: Array) -> SearchResult:
        shape = (len(rows), self._game.spec.num_actions)
        actions = np.empty(len(rows), dtype=np.int64)
        weights = np.zeros(shape, dtype=np.float32)
        visits = np.zeros(shape, dtype=np.int32)
        values = np.empty(len(rows), dtype=np.float32)
        trees_args = (self._tree, rows, self._rule, self._noise)
        select.summarise_roots(*trees_args, actions, weights, visits, values)
        if len(drawn := np.flatnonzero(~np.isnan(self._draws[rows]))):
            actions[drawn] = self._sampled(weights[drawn], self._draws[rows[drawn]])
        if self.config.fast_simulations:
            weights[self._budget[rows] == self.config.fast_simulations] = 0.0
        self.stats.moves += len(rows)
        self.stats.simulations += int(self._budget[rows].sum())
        return SearchResult(action=actions, action_weights=weights, value=values, visit_counts=visits)

    def _sampled(self, weights: Array, draws: Array) -> Array:
        """The action of each row ``[K, A]`` that ``draws`` ``[K]`` picks from shares of visits ** (1 / temperature)."""
        weights = weights.astype(np.float64)
        shares = (weights / weights.max(axis=1, keepdims=True)) ** (1.0 / self.config.temperature)
        cumulative = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
        return np.argmax(cumulative > draws[:, None] * cumulative[:, -1:], axis=1)


def _rows_of(states: Array, rows: Array) -> Array:
    """``states[rows]``, copied as bytes."""
    return _as_bytes(states)[rows].view(states.dtype)[:, 0]


def _as_bytes(states: Array) -> Array:
    """The same memory as uint8 ``[B, bytes]``; NumPy copies structured arrays field by field, bytes in one go."""
    return states.view(np.uint8).reshape(len(states), states.dtype.itemsize)
