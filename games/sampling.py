"""Random legal moves, quick for games with thousands of actions too."""

from __future__ import annotations

import numpy as np
from numba import njit

from games.bits import lowest, popcount

Array = np.ndarray

_BLOCK = 32  # words; no byte of their sum overflows
_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)
_EVEN_BYTES, _EVEN_PAIRS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_LOW_HALF = np.uint64(0xFFFFFFFF)


def sample_legal(legal_action_mask: Array, rng: np.random.Generator) -> Array:
    """One uniformly random legal action (int64 ``[B]``) from each row of bool ``[B, A]``; every row has one."""
    count, width = legal_action_mask.shape
    mask, draws = np.ascontiguousarray(legal_action_mask).reshape(-1), rng.random(count)
    if not (left_over := mask.size % 8):
        return _pick(mask.view(np.uint64), width, draws)
    # Whole words end before the mask does. Only the last row is copied to fill one up, not the megabytes before it.
    alone = 1 if width >= 8 else count
    end = np.zeros(-(-alone * width // 8) * 8, dtype=np.bool_)
    end[: alone * width] = mask[mask.size - alone * width :]
    before = _pick(mask[: mask.size - left_over].view(np.uint64), width, draws[: count - alone])
    return np.append(before, _pick(end.view(np.uint64), width, draws[count - alone :]))


@njit(cache=True)
def _pick(words: Array, width: int, draws: Array) -> Array:
    """``words`` is the flat mask, eight actions at a time. They are counted by adding whole words, byte by byte; only
    the block and the word that the draw falls on are looked into."""
    actions, cumulative = np.empty(len(draws), dtype=np.int64), np.empty(width // (8 * _BLOCK) + 2, dtype=np.int64)
    for row in range(len(draws)):
        start, end = row * width, (row + 1) * width
        first, last = start // 8, (end - 1) // 8
        full = (last - first) // _BLOCK
        total = -popcount(words[first] & _below(start - 8 * first))
        for number in range(full):
            chunk = words[first + number * _BLOCK : first + (number + 1) * _BLOCK]
            added = np.uint64(0)
            for place in range(_BLOCK):  # known not to be negative, so that the compiler adds several words at once
                added += chunk[place]
            total += _bytes_sum(added)
            cumulative[number] = total
        for place in range(first + full * _BLOCK, last + 1):
            total += popcount(words[place])
        total -= popcount(words[last] & ~_below(end - 8 * last))
        cumulative[full] = total
        left, block = np.int64(draws[row] * total), 0
        while cumulative[block] <= left:
            block += 1
        left -= cumulative[block - 1] if block else 0
        place = first + block * _BLOCK - 1
        count, word = 0, np.uint64(0)
        while left >= count:
            left -= count
            place += 1
            word = words[place]
            if place == first:
                word &= ~_below(start - 8 * first)
            count = popcount(word)
        for _ in range(left):
            word &= word - np.uint64(1)
        actions[row] = 8 * place - start + lowest(word) // 8
    return actions


@njit(cache=True)
def _below(count: int) -> np.uint64:
    """A word whose first ``count`` bytes, 0 to 8, are all ones."""
    return _ONES >> np.uint64(64 - 8 * count) if count else np.uint64(0)


@njit(cache=True)
def _bytes_sum(word: np.uint64) -> int:
    """The sum of the eight bytes of a word."""
    word = (word & _EVEN_BYTES) + (word >> np.uint64(8) & _EVEN_BYTES)
    word = (word & _EVEN_PAIRS) + (word >> np.uint64(16) & _EVEN_PAIRS)
    return np.int64((word & _LOW_HALF) + (word >> np.uint64(32)))  # pyright: ignore[reportReturnType]
