"""The search trees of many games, as one set of arrays, and the kernels that change them.

Row ``s`` is the tree of one game; node 0 is its root. A node's edges (its legal moves only) are one block of the
row's edge arrays. Nodes are numbered in the order in which they were expanded, and so are the blocks: a parent always
comes before its children, which is what lets ``reroot`` compact a row in place.

After mctx's ``tree.py`` (DeepMind), with sparse edges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

kernel = njit(cache=True, error_model="numpy")
"""Compiled once and kept on disk. Division by zero gives infinity, as in NumPy, since a check would cost a quarter of a
descent; no kernel divides by zero."""

part = njit(cache=True, error_model="numpy", forceinline=True)
"""Of a kernel: what only kernels call. A real call would copy all that a Tree is made of, which costs half as much as
choosing an edge."""

Array = np.ndarray

NO_CHILD = -1


class Tree(NamedTuple):
    """``S`` search trees; ``N`` nodes and ``E`` edges fit in each. All that is known of a node, or of an edge, lies
    side by side in memory; the fields are views.

    Attributes:
        num_nodes, num_edges: int32 ``[S]``, how much of each row is in use.
        parent, parent_edge: int32 ``[S, N]``, where a node hangs; -1 at the root.
        edge_start, edge_count: int32 ``[S, N]``, a node's block of edges; an unexpanded node has none.
        to_play: int8 ``[S, N]``, the seat to move.
        terminal: bool ``[S, N]``.
        raw_value: float32 ``[S, N]``, the evaluator's value (or the game's result) for ``to_play``.
        action: int32 ``[S, E]``.
        logit, prior: float32 ``[S, E]``, the evaluator's logit and its softmax over the block.
        child: int32 ``[S, E]``, a node or ``NO_CHILD``.
        visits: int32 ``[S, E]``, simulations through the edge.
        start_visits: int32 ``[S, E]``, at the root: the visits it had when this search began.
        value_sum: float64 ``[S, E]``, sum of the values of those simulations for the player who moves along the edge;
            with ``c_backup``, the visits times what the edge is worth by now.
    """

    num_nodes: Array
    num_edges: Array
    parent: Array
    parent_edge: Array
    edge_start: Array
    edge_count: Array
    to_play: Array
    terminal: Array
    raw_value: Array
    action: Array
    logit: Array
    prior: Array
    child: Array
    visits: Array
    start_visits: Array
    value_sum: Array


_DTYPES = {"to_play": np.int8, "terminal": np.bool_, "value_sum": np.float64}
_DTYPES |= dict.fromkeys(("raw_value", "logit", "prior"), np.float32)


def _record(*fields: str) -> np.dtype:
    """A node or an edge in memory. With an array of its own for each field a descent would take 1.6 times as long,
    since it would wait for many more cache lines."""
    return np.dtype([(field, _DTYPES.get(field, np.int32)) for field in fields], align=True)


_NODE = _record("parent", "parent_edge", "edge_start", "edge_count", "to_play", "terminal", "raw_value")
_EDGE = _record("action", "logit", "prior", "child", "visits", "start_visits", "value_sum")


def resize(tree: Tree | None, rows: int, nodes: int, edges: int) -> Tree:
    """A tree with room for ``rows × nodes`` and ``rows × edges`` that starts with what ``tree`` held."""
    new_nodes, new_edges = np.zeros((rows, nodes), _NODE), np.zeros((rows, edges), _EDGE)
    fields = {field: array[field] for array in (new_nodes, new_edges) for field in array.dtype.names or ()}
    new = Tree(np.zeros(rows, np.int32), np.zeros(rows, np.int32), **fields)
    for before, after in zip(tree or (), new, strict=False):
        after[tuple(slice(size) for size in before.shape)] = before
    return new


def enlarged(array: Array, shape: tuple[int, ...]) -> Array:
    """A copy of ``array`` with the larger ``shape``, zeros where there was nothing."""
    larger = np.zeros(shape, dtype=array.dtype)
    larger[tuple(slice(size) for size in array.shape)] = array
    return larger


@kernel
def reset_rows(tree, rows, to_play):
    """Empties ``rows`` ``[K]`` down to an unexpanded root whose mover is ``to_play`` ``[K]``."""
    for k in range(len(rows)):
        s = rows[k]
        tree.num_nodes[s] = 1
        tree.num_edges[s] = 0
        tree.parent[s, 0] = -1
        tree.parent_edge[s, 0] = -1
        tree.edge_start[s, 0] = 0
        tree.edge_count[s, 0] = 0
        tree.to_play[s, 0] = to_play[k]
        tree.terminal[s, 0] = False
        tree.raw_value[s, 0] = 0.0


@part
def improved_value(tree, s, node, rule):
    """What ``node`` is worth: its own evaluation, and its moves' values weighted by how good they look by now. A reply
    that refutes a move so counts at once, and not only after most of the visits; after Coulom, 2006, "Efficient
    selectivity and backup operators in Monte-Carlo tree search", with Gumbel AlphaZero's weights in place of his."""
    first, count = tree.edge_start[s, node], tree.edge_count[s, node]
    visits, most = 0, 0
    for e in range(first, first + count):
        visits += tree.visits[s, e]
        most = max(most, tree.visits[s, e])
    scale, highest = (rule.c_visit + most) * rule.c_backup, -np.inf
    for e in range(first, first + count):
        n = tree.visits[s, e]
        if n > 0:
            highest = max(highest, tree.logit[s, e] + scale * (tree.value_sum[s, e] / n))
    total, weighted = 0.0, 0.0
    for e in range(first, first + count):
        n = tree.visits[s, e]
        if n > 0:
            q = tree.value_sum[s, e] / n
            weight = np.exp(tree.logit[s, e] + scale * q - highest)
            total += weight
            weighted += weight * q
    raw = np.float64(tree.raw_value[s, node])
    return (raw + visits * weighted / total) / (1.0 + visits) if visits > 0 else raw


