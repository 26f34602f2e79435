"""Random openings: games that start from positions nobody chose, so that neither self-play nor matches repeat."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.core import Array, value_for_player
from agents.search import shaped_returns
from arena.adjudication import Adjudication, Adjudicator
from arena.arrays import replayed
from arena.records import Trajectory
from games import Game, sample_legal

_CHUNK = 128
_REMEMBERED = 1024


class RandomOpenings:
    """An endless iterator of openings, each a tuple of actions that ``game`` allows and that does not end it.

    With probability ``fraction`` an opening has a uniformly random number of uniformly random plies in
    ``0 … max_plies``. With probability ``branch_fraction`` it is one of the last games that ``remember`` was told, cut
    at some ply, and then ``1 … branch_plies`` random plies; game and ply are drawn by the weights that ``remember`` was
    given. Otherwise it is empty. A move that would end the game is not played: the opening stops there. Openings are
    drawn in vectorised chunks; ``state`` and ``restore`` keep what is left of the current one.
    """

    def __init__(
        self,
        game: Game,
        rng: np.random.Generator,
        *,
        fraction: float,
        max_plies: int,
        branch_fraction: float = 0.0,
        branch_plies: int = 1,
    ) -> None:
        if min(fraction, branch_fraction) < 0.0 or fraction + branch_fraction > 1.0:
            raise ValueError(
                f"fraction {fraction} and branch_fraction {branch_fraction} must not be negative nor add up to more "
                "than 1."
            )
        if max_plies < 0 or branch_plies < 1:
            raise ValueError(f"max_plies {max_plies} must be 0 or more, and branch_plies {branch_plies} 1 or more.")
        self._game, self._rng = game, rng
        self._fraction, self._max_plies = fraction, max_plies
        self._branch_fraction, self._branch_plies = branch_fraction, branch_plies
        self._games: deque[tuple[list[int], list[float]]] = deque(maxlen=_REMEMBERED)  # moves; weights added up
        self._drawn: list[tuple[int, ...]] = []

    def __iter__(self) -> RandomOpenings:
        return self

    def __next__(self) -> tuple[int, ...]:
        if not self._drawn:
            self._drawn = self._draw(_CHUNK)
        return self._drawn.pop()

    def remember(self, moves: Sequence[int], weights: Sequence[float]) -> None:
        """A finished game, from which later openings may branch before each move with a chance in proportion to its
        weight (not negative, and not all of them 0)."""
        self._games.append((list(moves), np.cumsum(weights).tolist()))

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs to go on exactly; JSON-able."""
        drawn = [list(opening) for opening in self._drawn]
        return {"rng": self._rng.bit_generator.state, "drawn": drawn, "games": list(self._games)}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a ``state()``."""
        self._rng.bit_generator.state = state["rng"]
        self._drawn = [tuple(opening) for opening in state["drawn"]]
        self._games = deque(((moves, ends) for moves, ends in state["games"]), maxlen=_REMEMBERED)

    def _draw(self, count: int) -> list[tuple[int, ...]]:
        kind = self._rng.random(count)
        lengths = self._rng.integers(0, self._max_plies + 1, count)
        lengths[kind >= self._fraction] = 0
        prefixes: list[Sequence[int]] = [()] * count
        branches = np.flatnonzero((kind >= self._fraction) & (kind < self._fraction + self._branch_fraction))
        ends_of_games = np.cumsum([ends[-1] for _, ends in self._games])
        for row in branches if self._games else ():
            moves, ends = self._games[self._pick(ends_of_games)]
            prefixes[row] = moves[: self._pick(ends)]
            lengths[row] = self._rng.integers(1, self._branch_plies + 1)
        openings, _ = random_openings(self._game, lengths, self._rng, prefixes)
        return openings

    def _pick(self, ends: Array | list[float]) -> int:
        """An index, with a chance in proportion to how far ``ends`` rises there."""
        return min(int(np.searchsorted(ends, self._rng.random() * ends[-1], side="right")), len(ends) - 1)


def regrets(game: Game, trajectories: Sequence[Trajectory], length_weight: float) -> list[Array]:
    """How wrong the search was before each move of each of these games: float64 ``[T]``, the squared difference of its
    value and of what the game came to, both shaped by ``length_weight``; 0 where nobody searched. A game that was cut
    or given up came to what was expected last.

    Games that begin where it was most wrong teach more than those that begin anywhere (Tsai et al., "Regret-Guided
    Search Control for Efficient Learning in AlphaZero", 2026, where a network learns to predict it).
    """
    lengths = np.array([len(trajectory.moves) for trajectory in trajectories])
    returns = np.stack([trajectory.returns for trajectory in trajectories])
    shaped = shaped_returns(returns, lengths, game.spec.max_plies, length_weight)
    found = []
    for trajectory, movers, (result, *_) in zip(trajectories, _movers(game, trajectories), shaped, strict=True):
        seen_by_first = value_for_player(trajectory.root_values.astype(np.float64), movers, 0)
        found.append(np.nan_to_num((seen_by_first - (result if trajectory.terminated else seen_by_first[-1])) ** 2))
    return found


def given_up(game: Game, trajectory: Trajectory, rules: Adjudication) -> int | None:
    """The seat that would have won a game, played to its end, by ``rules`` before; None = nobody."""
    adjudicator = Adjudicator(rules, 1, game.spec.max_plies)
    slot = np.zeros(1, np.int64)
    expected = zip(_movers(game, [trajectory])[0], trajectory.root_values, strict=True)
    for ply, (mover, value) in enumerate(expected, start=1):
        ends = adjudicator.ends(slot, np.array([mover]), np.array([value]), np.array([ply]))
        if ends and ply < len(trajectory.moves):
            return ends[0][0]
    return None


def _movers(game: Game, trajectories: Sequence[Trajectory]) -> list[Array]:
    """Who made each move of each game: int8 ``[T]``."""
    moves = np.concatenate([trajectory.moves for trajectory in trajectories])
    lengths = np.array([len(trajectory.moves) for trajectory in trajectories])
    ends, movers = np.cumsum(lengths), np.zeros(len(moves), np.int8)
    for plies, states in replayed(game, moves, ends - lengths, lengths):
        movers[plies] = states["to_play"]
    return np.split(movers, ends[:-1])


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
