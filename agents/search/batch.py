"""Leaves that wait for the evaluator, and the batch of positions that it is asked about for them."""

from __future__ import annotations

import numpy as np

from agents.search.tree import Array, enlarged, kernel


class Batch:
    """Leaves (row, node) whose evaluation is not known yet, and the positions they wait for, each of them once.

    Positions are numbered from ``first`` on, which is where the batch before ended, so that numbers tell batches apart.
    Leaves outnumber positions.

    Args:
        first: the number of its first position.
        room: leaves that it has room for; it grows when there are more.
        state_bytes: size of a position.
        num_actions: ``A``.
    """

    def __init__(self, first: int, room: int, state_bytes: int, num_actions: int) -> None:
        self.first, self.num_positions, self.num_leaves = first, 0, 0
        self._states = np.empty((room, state_bytes), dtype=np.uint8)
        self._masks = np.empty((room, num_actions), dtype=bool)
        self._keys = np.empty(room, dtype=np.uint64)
        self._rows, self._numbers = np.empty((2, room), dtype=np.int64)
        self._nodes = np.empty(room, dtype=np.int32)

    @property
    def end(self) -> int:
        """The number of the next position."""
        return self.first + self.num_positions

    @property
    def states(self) -> Array:
        """uint8 ``[M, bytes]``, the positions."""
        return self._states[: self.num_positions]

    @property
    def masks(self) -> Array:
        """bool ``[M, A]``, their legal moves."""
        return self._masks[: self.num_positions]

    @property
    def keys(self) -> Array:
        """uint64 ``[M]``, what the cache knows them by."""
        return self._keys[: self.num_positions]

    @property
    def rows(self) -> Array:
        """int64 ``[K]``, the leaves' rows."""
        return self._rows[: self.num_leaves]

    @property
    def nodes(self) -> Array:
        """int32 ``[K]``, their nodes."""
        return self._nodes[: self.num_leaves]

    @property
    def positions(self) -> Array:
        """int64 ``[K]``, which of the positions each of them waits for."""
        return self._numbers[: self.num_leaves] - self.first

    def add(self, claimed: Array, states: Array, masks: Array, keys: Array) -> None:
        """Takes in new positions: those that stand at ``claimed`` among all the given ones."""
        self._grow(self.num_positions + len(claimed))
        begin, self.num_positions = self.num_positions, self.num_positions + len(claimed)
        _gather(claimed, states, masks, keys, self.states[begin:], self.masks[begin:], self.keys[begin:])

    def join(self, rows: Array, nodes: Array, starts: Array) -> None:
        """Takes in those leaves ``[K]`` that wait for its positions, by ``starts``, where ``-1 - number`` stands for
        the position; see ``EvaluationCache.lookup``."""
        self._grow(self.num_leaves + len(rows))
        outputs = self._rows, self._nodes, self._numbers
        self.num_leaves = _join(rows, nodes, starts, self.first, self.end, *outputs, self.num_leaves)

    def _grow(self, needed: int) -> None:
        if needed > len(self._rows):
            for name in ("_states", "_masks", "_keys", "_rows", "_numbers", "_nodes"):
                array = getattr(self, name)
                setattr(self, name, enlarged(array, (2 * needed, *array.shape[1:])))


@kernel
def _gather(chosen, states, masks, keys, out_states, out_masks, out_keys):
    for i in range(len(chosen)):
        k = chosen[i]
        out_keys[i] = keys[k]
        for b in range(states.shape[1]):
            out_states[i, b] = states[k, b]
        for a in range(masks.shape[1]):
            out_masks[i, a] = masks[k, a]


@kernel
def _join(rows, nodes, starts, first, end, out_rows, out_nodes, out_numbers, count):
    for k in range(len(rows)):
        number = -1 - starts[k]
        if starts[k] < 0 and first <= number < end:
            out_rows[count] = rows[k]
            out_nodes[count] = nodes[k]
            out_numbers[count] = number
            count += 1
    return count


@kernel
def legal_logits(masks, logits):
    """The ``logits`` ``[M, A]`` of legal moves only, row after row, and where each row's begin, int64 ``[M + 1]``."""
    starts = np.empty(len(masks) + 1, dtype=np.int64)
    out = np.empty(masks.size, dtype=np.float32)
    count = 0
    for i in range(len(masks)):
        starts[i] = count
        for a in range(masks.shape[1]):
            if masks[i, a]:
                out[count] = logits[i, a]
                count += 1
    starts[len(masks)] = count
    return out[:count], starts
