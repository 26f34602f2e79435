"""Random openings: games that start from positions nobody chose, so that neither self-play nor matches repeat."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.core import Array
from games import Game, sample_legal

_CHUNK = 64
_REMEMBERED = 1024


class RandomOpenings:
    """An endless iterator of openings, each a tuple of actions that ``game`` allows and that does not end it.

    With probability ``fraction`` an opening has a uniformly random number of uniformly random plies in
    ``0 … max_plies``. With probability ``branch_fraction`` it is one of the last games that ``remember`` was told, cut
    at a uniformly random ply, and one random move. Otherwise it is empty. A move that would end the game is not played:
    the opening stops there. Openings are drawn in vectorised chunks; ``state`` and ``restore`` keep what is left of the
    current one.
    """

    def __init__(
        self, game: Game, rng: np.random.Generator, *, fraction: float, max_plies: int, branch_fraction: float = 0.0
    ) -> None:
        if min(fraction, branch_fraction) < 0.0 or fraction + branch_fraction > 1.0 or max_plies < 0:
            raise ValueError(
                f"fraction {fraction} and branch_fraction {branch_fraction} must not be negative nor add up to more "
                f"than 1, and max_plies {max_plies} must not be negative."
            )
        self._game, self._rng = game, rng
        self._fraction, self._max_plies, self._branch_fraction = fraction, max_plies, branch_fraction
        self._games: deque[list[int]] = deque(maxlen=_REMEMBERED)
        self._drawn: list[tuple[int, ...]] = []

    def __iter__(self) -> RandomOpenings:
        return self

    def __next__(self) -> tuple[int, ...]:
        if not self._drawn:
            self._drawn = self._draw(_CHUNK)
        return self._drawn.pop()

    def remember(self, moves: Sequence[int]) -> None:
        """A finished game, from which later openings may branch."""
        if self._branch_fraction:
            self._games.append([int(move) for move in moves])

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs to go on exactly; JSON-able."""
        drawn = [list(opening) for opening in self._drawn]
        return {"rng": self._rng.bit_generator.state, "drawn": drawn, "games": list(self._games)}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a ``state()``."""
        self._rng.bit_generator.state = state["rng"]
        self._drawn = [tuple(opening) for opening in state["drawn"]]
        self._games = deque(state["games"], maxlen=_REMEMBERED)

    def _draw(self, count: int) -> list[tuple[int, ...]]:
        kind = self._rng.random(count)
        lengths = self._rng.integers(0, self._max_plies + 1, count)
        lengths[kind >= self._fraction] = 0
        prefixes: list[Sequence[int]] = [()] * count
        branches = np.flatnonzero((kind >= self._fraction) & (kind < self._fraction + self._branch_fraction))
        for row in branches if self._games else ():
            game = self._games[self._rng.integers(len(self._games))]
            prefixes[row] = game[: self._rng.integers(len(game))]
            lengths[row] = 1
        openings, _ = random_openings(self._game, lengths, self._rng, prefixes)
        return openings


def random_openings(
    game: Game, lengths: Array, rng: np.random.Generator, prefixes: Sequence[Sequence[int]] | None = None
) -> tuple[list[tuple[int, ...]], Array]:
    """Uniformly random play of ``lengths`` ``[B]`` plies, after ``prefixes`` if there are any: the openings, and the
    states ``[B]`` that they lead to.

    A move that would end the game is not played: the opening stops there, shorter than asked for.
    """
    given = np.array([len(prefix) for prefix in prefixes], np.int64) if prefixes else np.zeros(len(lengths), np.int64)
    lengths = lengths + given
    states = game.init(len(lengths))
    moves = np.zeros((len(lengths), int(lengths.max(initial=0))), np.int64)
    for row, prefix in enumerate(prefixes or ()):
        moves[row, : len(prefix)] = prefix
    for ply in range(moves.shape[1]):
        rows = np.flatnonzero(lengths > ply)
        after = states[rows]
        is_random = given[rows] <= ply
        moves[rows[is_random], ply] = sample_legal(game.legal_action_mask(after[is_random]), rng)
        game.step_unchecked(after, moves[rows, ply])
        ended = after["terminated"]
        lengths[rows[ended]] = ply
        states[rows[~ended]] = after[~ended]
    return [tuple(row[:length]) for row, length in zip(moves.tolist(), lengths.tolist(), strict=True)], states
