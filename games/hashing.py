"""What ``Game.hash`` is made of: one 64-bit mixer, and Zobrist's random numbers."""

from __future__ import annotations

import zlib

import numpy as np
from numba import njit

Array = np.ndarray


@njit(cache=True)
def mix64(keys: Array) -> Array:
    """Scrambles uint64 ``[B]``, one to one, so that distinct keys stay distinct and every bit depends on every bit.

    It is the output function of SplitMix64 (Steele, Lea and Flood, 2014), written over arrays because the products
    are meant to wrap around, about which NumPy warns for scalars only.
    """
    mixed = keys + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def zobrist(name: str, shape: tuple[int, ...]) -> Array:
    """uint64 of ``shape``: a random number for everything that may be on a board (Zobrist, 1970), always the same for
    the same ``name``. The hash of a position is the exclusive or of what is there, so a move changes it in place."""
    start = np.uint64(zlib.crc32(name.encode()) << 32)
    return mix64(mix64(start + np.arange(np.prod(shape), dtype=np.uint64))).reshape(shape)
