"""Random legal moves, quick for games with thousands of actions too."""

from __future__ import annotations

import numpy as np
from numba import njit

Array = np.ndarray


def sample_legal(legal_action_mask: Array, rng: np.random.Generator) -> Array:
    """One uniformly random legal action (int64 ``[B]``) from each row of bool ``[B, A]``; every row has one."""
    count, width = legal_action_mask.shape
    mask = np.ascontiguousarray(legal_action_mask).reshape(-1)
    if left_over := -mask.size % 8:
        mask = np.append(mask, np.zeros(left_over, dtype=np.bool_))
    return _pick(mask.view(np.uint64), width, rng.random(count))


@njit(cache=True)
def _pick(words: Array, width: int, draws: Array) -> Array:
    """``words`` is the flat mask, eight actions at a time: most of them are zero and passed over at once."""
    actions, legal = np.empty(len(draws), dtype=np.int64), np.empty(width + 1, dtype=np.int64)
    for row in range(len(draws)):
        start, end, count = row * width, (row + 1) * width, 0
        for place in range(start // 8, (end + 7) // 8):
            word = words[place]
            if word:
                for cell in range(8 * place, 8 * place + 8):
                    legal[count] = cell - start
                    if start <= cell < end:
                        count += np.int64(word & np.uint64(1))
                    word >>= np.uint64(8)
        actions[row] = legal[np.int64(draws[row] * count)]
    return actions
