"""Counting the leaves of the game tree, the usual proof that a move generator is exact."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from games.core import Array, Game

_CHUNK = 1 << 13


def perft(game: Game, states: Array, depth: int) -> int:
    """How many sequences of ``depth`` legal moves there are from ``states`` ``[B]``, all of them together.

    The rules of movement alone count: a sequence that they end earlier does not, but repetition, counts of moves and
    lack of material stop none. A game may have a kernel of its own for it (``Game.perft``); otherwise all positions of
    a depth are stepped together, some 8,000 at a time, so memory stays bounded however many there are.

    Raises:
        ValueError: a negative depth.
    """
    if depth < 0:
        raise ValueError(f"depth is {depth}; it must be 0 or more.")
    if depth == 0:
        return len(states)
    if (count := game.perft(states, depth)) is not None:
        return count
    if depth == 1:
        return sum(int(game.legal_action_mask(piece).sum()) for piece in _pieces(states))
    return sum(
        perft(game, children, depth - 1) for piece in _pieces(states) for children in _pieces(_after(game, piece))
    )


def divide(game: Game, state: Array, depth: int) -> dict[str, int]:
    """``perft`` below each legal move of ``state`` ``[1]``, by the move as players write it; ``depth`` >= 1."""
    actions = np.flatnonzero(game.legal_action_mask(state)[0])
    children = np.repeat(state, len(actions))
    game.step_unchecked(children, actions)
    return {
        game.action_to_string(state[0], int(action)): perft(game, children[row : row + 1], depth - 1)
        for row, action in enumerate(actions)
    }


def _after(game: Game, states: Array) -> Array:
    """The positions after every legal move in every one of ``states``."""
    rows, actions = np.nonzero(game.legal_action_mask(states))
    children = states[rows]
    game.step_unchecked(children, actions)
    return children


def _pieces(states: Array) -> Iterator[Array]:
    for start in range(0, len(states), _CHUNK):
        yield states[start : start + _CHUNK]
