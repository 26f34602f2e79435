"""Random openings: games that start from positions nobody chose, so that neither self-play nor matches repeat."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.core import Array, sample_legal
from games import Game

_CHUNK = 256


class RandomOpenings:
    """An endless iterator of openings, each a tuple of actions that ``game`` allows and that does not end it.

    With probability ``fraction`` an opening has a uniformly random number of uniformly random plies in
    ``0 … max_plies``; otherwise it is empty. A move that would end the game is not played: the opening stops there.
    Openings are drawn in vectorised chunks; ``state`` and ``restore`` keep what is left of the current one.
    """

    def __init__(self, game: Game, rng: np.random.Generator, *, fraction: float, max_plies: int) -> None:
        if not 0.0 <= fraction <= 1.0 or max_plies < 0:
            raise ValueError(f"fraction {fraction} must lie in [0, 1] and max_plies {max_plies} must not be negative.")
        self._game, self._rng = game, rng
        self._fraction, self._max_plies = fraction, max_plies
        self._drawn: list[tuple[int, ...]] = []

    def __iter__(self) -> RandomOpenings:
        return self

    def __next__(self) -> tuple[int, ...]:
        if not self._drawn:
            self._drawn = self._draw(_CHUNK)
        return self._drawn.pop()

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs to go on exactly; JSON-able."""
        return {"rng": self._rng.bit_generator.state, "drawn": [list(opening) for opening in self._drawn]}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a ``state()``."""
        self._rng.bit_generator.state = state["rng"]
        self._drawn = [tuple(opening) for opening in state["drawn"]]

    def _draw(self, count: int) -> list[tuple[int, ...]]:
        lengths = self._rng.integers(0, self._max_plies + 1, count)
        lengths[self._rng.random(count) >= self._fraction] = 0
        openings, _ = random_openings(self._game, lengths, self._rng)
        return openings


def random_openings(game: Game, lengths: Array, rng: np.random.Generator) -> tuple[list[tuple[int, ...]], Array]:
    """Uniformly random play of ``lengths`` ``[B]`` plies: the openings, and the states ``[B]`` that they lead to.

    A move that would end the game is not played: the opening stops there, shorter than asked for.
    """
    lengths = lengths.copy()
    states = game.init(len(lengths))
    moves = np.zeros((len(lengths), int(lengths.max(initial=0))), np.int64)
    for ply in range(moves.shape[1]):
        rows = np.flatnonzero(lengths > ply)
        after = states[rows]
        moves[rows, ply] = sample_legal(game.legal_action_mask(after), rng)
        game.step_unchecked(after, moves[rows, ply])
        ended = after["terminated"]
        lengths[rows[ended]] = ply
        states[rows[~ended]] = after[~ended]
    return [tuple(row[:length]) for row, length in zip(moves.tolist(), lengths.tolist(), strict=True)], states
