"""Games that somebody else keeps a copy of: the copy follows ours, move by move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from agents.core import Array, SearchResult
from games import Game

Copy = TypeVar("Copy")


@dataclass
class _Followed(Generic[Copy]):
    """A copy, our own states ``[1]`` where it stands, and the moves that led there."""

    copy: Copy
    states: Array
    moves: tuple[int, ...] = ()


class Followers(Generic[Copy]):
    """Copies of games, by slot.

    Args:
        game: the rules.
        begin: makes a copy at the start of the game, or at ``states`` ``[1]``.
        play: ``(copy, states, action)``: plays ``action`` on the copy, which is where ``states`` ``[1]`` are.
    """

    def __init__(
        self, game: Game, begin: Callable[[Array | None], Copy], play: Callable[[Copy, Array, int], None]
    ) -> None:
        self._game, self._begin, self._play = game, begin, play
        self._followed: dict[int, _Followed[Copy]] = {}

    def forget(self, slots: Array | None = None) -> None:
        """Drops the copies of the games ``slots``, or all."""
        for slot in list(self._followed) if slots is None else slots.tolist():
            self._followed.pop(slot, None)

    def follow(self, slot: int, states: Array, moves: tuple[int, ...]) -> Copy:
        """The copy of the game in ``slot``, at ``states`` ``[1]``, where ``moves`` led from wherever it began."""
        known = self._followed.pop(slot, None)
        if known is None or known.moves != moves[: len(known.moves)] or not self._catch_up(known, states, moves):
            known = self._anew(states, moves)
        self._followed[slot] = known
        return known.copy

    def _catch_up(self, known: _Followed[Copy], states: Array, moves: tuple[int, ...]) -> bool:
        """Plays the moves that are new; whether they are legal and lead to ``states``."""
        ours, new = known.states.copy(), moves[len(known.moves) :]
        for action in new:
            if ours["terminated"][0] or not self._game.legal_action_mask(ours)[0, action]:
                return False
            self._game.step_unchecked(ours, np.array([action]))
        if ours["ply"][0] != states["ply"][0] or self._game.hash(ours)[0] != self._game.hash(states)[0]:
            return False
        for action in new:
            self._play(known.copy, known.states, action)
            self._game.step_unchecked(known.states, np.array([action]))
        known.moves = moves
        return True

    def _anew(self, states: Array, moves: tuple[int, ...]) -> _Followed[Copy]:
        known = _Followed(self._begin(None), self._game.init(1))
        if self._catch_up(known, states, moves):
            return known
        return _Followed(self._begin(states), states.copy(), moves)


class FollowingAgent(Generic[Copy]):
    """What agents with ``Followers`` have in common: a ``HistoryAgent`` that is told of new games."""

    def __init__(self, followers: Followers[Copy]) -> None:
        self._followers = followers

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        """Only at the start of a game are the moves so far known without being told."""
        return self.act_after(states, np.zeros((len(states), 0), np.int64), np.zeros(len(states), np.int64), rng, slots)

    def act_after(
        self, states: Array, moves: Array, plies: Array, rng: np.random.Generator, slots: Array | None = None
    ) -> SearchResult:
        """See ``HistoryAgent``."""
        raise NotImplementedError

    def forget(self, slots: Array) -> None:
        """See ``ForgettingAgent``."""
        self._followers.forget(slots)

    def reset(self) -> None:
        """Forgets all games."""
        self._followers.forget()