@kernel
def back_up_improved(tree, s, node, rule):
    """``back_up`` with ``c_backup``: every edge from a leaf up to the root is worth what its node is worth by now. Not
    a ``part``, because it would slow down whatever it stands in, where it is not wanted too."""
    while node != 0:
        value, seat = improved_value(tree, s, node, rule), tree.to_play[s, node]
        edge = tree.parent_edge[s, node]
        node = tree.parent[s, node]
        tree.visits[s, edge] += 1
        tree.value_sum[s, edge] = tree.visits[s, edge] * (value if tree.to_play[s, node] == seat else -value)


@part
def back_up(tree, s, node, rule):
    """Carries the ``raw_value`` of a leaf up to the root. The sign flips on a change of ``to_play``, never on depth."""
    if rule.c_backup > 0.0:
        back_up_improved(tree, s, node, rule)
        return
    value = np.float64(tree.raw_value[s, node])
    seat = tree.to_play[s, node]
    while node != 0:
        edge = tree.parent_edge[s, node]
        node = tree.parent[s, node]
        tree.visits[s, edge] += 1
        tree.value_sum[s, edge] += value if tree.to_play[s, node] == seat else -value


@kernel
def grow(tree, rule, rows, parents, edges, to_play, terminal, raw_value, states, node_states, out_nodes):
    """Hangs a new node under each (row, parent, edge) ``[K]`` and keeps its state, uint8 ``[K, bytes]``.

    Where it is ``terminal``, its ``raw_value`` is the game's result for ``to_play`` and is backed up at once. Returns
    how many are not: these then come first in ``rows``, ``states`` and ``out_nodes``, and after them the other rows.
    """
    ended = np.empty(len(rows), dtype=np.int64)
    live = 0
    for k in range(len(rows)):
        s = rows[k]
        node = tree.num_nodes[s]
        tree.num_nodes[s] = node + 1
        tree.parent[s, node] = parents[k]
        tree.parent_edge[s, node] = edges[k]
        tree.edge_start[s, node] = tree.num_edges[s]
        tree.edge_count[s, node] = 0
        tree.to_play[s, node] = to_play[k]
        tree.terminal[s, node] = terminal[k]
        tree.raw_value[s, node] = raw_value[k]
        tree.child[s, edges[k]] = node
        for b in range(states.shape[1]):
            node_states[s, node, b] = states[k, b]
        if terminal[k]:
            back_up(tree, s, node, rule)
            ended[k - live] = s
            continue
        rows[live], out_nodes[live] = s, node
        if live < k:
            for b in range(states.shape[1]):
                states[live, b] = states[k, b]
        live += 1
    rows[live:] = ended[: len(rows) - live]
    return live


