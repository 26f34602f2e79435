"""Helpers for ragged arrays: rows of different lengths laid end to end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from games import Game

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


def longest_first(lengths: Array) -> Array:
    """int64 ``[G]``: games of ``lengths`` in the order in which those that are not over are always a prefix."""
    return np.argsort(-lengths.astype(np.int64), kind="stable")


def replayed(game: Game, moves: Array, starts: Array, lengths: Array) -> Iterator[tuple[Array, Array]]:
    """Plays games ``[G]``, whose moves are ``moves[start : start + length]``, all at once, the longest first.

    Yields for each ply, from the first on, where in ``moves`` it is for every game that is not over, and the states
    that those games are in before it, which are overwritten by the next.
    """
    order = longest_first(lengths)
    starts, lengths = starts[order], lengths[order].astype(np.int64)
    states = game.init(len(lengths))
    depths = np.arange(lengths.max(initial=0))
    for depth, count in zip(depths, np.searchsorted(-lengths, -depths, side="left"), strict=True):
        plies = starts[:count] + depth
        yield plies, states[:count]
        game.step_unchecked(states[:count], moves[plies].astype(np.int64))
