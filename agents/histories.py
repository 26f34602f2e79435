"""Games whose observation is how a position came about, for networks that read a sequence.

``History`` is a game like any other, so evaluators and the search need not know: its states carry the last moves along,
and its observation is either those moves or the positions that they led through. Nothing else of the game is shown: no
board, no rules, no legal moves.

Axes: ``L`` is the context, the most that is shown. Both kinds of observation keep to ``[C, H, W]`` and to [-1, 1]:

| reads | shape | what |
|---|---|---|
| moves | ``(2, 1, L)`` | tokens from the left, each as two digits to the base 128, the high one first, divided by 128 |
| positions | ``(L * (C + 1), H, W)`` | the game's own planes of each position, and behind them a plane of ones |

A token is 0 (nothing here), 1 (the start of the game) or ``2 + action``. A game longer than ``L - 1`` moves shows the
last ``L`` of them and no start. The digits are exact in bfloat16, which tokens above 256 are not.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from agents.core import Array
from games import ArenaError, Game
from games.hashing import mix64

READS = ("moves", "positions")
TOKEN_BASE = 128
START = 1
FIRST_ACTION = 2
MAX_ACTIONS = TOKEN_BASE * TOKEN_BASE - FIRST_ACTION
_FIELD = "past_moves"


def observation_shape_of(reads: str, context: int, board: tuple[int, int, int]) -> tuple[int, int, int]:
    """``(C, H, W)`` of a history of ``context`` moves, or positions with planes of shape ``board``."""
    planes, height, width = board
    return (2, 1, context) if reads == "moves" else (context * (planes + 1), height, width)


def as_seen(game: Game, reads: str, context: int) -> Game:
    """``game`` as a network sees it that reads ``"planes"``, ``"moves"`` or ``"positions"``."""
    return game if reads == "planes" else History(game, reads, context)


class History(Game):
    """``game`` with states that remember the moves, and observations made of nothing else.

    Args:
        game: the rules.
        reads: ``"moves"`` or ``"positions"``.
        context: ``L``.

    Raises:
        ArenaError: the game has more actions than there are tokens.
    """

    def __init__(self, game: Game, reads: str, context: int) -> None:
        if game.spec.num_actions > MAX_ACTIONS:
            raise ArenaError(f"{game.spec.name} has {game.spec.num_actions} actions; tokens tell {MAX_ACTIONS} apart.")
        self.game, self.reads, self.context = game, reads, context
        shape = observation_shape_of(reads, context, game.spec.observation_shape)
        self.spec = dataclasses.replace(game.spec, observation_shape=shape)
        # To show positions again, all moves that led to them must be known.
        self._kept = context if reads == "moves" else max(context, game.spec.max_plies)
        self.dtype = np.dtype([*game.dtype.descr, (_FIELD, np.int16, (self._kept,))])
        assert self.dtype.itemsize == game.dtype.itemsize + 2 * self._kept

    # ---- between this game's states and those of the game ------------------------------------------------------------

    def inner(self, states: Array) -> Array:
        """The states of the game itself ``[B]``, as a copy."""
        raw = np.ascontiguousarray(states).view(np.uint8).reshape(len(states), self.dtype.itemsize)
        return raw[:, : self.game.dtype.itemsize].copy().view(self.game.dtype)[:, 0]

    def _put_inner(self, states: Array, inner: Array) -> None:
        for name in self.game.dtype.names or ():
            states[name] = inner[name]

    def remember(self, states: Array, moves: Array, plies: Array) -> Array:
        """The game's own ``states`` ``[B]`` together with how they came about.

        Args:
            states: of the game itself.
            moves: int ``[B, T]``, the moves of each game from its start, of which the first ``plies`` (int ``[B]``)
                have been played.
        """
        remembered = np.zeros(len(states), self.dtype)
        self._put_inner(remembered, states)
        first = np.maximum(plies - self._kept, 0)
        columns = first[:, None] + np.arange(self._kept)
        there = columns < plies[:, None]
        padded = np.concatenate([moves, np.zeros((len(moves), 1), moves.dtype)], axis=1)
        chosen = np.take_along_axis(padded, np.where(there, columns, moves.shape[1]), axis=1)
        remembered[_FIELD] = np.where(there, chosen, 0)
        return remembered

    # ---- the game ----------------------------------------------------------------------------------------------------

    def init(self, batch_size: int) -> Array:
        states = np.zeros(batch_size, self.dtype)
        self._put_inner(states, self.game.init(batch_size))
        return states

    def legal_action_mask(self, states: Array) -> Array:
        return self.game.legal_action_mask(self.inner(states))

    def step_unchecked(self, states: Array, actions: Array) -> None:
        actions = np.asarray(actions, np.int64)
        plies = states["ply"].astype(np.int64)
        full = np.flatnonzero(plies >= self._kept)
        moves = states[_FIELD]
        moves[full, :-1] = moves[full, 1:]
        moves[np.arange(len(states)), np.minimum(plies, self._kept - 1)] = actions
        inner = self.inner(states)
        self.game.step_unchecked(inner, actions)
        self._put_inner(states, inner)

    def observe(self, states: Array) -> Array:
        if self.reads == "moves":
            tokens = self.tokens(states)
            digits = np.stack([tokens // TOKEN_BASE, tokens % TOKEN_BASE], axis=1)
            return (digits / np.float32(TOKEN_BASE)).astype(np.float32)[:, :, None, :]
        return self._positions(states)

    def tokens(self, states: Array) -> Array:
        """int64 ``[B, L]``: the tokens of each game, from the left."""
        plies = states["ply"].astype(np.int64)[:, None]
        columns = np.arange(self.context)
        moves = FIRST_ACTION + states[_FIELD].astype(np.int64)[:, : self.context]
        with_start = np.concatenate([np.full_like(moves[:, :1], START), moves[:, :-1]], axis=1)
        return np.where(plies < self.context, np.where(columns <= plies, with_start, 0), moves)

    def _positions(self, states: Array) -> Array:
        """The planes of the last ``L`` positions of each game, played through again from the start."""
        planes, height, width = self.game.spec.observation_shape
        plies = states["ply"].astype(np.int64)
        if len(states) and plies.max() > self._kept:
            raise ArenaError(
                f"A game of {self.game.spec.name} is longer than {self._kept} plies, so its start is lost."
            )
        shown = np.zeros((len(states), self.context, planes + 1, height, width), np.float32)
        first = np.maximum(plies + 1 - self.context, 0)
        replayed = self.game.init(len(states))
        for ply in range(int(plies.max(initial=0)) + 1):
            rows = np.flatnonzero((first <= ply) & (ply <= plies))
            shown[rows, ply - first[rows], :planes] = self.game.observe(replayed[rows])
            shown[rows, ply - first[rows], planes] = 1.0
            rows = np.flatnonzero(ply < plies)
            going_on = replayed[rows]
            self.game.step_unchecked(going_on, states[_FIELD][rows, ply].astype(np.int64))
            replayed[rows] = going_on
        return shown.reshape(len(states), *self.spec.observation_shape)

    def returns(self, states: Array) -> Array:
        return self.game.returns(self.inner(states))

    def hash(self, states: Array) -> Array:
        # Positions that came about in different ways look different.
        moves = np.zeros((len(states), self._kept + 1), np.uint64)
        moves[:, 0] = states["ply"]
        moves[:, 1:] = states[_FIELD].astype(np.uint64) + np.uint64(FIRST_ACTION)
        moves[:, 1:] *= np.arange(self._kept) < states["ply"][:, None]
        weights = mix64(np.arange(self._kept + 1, dtype=np.uint64)) | np.uint64(1)
        return mix64(self.game.hash(self.inner(states)) ^ (moves * weights).sum(axis=1, dtype=np.uint64))

    # ---- text --------------------------------------------------------------------------------------------------------

    def _inner_state(self, state: np.void) -> np.void:
        return self.inner(np.array([state], self.dtype))[0]

    def render(self, state: np.void, *, color: bool = False) -> str:
        return self.game.render(self._inner_state(state), color=color)

    def action_to_string(self, state: np.void, action: int) -> str:
        return self.game.action_to_string(self._inner_state(state), action)

    def parse_action(self, state: np.void, text: str) -> int:
        return self.game.parse_action(self._inner_state(state), text)

    def state_to_string(self, state: np.void) -> str:
        return self.game.state_to_string(self._inner_state(state))

    def parse_state(self, text: str) -> Array:
        """Only the start of the game has a history that its text tells."""
        states = self.game.parse_state(text)
        if states["ply"][0]:
            raise ArenaError(f"{self.game.spec.name}: a position by itself does not tell the moves that led to it.")
        return self.remember(states, np.zeros((1, 0), np.int64), np.zeros(1, np.int64))