@kernel
def expand(tree, rule, rows, nodes, masks, mask_rows, logits, starts, values):
    """Gives each leaf (row, node) ``[K]`` its edges, the legal moves of ``masks[mask_rows[k]]``, and backs it up.

    The moves' logits are ``logits[starts[k]:]``, in the order of the actions; a leaf whose start is negative is left as
    it is. Returns False, having changed nothing, when some row has too little room.
    """
    num_actions = masks.shape[1]
    scratch = np.empty(num_actions)
    room = tree.action.shape[1]
    for k in range(len(rows)):
        count = 0
        for a in range(num_actions):
            count += masks[mask_rows[k], a]
        if starts[k] >= 0 and tree.num_edges[rows[k]] + count > room:
            return False
    for k in range(len(rows)):
        s, node, position = rows[k], nodes[k], starts[k]
        if position < 0:
            continue
        first = tree.num_edges[s]
        edge = first
        highest = np.float32(-np.inf)
        for a in range(num_actions):
            if masks[mask_rows[k], a]:
                logit = logits[position]
                position += 1
                highest = max(highest, logit)
                tree.action[s, edge] = a
                tree.logit[s, edge] = logit
                tree.child[s, edge] = NO_CHILD
                tree.visits[s, edge] = 0
                tree.start_visits[s, edge] = 0
                tree.value_sum[s, edge] = 0.0
                edge += 1
        total = 0.0
        for i in range(edge - first):
            scratch[i] = np.exp(np.float64(tree.logit[s, first + i]) - highest)
            total += scratch[i]
        for i in range(edge - first):
            tree.prior[s, first + i] = scratch[i] / total
        tree.edge_start[s, node] = first
        tree.edge_count[s, node] = edge - first
        tree.num_edges[s] = edge
        tree.raw_value[s, node] = values[k]
        back_up(tree, s, node, rule)
    return True


@kernel
def counted(rows, done, budget):
    """Counts a simulation in each of ``rows`` ``[K]``. Those that have more to do, and those that have not."""
    going_on, finished = np.empty_like(rows), np.empty_like(rows)
    more, over = 0, 0
    for k in range(len(rows)):
        s = rows[k]
        done[s] += 1
        if done[s] < budget[s]:
            going_on[more] = s
            more += 1
        else:
            finished[over] = s
            over += 1
    return going_on[:more], finished[:over]


@kernel
def find_descendant(tree, rows, node_states, wanted, max_depth, out_nodes):
    """The expanded node at most ``max_depth`` plies below each root whose state is byte for byte the wanted one.

    ``node_states`` uint8 ``[S, N, bytes]``, ``wanted`` uint8 ``[K, bytes]``; -1 where there is none.
    """
    for k in range(len(rows)):
        s = rows[k]
        out_nodes[k] = -1
        for node in range(tree.num_nodes[s]):
            if tree.edge_count[s, node] == 0:
                continue
            depth, ancestor = 0, node
            while ancestor != 0 and depth <= max_depth:
                ancestor = tree.parent[s, ancestor]
                depth += 1
            if depth > max_depth:
                continue
            same = True
            for b in range(wanted.shape[1]):
                if node_states[s, node, b] != wanted[k, b]:
                    same = False
                    break
            if same:
                out_nodes[k] = node
                break


@kernel
def reroot(tree, rows, roots, node_states):
    """Makes ``roots[k]`` the root of ``rows[k]`` and forgets everything that does not hang below it, in place."""
    new_index = np.empty(tree.parent.shape[1], dtype=np.int32)
    for k in range(len(rows)):
        s, root = rows[k], roots[k]
        kept, num_edges = 0, 0
        for node in range(root, tree.num_nodes[s]):
            if node != root and (tree.parent[s, node] < root or new_index[tree.parent[s, node]] < 0):
                new_index[node] = -1
                continue
            new_index[node] = kept
            first, count = tree.edge_start[s, node], tree.edge_count[s, node]
            for i in range(count):
                source, target = first + i, num_edges + i
                tree.action[s, target] = tree.action[s, source]
                tree.logit[s, target] = tree.logit[s, source]
                tree.prior[s, target] = tree.prior[s, source]
                tree.child[s, target] = tree.child[s, source]
                tree.visits[s, target] = tree.visits[s, source]
                tree.value_sum[s, target] = tree.value_sum[s, source]
                if tree.child[s, target] != NO_CHILD:  # the child comes later: tell it where its edge went
                    tree.parent_edge[s, tree.child[s, target]] = target
            is_root = node == root
            tree.parent[s, kept] = -1 if is_root else new_index[tree.parent[s, node]]
            tree.parent_edge[s, kept] = -1 if is_root else tree.parent_edge[s, node]
            tree.edge_start[s, kept] = num_edges
            tree.edge_count[s, kept] = count
            tree.to_play[s, kept] = tree.to_play[s, node]
            tree.terminal[s, kept] = tree.terminal[s, node]
            tree.raw_value[s, kept] = tree.raw_value[s, node]
            for b in range(node_states.shape[2]):
                node_states[s, kept, b] = node_states[s, node, b]
            if not is_root:
                tree.child[s, tree.parent_edge[s, kept]] = kept
            for e in range(num_edges, num_edges + count if is_root else num_edges):
                tree.start_visits[s, e] = tree.visits[s, e]
            num_edges += count
            kept += 1
        tree.num_nodes[s] = kept
        tree.num_edges[s] = num_edges
