"""The evaluation cache that all games of a search share, keyed by ``game.hash``.

An open-addressing table of keys beside an append-only pool of logits (legal moves only). When either is full the whole
cache is emptied: memory has a cap, and nothing needs an eviction order, because weights change every few seconds in
training anyway.
"""

from __future__ import annotations

import numpy as np
from numba import njit

Array = np.ndarray

_EMPTY = -1
_FIRST_PENDING = -2
_BYTES_PER_SLOT = 8 + 8 + 4
_SLOTS_PER_LOGIT = 1 / 8


class EvaluationCache:
    """Evaluations by position, in at most ``megabytes`` of memory.

    A position that is not there yet can be *claimed*: the first to ask becomes number ``i`` of the pending positions,
    and whoever asks again before ``store`` gets the same number, so that a batch never holds a position twice.
    """

    def __init__(self, megabytes: float = 256.0) -> None:
        budget = megabytes * 1e6
        slots = 2 ** int(np.log2(max(budget / (_BYTES_PER_SLOT + 4 / _SLOTS_PER_LOGIT), 1024)))
        self.version: int | None = None
        self.size = 0
        self._keys = np.zeros(slots, dtype=np.uint64)
        self._starts = np.full(slots, _EMPTY, dtype=np.int64)
        self._values = np.zeros(slots, dtype=np.float32)
        self._logits = np.zeros(max(int((budget - slots * _BYTES_PER_SLOT) / 4), 8 * 1024), dtype=np.float32)
        self._used = 0

    @property
    def nbytes(self) -> int:
        return self._keys.nbytes + self._starts.nbytes + self._values.nbytes + self._logits.nbytes

    @property
    def logits(self) -> Array:
        """float32, the pool that ``lookup``'s starts point into."""
        return self._logits

    def clear(self) -> None:
        """Forgets everything."""
        self._starts.fill(_EMPTY)
        self.size = 0
        self._used = 0

    def make_room(self, positions: int, logits: int) -> None:
        """Empties the cache if this many more entries might not fit. Not to be called while positions are pending."""
        if self.size + positions > len(self._keys) // 2 or self._used + logits > len(self._logits):
            self.clear()
        if positions > len(self._keys) // 2:  # a cache too small for one batch would never find an empty slot
            slots = 2 ** int(np.ceil(np.log2(2 * positions)))
            self._keys = np.zeros(slots, dtype=np.uint64)
            self._starts = np.full(slots, _EMPTY, dtype=np.int64)
            self._values = np.zeros(slots, dtype=np.float32)

    def lookup(self, keys: Array, num_pending: int) -> tuple[Array, Array, Array]:
        """Finds ``keys`` uint64 ``[K]``, claiming those that are not there.

        Returns where each one's logits start (or ``-1 - i`` for pending position ``i``), its value (if found), and the
        rows of ``keys`` that claimed a position, in the order of the positions' numbers.
        """
        starts = np.empty(len(keys), dtype=np.int64)
        values = np.empty(len(keys), dtype=np.float32)
        claimed = np.empty(len(keys), dtype=np.int64)
        count = _lookup(self._keys, self._starts, self._values, keys, num_pending, starts, values, claimed)
        self.size += count
        return starts, values, claimed[:count]

    def store(self, keys: Array, logits: Array, starts: Array, values: Array) -> None:
        """Fills in the pending positions ``[M]``; ``starts`` int64 ``[M + 1]`` cut ``logits`` into one piece each."""
        if self._used + len(logits) > len(self._logits):
            self.clear()  # rather than keep claims that nothing will ever fill
            return
        _store(self._keys, self._starts, self._values, keys, starts, values, self._used)
        self._logits[self._used : self._used + len(logits)] = logits
        self._used += len(logits)


@njit(cache=True)
def _find(table_keys, table_starts, key):
    mask = len(table_keys) - 1
    slot = np.int64(key & np.uint64(mask))
    while table_starts[slot] != _EMPTY and table_keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@njit(cache=True)
def _lookup(table_keys, table_starts, table_values, keys, num_pending, out_starts, out_values, out_claimed):
    count = 0
    for k in range(len(keys)):
        slot = _find(table_keys, table_starts, keys[k])
        start = table_starts[slot]
        if start == _EMPTY:
            table_keys[slot] = keys[k]
            table_starts[slot] = _FIRST_PENDING - num_pending - count
            out_starts[k] = -1 - num_pending - count
            out_claimed[count] = k
            count += 1
        elif start <= _FIRST_PENDING:
            out_starts[k] = -1 - (_FIRST_PENDING - start)
        else:
            out_starts[k] = start
            out_values[k] = table_values[slot]
    return count


@njit(cache=True)
def _store(table_keys, table_starts, table_values, keys, starts, values, offset):
    for i in range(len(keys)):
        slot = _find(table_keys, table_starts, keys[i])
        table_starts[slot] = offset + starts[i]
        table_values[slot] = values[i]
