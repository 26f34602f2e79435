"""One position searched for as long as one likes: what an engine needs, where self-play needs many games at once.

The tree grows on from slice to slice, and over moves. Each slice is a search of its own to the Gumbel root (sequential
halving starts anew, on the statistics so far), so that it may be stopped at any time and always has a move.

With only one tree, batches for the network come from descending several times before anything is evaluated. Edges on
the way count as visited meanwhile, at their present value, which sends the next descent elsewhere ("watch the
unobserved in UCT", Liu et al., 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from agents.core import Agent, Array, Evaluator
from agents.search import select
from agents.search import tree as trees
from agents.search.cache import EvaluationCache
from agents.search.config import SearchConfig
from agents.search.search import ROW_FIELDS, Search
from agents.search.tree import NO_CHILD, kernel, part
from games import Game

MAX_SLICE = 4096
"""Simulations that ``think`` makes at most, so that its schedule stays short."""

_PENDING = -2  # in place of a child: a descent has ended here in the present wave
_ROW = np.zeros(1, dtype=np.int64)  # of the only tree
_EDGE_BYTES = 32
_MOST_DEPTH = 128


@dataclass(frozen=True)
class Line:
    """A move of the root and what the search thinks comes after.

    Attributes:
        moves: actions, the root's first; each following one is the most visited.
        visits: simulations through the first.
        value: of the first for the player who makes it.
        prior: the network's probability of the first.
        ends: whether the game is over after the last.
    """

    moves: tuple[int, ...]
    visits: int
    value: float
    prior: float
    ends: bool


@runtime_checkable
class Analyst(Agent, Protocol):
    """An agent that can think about one position for as long as one likes."""

    def analysis(self, rng: np.random.Generator, megabytes: float) -> Analysis | None:
        """Its search, with a tree of at most so many ``megabytes``; None if it does without one."""
        ...


class Analysis(Search):
    """A search of one position at a time.

    Args:
        game, evaluator, config, cache: as for ``Search``; noise and temperature are off.
        megabytes: that the tree may take.
        leaves: that are evaluated together, at most.
    """

    def __init__(
        self,
        game: Game,
        evaluator: Evaluator,
        config: SearchConfig,
        cache: EvaluationCache | None = None,
        *,
        megabytes: float = 256,
        leaves: int = 8,
    ) -> None:
        self._leaves, self._bytes = leaves, megabytes * 2**20
        quiet = replace(config, add_noise=False, temperature=0.0, fast_simulations=0, reuse_tree=True)
        super().__init__(game, evaluator, quiet, cache)

    def reset(self) -> None:
        """Forgets the tree."""
        super().reset()
        self._is_thinking = False
        self._schedule = np.empty(0, dtype=np.int32)  # of the Gumbel root, for this slice
        # Memory that is never written to is never taken, so that there is room for either to fill it all.
        self._node_bytes = 22 + self._game.dtype.itemsize
        nodes, edges = int(self._bytes / self._node_bytes), int(self._bytes / _EDGE_BYTES)
        spare = 2 * self._leaves
        self._tree = trees.resize(None, 1, nodes + spare, edges + spare * self._game.spec.num_actions)
        self._states = np.zeros((1, nodes + spare, self._game.dtype.itemsize), dtype=np.uint8)
        for name in ROW_FIELDS:
            array = getattr(self, name)
            setattr(self, name, trees.enlarged(array, (1, *array.shape[1:])))
        self._most_kept = int(0.8 * nodes)

    @property
    def game(self) -> Game:
        """Whose states it looks at."""
        return self._game

    @property
    def share_full(self) -> float:
        """How much of the memory is in use, 0 to 1. Once it is full, ``think`` does nothing."""
        used = int(self._tree.num_nodes[0]) * self._node_bytes + int(self._tree.num_edges[0]) * _EDGE_BYTES
        return min(used / self._bytes, 1.0)

    @property
    def visits(self) -> int:
        """Simulations in the tree, those that it was reused with included."""
        return int(self._root("visits").sum())

    @property
    def under_way(self) -> int:
        """Simulations made by the ``think`` that is being stopped to ask."""
        return int(self._done[0]) if self._is_thinking else 0

    def look_at(self, states: Array, allowed: Sequence[int] | None = None) -> None:
        """Makes ``states`` ``[1]``, not terminated, the root, and keeps what is known of it.

        ``allowed``: the only moves to think about, of which at least one is legal; then nothing is kept.
        """
        if self._cache is not None and self._cache.version != self._evaluator.version:
            self._cache.clear()
            self._cache.version = self._evaluator.version
            self._reusable[:] = False
        self._plant(_ROW, states, 0, allowed is None, self._most_kept)
        self._noise[0] = self._done[0] = self._budget[0] = 0
        self._draws[0] = np.nan
        if self._tree.edge_count[0, 0] == 0:
            self._score(_ROW, np.zeros(1, dtype=np.int32), self._root_states(_ROW))
            while self._is_busy:
                self._advance()
        if allowed is not None:
            self._prune(allowed)

    def think(self, simulations: int, stop: Callable[[], bool]) -> int:
        """Makes up to ``simulations`` (and ``MAX_SLICE``) more, until ``stop()``; returns how many it made."""
        budget = min(simulations, MAX_SLICE)
        if self.share_full >= 1.0 or budget < 1:
            return 0
        count = int(self._tree.edge_count[0, 0])
        self._root("start_visits")[:] = self._root("visits")
        self._done[0], self._budget[0] = 0, budget
        if self._rule.policy == select.GUMBEL:
            self._schedule = np.array(select.halving(min(count, self._considered), budget), dtype=np.int32)
        self._active, self._is_thinking = _ROW, True
        with self.stats.timing("total"):
            while self._is_busy and not stop() and self.share_full < 1.0:
                self._advance()
            self._drain()
        self._active, self._is_thinking = _ROW[:0], False
        self.stats.simulations += int(self._done[0])
        return int(self._done[0])

    def lines(self, count: int) -> list[Line]:
        """The ``count`` best moves, the one to play first; those that were never tried are left out, except it."""
        actions, visits, priors = self._root("action"), self._root("visits"), self._root("prior")
        values, best = self._root("value_sum") / np.maximum(visits, 1), self._best()
        order = sorted(range(len(actions)), key=lambda edge: (edge != best, -visits[edge], -values[edge]))
        chosen = [edge for edge in order if visits[edge] or edge == best][:count]
        lines = []
        for edge in chosen:
            rest, ends = self._variation(int(self._root("child")[edge]))
            value = float(values[edge]) if visits[edge] else float(self._tree.raw_value[0, 0])
            lines.append(Line((int(actions[edge]), *rest), int(visits[edge]), value, float(priors[edge]), ends))
        return lines

    # ---- the one tree ------------------------------------------------------------------------------------------------

    def _root(self, field: str) -> Array:
        """An edge field of the root's edges; a view."""
        return getattr(self._tree, field)[0, : self._tree.edge_count[0, 0]]

    def _best(self) -> int:
        """The edge to play."""
        if not self._root("visits").any():
            return int(np.argmax(self._root("prior")))
        action = self._result(_ROW).action[0]
        return int(np.flatnonzero(self._root("action") == action)[0])

    def _variation(self, node: int) -> tuple[list[int], bool]:
        """The most visited moves from ``node`` on, and whether they end the game."""
        tree, moves = self._tree, []
        while node != NO_CHILD and not tree.terminal[0, node] and len(moves) < _MOST_DEPTH:
            edges = slice(tree.edge_start[0, node], tree.edge_start[0, node] + tree.edge_count[0, node])
            if edges.start == edges.stop or not tree.visits[0, edges].any():
                return moves, False
            edge = edges.start + int(np.argmax(tree.visits[0, edges]))
            moves.append(int(tree.action[0, edge]))
            node = int(tree.child[0, edge])
        return moves, node != NO_CHILD and bool(tree.terminal[0, node])

    def _prune(self, allowed: Sequence[int]) -> None:
        """Takes all but the ``allowed`` moves off the root, which is new."""
        kept = np.flatnonzero(np.isin(self._root("action"), np.asarray(allowed, dtype=np.int64)))
        for field in ("action", "logit", "prior"):
            self._root(field)[: len(kept)] = self._root(field)[kept]
        self._tree.edge_count[0, 0] = len(kept)
        self._root("prior")[:] /= self._root("prior").sum()
        self._reusable[0] = False  # nobody may take this tree for one with all moves

    def _go_on(self, rows: Array) -> None:
        """Nothing: ``think`` makes the root ready."""

    def _count(self, rows: Array) -> None:
        self._done[0] += len(rows)
        is_done = self._done[0] >= self._budget[0]
        self._active = _ROW[:0] if is_done else _ROW

    def _wave(self) -> None:
        """Descents to several leaves. Those that were backed up are counted; the others wait."""
        room = min(self._leaves, int(self._budget[0] - self._done[0]))
        nodes, edges, actions = np.empty((3, room), dtype=np.int32)
        states = np.empty(room, dtype=self._game.dtype)
        as_bytes = states.view(np.uint8).reshape(room, states.dtype.itemsize)
        found, ended = descend_apart(
            *(self._tree, self._rule, self._noise, self._schedule, int(self._done[0]), self._states),
            *(nodes, edges, actions, as_bytes),
        )
        assert found + ended, "a wave without a descent"
        rows, states = np.zeros(found, dtype=np.int64), states[:found]
        children, live = self._grow(rows, nodes[:found], edges[:found], actions[:found], states)
        self.stats.terminals += ended + found - live
        scored = self._score(rows[:live], children[:live], states[:live])
        self._count(np.zeros(ended + found - live + len(scored), dtype=np.int64))
        if self._waiting.num_leaves:
            self._active = _ROW[:0]


