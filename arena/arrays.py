"""Helpers for ragged arrays: rows of different lengths laid end to end."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def spread(starts: Array, lengths: Array) -> tuple[Array, Array]:
    """Ragged gather: for segments ``[start, start + length)``, every entry's segment number and flat index."""
    rows = np.repeat(np.arange(len(lengths)), lengths)
    firsts = np.cumsum(lengths) - lengths
    return rows, starts[rows] + np.arange(len(rows)) - firsts[rows]


def normalised(weights: Array, lengths: Array) -> Array:
    """float32 ``weights`` (flat, ``lengths`` entries per row) divided by the sum of their row."""
    weights = weights.astype(np.float32)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    sums = np.bincount(rows, weights, minlength=len(lengths))
    return (weights / sums[rows]).astype(np.float32)
