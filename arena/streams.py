"""Random numbers for many games at once, where every game draws from a stream of its own.

What a game draws depends on its seed and on how much it drew before, never on the games that happen to be played beside
it. So the games of a tournament are the same however they are scheduled, interrupted and resumed.

The streams are SplitMix64 (Steele, Lea and Flood, 2014): number ``n`` of a stream is one mix of ``key + n * gamma``, so
a batch of games costs a few array operations.

Axes: ``B`` games, the rows of a batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class Streams:
    """One stream for each of ``slots`` games.

    Args:
        slots: how many games are in flight at most.
        rng: what distributions draw from that ``RowGenerator`` does not know; then games do depend on each other.
    """

    def __init__(self, slots: int, rng: np.random.Generator) -> None:
        self._keys = np.zeros(slots, np.uint64)
        self._drawn = np.zeros(slots, np.uint64)
        self._rng = rng

    def start(self, slot: int, seed: int) -> None:
        """A new game in ``slot``, whose stream is that of ``seed`` (0 … 2^64 - 1)."""
        self._keys[slot], self._drawn[slot] = np.uint64(seed), 0

    def of(self, slots: Array) -> RowGenerator:
        """A generator whose row ``i`` draws from the stream of ``slots[i]``."""
        return RowGenerator(self, slots, self._rng)

    def uniform(self, slots: Array, count: int) -> Array:
        """float64 ``[B, count]`` in [0, 1): the next numbers of every slot's stream; a slot may come several times."""
        start = self._drawn[slots]
        if len(slots) < 2 or (slots[1:] > slots[:-1]).all():
            self._drawn[slots] += np.uint64(count)
        else:
            order = np.argsort(slots, kind="stable")
            firsts = np.flatnonzero(np.diff(slots[order], prepend=-1))
            repeats = np.diff(firsts, append=len(slots))
            earlier = np.empty(len(slots), np.int64)  # how often the slot came before
            earlier[order] = np.arange(len(slots)) - np.repeat(firsts, repeats)
            start = start + (earlier * count).astype(np.uint64)
            self._drawn[slots[order[firsts]]] += (repeats * count).astype(np.uint64)
        numbers = start[:, None] + np.arange(1, count + 1, dtype=np.uint64)
        return (_mix(self._keys[slots, None] + numbers * _GAMMA) >> np.uint64(11)) * 2.0**-53


def _mix(numbers: Array) -> Array:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _MIX_1
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _MIX_2
    return numbers ^ (numbers >> np.uint64(31))


class RowGenerator(np.random.Generator):
    """A NumPy generator for a batch of games: row ``i`` of whatever is drawn comes from the stream of game ``i``.

    That holds for ``random``, ``integers`` and ``gumbel`` of arrays ``[B, …]``, which are what agents draw; any other
    distribution or shape is drawn from the generator behind the streams.
    """

    def __init__(self, streams: Streams, slots: Array, rng: np.random.Generator) -> None:
        super().__init__(rng.bit_generator)
        self._streams, self._slots = streams, slots

    def take(self, rows: Array) -> RowGenerator:
        """A generator for ``rows`` of this batch, each of which may come several times."""
        return RowGenerator(self._streams, self._slots[rows], self)

    def random(self, size: Any = None, *more: Any, **options: Any) -> Any:
        shape = (size,) if isinstance(size, (int, np.integer)) else tuple(size or ())
        if more or options or not shape or shape[0] != len(self._slots):
            return super().random(size, *more, **options)
        return self._streams.uniform(self._slots, int(np.prod(shape[1:], dtype=np.int64))).reshape(shape)

    def integers(self, low: Any, high: Any = None, size: Any = None, *more: Any, **options: Any) -> Any:
        if more or options or size is None or np.ndim(low) or np.ndim(high):
            return super().integers(low, high, size, *more, **options)
        low, high = (0, low) if high is None else (low, high)
        return low + (self.random(size) * (high - low)).astype(np.int64)

    def gumbel(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        if size is None:
            return super().gumbel(loc, scale, size)
        return loc - scale * np.log(-np.log(np.maximum(self.random(size), 2.0**-54)))