@kernel
def descend_apart(
    tree, rule, noise, schedule, done, node_states, out_nodes, out_edges, out_actions, out_states
):  # numba infers the types; Tree documents the fields
    """Descents in row 0, each to an edge without a child that no other ends at, as many as there is room for.

    ``done`` simulations were made in this slice. Writes the nodes, edges and actions that they end at and the states of
    those nodes, and returns how many. Descents that end the game are backed up, as long as no other waits; they are
    returned second. The tree is otherwise left as it was.
    """
    scratch = np.empty(noise.shape[1])
    room = len(out_nodes)
    nodes, edges, tops = np.empty((3, 2 * room), dtype=np.int32)
    found, ended, tried = 0, 0, 0
    while found + ended < room and tried < len(nodes):
        node, edge = 0, -1
        while not tree.terminal[0, node]:
            if rule.policy == select.PUCT:
                edge = select.puct_edge(tree, 0, node, rule, noise[0])
            elif node == 0:
                edge = select.gumbel_root_edge(tree, 0, rule, noise[0], schedule[done + found + ended])
            else:
                edge = select.gumbel_interior_edge(tree, 0, node, rule, scratch)
            if tree.child[0, edge] < 0:
                break
            node = tree.child[0, edge]
        if tree.terminal[0, node] and tried == 0:
            trees.back_up(tree, 0, node, rule)
            ended += 1
            continue
        is_new = not tree.terminal[0, node] and tree.child[0, edge] == NO_CHILD
        if tree.terminal[0, node]:  # backed up in a later wave, when none waits
            node = tree.parent[0, node]
        if is_new:
            out_nodes[found] = node
            out_edges[found] = edge
            out_actions[found] = tree.action[0, edge]
            for b in range(node_states.shape[2]):
                out_states[found, b] = node_states[0, node, b]
            found += 1
            tree.child[0, edge] = _PENDING
        # A descent that finds nothing new counts, too, for those after it, but not for the schedule of the Gumbel root.
        top = 1 if rule.policy == select.GUMBEL and not is_new else 0
        nodes[tried], edges[tried], tops[tried] = node, edge, top
        tried += 1
        _weigh(tree, node, edge, 1, top)
    for k in range(tried - 1, -1, -1):
        if tree.child[0, edges[k]] == _PENDING:
            tree.child[0, edges[k]] = NO_CHILD
        _weigh(tree, nodes[k], edges[k], -1, tops[k])
    return found, ended


@part
def _weigh(tree, node, edge, visits, top):
    """Adds ``visits`` to ``edge``, which leaves ``node``, and to all on the way to it from node ``top`` on; their mean
    values stay."""
    while edge >= 0 and node >= top:
        before = tree.visits[0, edge]
        after = before + visits
        if before > 0 and after > 0:
            tree.value_sum[0, edge] *= after / before
        tree.visits[0, edge] = after
        edge = tree.parent_edge[0, node]
        node = tree.parent[0, node]
