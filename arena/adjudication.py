"""Ending games before the rules do: off unless asked for, and always said in the record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.core import value_for_player
from agents.search import shaped_returns
from games import ArenaError, EndReason

Array = np.ndarray


@dataclass(frozen=True)
class Adjudication:
    """When a game of two players is taken to be over. A rule is off while its number of plies, or ``max_plies``, is 0.

    Both players must agree, ply after ply: a game is won when the winner expects at least ``resign_value`` and the
    loser at most ``-resign_value``, drawn when both expect a result within ``draw_value`` of 0. Agents that expect
    nothing, such as the random one, never agree.

    Raises:
        ArenaError: a setting that is out of range.
    """

    resign_value: float = 0.95
    resign_plies: int = 0
    draw_value: float = 0.05
    draw_plies: int = 0
    draw_after: int = 0
    """Plies that are always played before a draw."""
    max_plies: int = 0
    """A game that is this long, its opening included, is a draw."""
    length_weight: float = 0.0
    """``SearchConfig.length_weight`` of players who expect less of a win the later it comes: ``resign_value`` is then
    that share of what a win would count now."""

    def __post_init__(self) -> None:
        for name in ("resign_plies", "draw_plies", "draw_after", "max_plies"):
            if getattr(self, name) < 0:
                raise ArenaError(f"Adjudication's {name} is {getattr(self, name)}; give 0 or more.")
        for name in ("resign_value", "draw_value", "length_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ArenaError(f"Adjudication's {name} is {getattr(self, name):g}; give 0 to 1.")


class Adjudicator:
    """Follows ``slots`` games, the longest of which have ``max_plies``, by what their players expect."""

    def __init__(self, rules: Adjudication, slots: int, max_plies: int) -> None:
        self._rules, self._max_plies = rules, max_plies
        self.streaks = np.zeros((3, slots), np.int32)  # of plies in which seat 0, seat 1, nobody was to win

    def start(self, slots: Array) -> None:
        """New games in ``slots``."""
        self.streaks[:, slots] = 0

    def ends(self, slots: Array, to_play: Array, values: Array, plies: Array) -> dict[int, tuple[int, EndReason, str]]:
        """The games of ``slots`` that are over: winner (-1 = a draw), how, and in words.

        Args:
            slots: int64 ``[B]``, where a move was made.
            to_play: int ``[B]``, by whom.
            values: float ``[B]``, what they expected; NaN = nothing.
            plies: int ``[B]``, the length of the game.
        """
        rules = self._rules
        first = value_for_player(values, to_play, 0)
        enough = shaped_returns(
            np.full((len(plies), 1), rules.resign_value), plies, self._max_plies, rules.length_weight
        )
        agree = np.stack([first >= enough[:, 0], first <= -enough[:, 0], np.abs(first) <= rules.draw_value])
        self.streaks[:, slots] = np.where(agree, self.streaks[:, slots] + 1, 0)
        wanted = np.array([rules.resign_plies, rules.resign_plies, rules.draw_plies])[:, None]
        over = (self.streaks[:, slots] >= wanted) & (wanted > 0)
        over[2] &= plies >= rules.draw_after
        won = EndReason.RESIGNATION, f"adjudicated: both expected {rules.resign_value:g} for {rules.resign_plies} plies"
        drawn = EndReason.DRAW, f"adjudicated: both expected 0 ± {rules.draw_value:g} for {rules.draw_plies} plies"
        ended = {}
        for row in np.flatnonzero(over.any(axis=0)):
            winner = int(np.argmax(over[:, row]))
            ended[int(slots[row])] = (-1, *drawn) if winner == 2 else (winner, *won)
        return ended
