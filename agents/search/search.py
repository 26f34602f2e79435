"""The one search: many trees descend together, and the evaluator sees one batch of positions never seen before.

``Search.act`` runs every game's simulations in waves. In each wave every game that is not waiting for the evaluator
makes one descent; a game whose leaf is terminal or cached backs it up and goes straight on. The other leaves wait, and
when few games are left to go on, all waiting leaves are evaluated as one batch. The search knows no game and no
network: it is given a game and an evaluator.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields

import numpy as np

from agents.core import Array, Evaluator, SearchResult
from agents.search import select
from agents.search import tree as trees
from agents.search.cache import EvaluationCache
from agents.search.config import SearchConfig, shaped_returns
from games import Game

_GO_ON_SHARE = 1 / 3
"""Leaves are evaluated once the games that could still go on are fewer than this share of those that wait."""

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

    def since(self, earlier: SearchStats) -> SearchStats:
        """The difference of two readings."""
        return SearchStats(*(getattr(self, f.name) - getattr(earlier, f.name) for f in fields(self)))


@dataclass
class _Waiting:
    """Leaves whose evaluation is not known yet. ``states`` (as bytes) and ``masks`` hold each position once."""

    states: list[Array] = field(default_factory=list)
    masks: list[Array] = field(default_factory=list)
    keys: list[Array] = field(default_factory=list)
    rows: list[Array] = field(default_factory=list)
    nodes: list[Array] = field(default_factory=list)
    positions: list[Array] = field(default_factory=list)
    num_positions: int = 0
    num_rows: int = 0


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
        self._schedules = {
            budget: select.considered_visits(min(config.max_considered, game.spec.num_actions), budget)
            for budget in {config.simulations, config.fast_simulations} - {0}
        }
        self.reset()

    def reset(self) -> None:
        """Forgets all trees. The cache, which others may share, keeps what is still true."""
        nodes = 2 * (self.config.simulations + 1)
        self._tree = trees.resize(None, 0, nodes, nodes * min(self._game.spec.num_actions, 32))
        self._states = np.zeros((0, nodes, self._game.dtype.itemsize), dtype=np.uint8)
        self._reusable = np.zeros(0, dtype=bool)

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        """Searches every one of ``states`` ``[B]`` and picks a move; see ``Agent.act``."""
        if states["terminated"].any():
            raise ValueError(f"{self._game.spec.name}: cannot search a game that is over.")
        mask = self._game.legal_action_mask(states)
        is_full = np.ones(len(states), dtype=bool)
        if self.config.fast_simulations:
            is_full = rng.random(len(states)) < self.config.full_probability
        noise = self._root_noise(mask, rng)
        noise[~is_full] = 0.0
        budget = np.where(is_full, self.config.simulations, self.config.fast_simulations)
        result = self.run(states, noise, budget, slots)
        result.action_weights[~is_full] = 0.0
        if self.config.policy == "puct" and self.config.temperature > 0:
            self._sample_actions(states, result, rng)
        return result

    def run(self, states: Array, noise: Array, budget: Array, slots: Array | None = None) -> SearchResult:
        """The search itself, without randomness of its own.

        Args:
            states: ``[B]``, none terminated.
            noise: float64 ``[B, A]``: Gumbel noise added to the root's logits, or Dirichlet noise (PUCT; rows of zeros
                where there is to be none).
            budget: int ``[B]``, simulations for each root; the configuration's ``simulations`` or ``fast_simulations``.
            slots: see ``Agent.act``.
        """
        started = time.perf_counter()
        rows = np.arange(len(states)) if slots is None else np.asarray(slots, dtype=np.int64)
        self._plant(rows, states, budget, reuse=slots is not None and self.config.reuse_tree)
        self._simulate(rows, noise, budget)
        result = self._summarise(rows)
        self._reusable[rows] = slots is not None
        self.stats.moves += len(rows)
        self.stats.simulations += int(budget.sum())
        self.stats.seconds_total += time.perf_counter() - started
        return result

    # ---- the roots ---------------------------------------------------------------------------------------------

    def _root_noise(self, mask: Array, rng: np.random.Generator) -> Array:
        if not self.config.add_noise:
            return np.zeros(mask.shape)
        if self.config.policy == "gumbel":
            return rng.gumbel(size=mask.shape)
        gamma = rng.standard_gamma(self.config.dirichlet_alpha, size=mask.shape) * mask
        return gamma / np.maximum(gamma.sum(axis=1, keepdims=True), 1e-30)

    def _plant(self, rows: Array, states: Array, budget: Array, reuse: bool) -> None:
        """Gives every row a root: the descendant of its old root that holds the state, or else a new one."""
        self._make_room(rows, int(budget.max()) + 1)
        if self._cache is not None and self._cache.version != self._evaluator.version:
            self._cache.clear()
            self._cache.version = self._evaluator.version
            self._reusable[:] = False
        kept = np.full(len(rows), -1, dtype=np.int32)
        old = np.flatnonzero(self._reusable[rows]) if reuse else np.empty(0, dtype=np.int64)
        if len(old):
            found = np.empty(len(old), dtype=np.int32)
            wanted = _as_bytes(states)[old]
            trees.find_descendant(self._tree, rows[old], self._states, wanted, self._game.spec.num_players, found)
            kept[old] = found
            trees.reroot(self._tree, rows[kept >= 0], kept[kept >= 0], self._states)
            too_large = self._tree.num_nodes[rows] > _MAX_KEPT * (self.config.simulations + 1)
            kept[too_large] = -1
        fresh = kept < 0
        trees.reset_rows(self._tree, rows[fresh], states["to_play"][fresh])
        self._states[rows[fresh], 0] = _as_bytes(states)[fresh]
        self._make_room(rows, int(budget.max()) + 1)
        width = self._game.spec.num_actions
        self._tree.start_visits[rows, :width] = self._tree.visits[rows, :width]

    def _make_room(self, rows: Array, new_nodes: int) -> None:
        have_rows, have_nodes = self._tree.parent.shape
        num_rows = max(have_rows, int(rows.max()) + 1)
        used = self._tree.num_nodes[rows[rows < have_rows]].max(initial=0)
        num_nodes = have_nodes if used + new_nodes <= have_nodes else 2 * (int(used) + new_nodes)
        if (num_rows, num_nodes) != (have_rows, have_nodes):
            edges = max(self._tree.action.shape[1], self._game.spec.num_actions)
            self._tree = trees.resize(self._tree, num_rows, num_nodes, edges)
            states = np.zeros((num_rows, num_nodes, self._states.shape[2]), dtype=np.uint8)
            states[:have_rows, :have_nodes] = self._states
            self._states = states
            self._reusable = np.concatenate([self._reusable, np.zeros(num_rows - have_rows, dtype=bool)])

    # ---- the waves ---------------------------------------------------------------------------------------------

    def _simulate(self, rows: Array, noise: Array, budget: Array) -> None:
        num_rows = self._tree.parent.shape[0]
        self._done = np.zeros(num_rows, dtype=np.int32)
        self._budget = np.zeros(num_rows, dtype=np.int32)
        self._budget[rows] = budget
        self._noise = np.zeros((num_rows, noise.shape[1]))
        self._noise[rows] = noise
        self._schedule = np.zeros((num_rows, int(budget.max())), dtype=np.int32)
        waiting = _Waiting()
        unexpanded = rows[self._tree.edge_count[rows, 0] == 0]
        active = rows[self._tree.edge_count[rows, 0] > 0]
        if len(unexpanded):
            roots = np.zeros(len(unexpanded), dtype=np.int32)
            active = np.concatenate([active, self._score(unexpanded, roots, self._root_states(unexpanded), waiting)])
        if waiting.num_rows:
            active = np.concatenate([active, self._evaluate(waiting)])
            waiting = _Waiting()
        self._set_schedules(rows, budget)
        while len(active) or waiting.num_rows:
            if len(active) <= _GO_ON_SHARE * waiting.num_rows:
                scored = self._evaluate(waiting)
                self._done[scored] += 1
                active = np.concatenate([active, scored[self._done[scored] < self._budget[scored]]])
                waiting = _Waiting()
                continue
            finished = self._wave(active, waiting)
            self._done[finished] += 1
            active = finished[self._done[finished] < self._budget[finished]]

    def _set_schedules(self, rows: Array, budget: Array) -> None:
        counts = np.minimum(self._tree.edge_count[rows, 0], self.config.max_considered)
        for simulations, table in self._schedules.items():
            chosen = budget == simulations
            self._schedule[rows[chosen], :simulations] = table[counts[chosen]]

    def _wave(self, rows: Array, waiting: _Waiting) -> Array:
        """One descent in each of ``rows``. Returns those that were backed up; the others joined ``waiting``."""
        out_rows = np.empty(len(rows), dtype=np.int64)
        nodes, edges, actions = np.empty((3, len(rows)), dtype=np.int32)
        states = np.empty(len(rows), dtype=self._game.dtype)
        outputs = (out_rows, nodes, edges, actions, _as_bytes(states))
        found = select.descend(
            self._tree, rows, self._rule, self._noise, self._schedule, self._done, self._states, *outputs
        )
        grown, at_terminal, states = out_rows[:found], out_rows[found:], states[:found]
        started = time.perf_counter()
        self._game.step_unchecked(states, actions[:found])
        ended = np.flatnonzero(states["terminated"])
        results = np.zeros(found, dtype=np.float32)
        if len(ended):
            results[ended] = self._terminal_values(_rows_of(states, ended))
        self.stats.seconds_rules += time.perf_counter() - started

        children = np.empty(found, dtype=np.int32)
        facts = (states["to_play"], states["terminated"], results, _as_bytes(states))
        trees.grow(self._tree, grown, nodes[:found], edges[:found], *facts, self._states, children)
        self.stats.terminals += len(at_terminal) + len(ended)
        if len(ended):
            live = np.flatnonzero(~states["terminated"])
            at_terminal = np.concatenate([at_terminal, grown[ended]])
            grown, children, states = grown[live], children[live], _rows_of(states, live)
        return np.concatenate([at_terminal, self._score(grown, children, states, waiting)])

    def _root_states(self, rows: Array) -> Array:
        return self._states[rows, 0].view(self._game.dtype)[:, 0]

    def _terminal_values(self, states: Array) -> Array:
        spec = self._game.spec
        returns = self._game.returns(states)
        returns = shaped_returns(returns, states["ply"], spec.max_plies, self.config.length_weight)
        return returns[np.arange(len(states)), states["to_play"]]

    def _score(self, rows: Array, nodes: Array, states: Array, waiting: _Waiting) -> Array:
        """Expands and backs up the leaves that the cache knows; returns their rows. The others join ``waiting``."""
        if not len(rows):
            return rows
        started = time.perf_counter()
        masks = self._game.legal_action_mask(states)
        keys = np.zeros(len(rows), dtype=np.uint64) if self._cache is None else self._game.hash(states)
        self.stats.seconds_rules += time.perf_counter() - started
        if self._cache is None:
            positions = np.arange(len(rows)) + waiting.num_positions
            self._wait(waiting, rows, nodes, positions, _as_bytes(states), masks, keys)
            return rows[:0]
        if waiting.num_positions == 0:
            self._cache.make_room(2 * self._tree.parent.shape[0], 0)
        starts, values, claimed = self._cache.lookup(keys, waiting.num_positions)
        leaves = np.arange(len(rows))
        self._expand(rows, nodes, masks, leaves, self._cache.logits, starts, values)
        hits, missed = np.flatnonzero(starts >= 0), np.flatnonzero(starts < 0)
        self.stats.cache_hits += len(hits)
        self.stats.duplicates += len(missed) - len(claimed)
        new = (_as_bytes(states)[claimed], masks[claimed], keys[claimed])
        self._wait(waiting, rows[missed], nodes[missed], -1 - starts[missed], *new)
        return rows[hits]

    @staticmethod
    def _wait(
        waiting: _Waiting,
        rows: Array,
        nodes: Array,
        positions: Array,
        states: Array,
        masks: Array,
        keys: Array,
    ) -> None:
        waiting.rows.append(rows)
        waiting.nodes.append(nodes)
        waiting.positions.append(positions)
        waiting.states.append(states)
        waiting.masks.append(masks)
        waiting.keys.append(keys)
        waiting.num_positions += len(states)
        waiting.num_rows += len(rows)

    def _evaluate(self, waiting: _Waiting) -> Array:
        """Evaluates all waiting positions as one batch, expands and backs up their leaves; returns their rows."""
        states = np.concatenate(waiting.states).view(self._game.dtype)[:, 0]
        masks = np.concatenate(waiting.masks)
        started = time.perf_counter()
        evaluation = self._evaluator.evaluate(states, masks)
        self.stats.seconds_network += time.perf_counter() - started
        self.stats.evaluations += len(states)
        self.stats.batches += 1
        logits = evaluation.prior_logits[masks].astype(np.float32, copy=False)
        starts = np.concatenate([[0], np.cumsum(masks.sum(axis=1))])
        values = evaluation.value.astype(np.float32, copy=False)
        if self._cache is not None:
            self._cache.store(np.concatenate(waiting.keys), logits, starts, values)
        rows, nodes = np.concatenate(waiting.rows), np.concatenate(waiting.nodes)
        positions = np.concatenate(waiting.positions)
        self._expand(rows, nodes, masks, positions, logits, starts[positions], values[positions])
        return rows

    def _expand(self, *leaves: Array) -> None:
        while not trees.expand(self._tree, *leaves):
            rows, nodes = self._tree.parent.shape
            room = self._tree.action.shape[1]
            self._tree = trees.resize(self._tree, rows, nodes, max(room + self._game.spec.num_actions, room * 3 // 2))

    # ---- the answer --------------------------------------------------------------------------------------------

    def _summarise(self, rows: Array) -> SearchResult:
        shape = (len(rows), self._game.spec.num_actions)
        actions = np.empty(len(rows), dtype=np.int64)
        weights = np.zeros(shape, dtype=np.float32)
        visits = np.zeros(shape, dtype=np.int32)
        values = np.empty(len(rows), dtype=np.float32)
        trees_args = (self._tree, rows, self._rule, self._noise)
        select.summarise_roots(*trees_args, actions, weights, visits, values)
        return SearchResult(action=actions, action_weights=weights, value=values, visit_counts=visits)

    def _sample_actions(self, states: Array, result: SearchResult, rng: np.random.Generator) -> None:
        """Draws from visits ** (1 / temperature) in the games that are still in their first plies."""
        early = np.flatnonzero(states["ply"] < self.config.temperature_plies)
        if not len(early):
            return
        visits = result.visit_counts[early].astype(np.float64)
        visits /= visits.max(axis=1, keepdims=True)
        shares = visits ** (1.0 / self.config.temperature)
        cumulative = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
        draws = rng.random((len(early), 1)) * cumulative[:, -1:]
        result.action[early] = np.argmax(cumulative > draws, axis=1)


def _rows_of(states: Array, rows: Array) -> Array:
    """``states[rows]``, copied as bytes."""
    return _as_bytes(states)[rows].view(states.dtype)[:, 0]


def _as_bytes(states: Array) -> Array:
    """The same memory as uint8 ``[B, bytes]``; NumPy copies structured arrays field by field, bytes in one go."""
    return states.view(np.uint8).reshape(len(states), states.dtype.itemsize)
