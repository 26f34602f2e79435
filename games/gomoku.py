"""Gomoku, free style: two players place stones on a square board; five or more of one's own in a line win.

No opening rules and no forbidden moves: an overline (six or more) wins like five do. A full board without a line is a
draw. Black moves first. Points are written as players do: a letter for the column from the left, a number for the row
from the bottom, such as ``h8`` for the middle of a 15 × 15 board.

Actions: ``size * row + column``, row 0 being the top row as drawn.

| plane | what |
|---|---|
| 0 | stones of the player to move |
| 1 | stones of the other player |
"""

from __future__ import annotations

import numpy as np
from numba import njit

from games.core import Array, Game, GameSpec, IllegalActionError, ParseError, Symmetry
from games.diagram import STONES, column_letters, draw_board, read_board, read_point, square_symmetries, write_board
from games.hashing import zobrist

LINE = 5
_ANSI_STONES = ("\x1b[91m●\x1b[0m", "\x1b[93m●\x1b[0m")
_RETURNS = np.array([[1, -1], [-1, 1], [0, 0]], dtype=np.float32)  # by winner, -1 (none) being the last row


class Gomoku(Game):
    """Five in a row on 9 × 9 or 15 × 15 points; the module's docstring has actions and planes."""

    names = ("gomoku_9x9", "gomoku_15x15")

    def __init__(self, name: str = "gomoku_15x15") -> None:
        self.size = int(name.rpartition("x")[2])
        cells = self.size**2
        self.spec = GameSpec(name, 1, 2, cells, (2, self.size, self.size), cells)
        self.dtype = np.dtype(
            [
                ("to_play", np.int8),
                ("terminated", np.bool_),
                ("ply", np.int16),
                ("winner", np.int8),  # -1: none
                ("last_action", np.int16),  # -1: none, or not known
                ("key", np.uint64, 2),  # Zobrist hash of the stones, as either seat sees them
                ("board", np.int8, cells),  # the seat whose stone it is; -1: empty
            ]
        )
        self._zobrist = zobrist(name, (2, cells))

    # ---- rules -------------------------------------------------------------------------------------------------

    def init(self, batch_size: int) -> Array:
        states = np.zeros(batch_size, dtype=self.dtype)
        states["winner"] = states["last_action"] = states["board"] = -1
        return states

    def legal_action_mask(self, states: Array) -> Array:
        return (states["board"] < 0) & ~states["terminated"][:, None]

    def step_unchecked(self, states: Array, actions: Array) -> None:
        mover = states["to_play"].copy()
        states["last_action"] = actions
        states["ply"] += 1
        states["to_play"] = 1 - mover
        won = _place(states["board"], states["key"], self._zobrist, mover, np.asarray(actions, np.int64), self.size)
        states["winner"][won] = mover[won]
        states["terminated"] = won | (states["ply"] == self.spec.max_plies)

    def observe(self, states: Array) -> Array:
        planes = np.empty((len(states), *self.spec.observation_shape), dtype=np.float32)
        _planes(states["board"], states["to_play"], planes.reshape(len(states), 2, -1))
        return planes

    def returns(self, states: Array) -> Array:
        return _RETURNS[states["winner"]]

    def hash(self, states: Array) -> Array:
        return states["key"][np.arange(len(states)), states["to_play"]]

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        return square_symmetries(self.size)

    # ---- text --------------------------------------------------------------------------------------------------

    def render(self, state: np.void, *, color: bool = False) -> str:
        stones = _ANSI_STONES if color else STONES
        letters = "   " + column_letters(self.size)
        rows = draw_board(state["board"].reshape(self.size, self.size), int(state["last_action"]), stones)
        lines = [letters, *(f"{self.size - r:2d} {row}{self.size - r:2d}" for r, row in enumerate(rows))]
        result = f"{stones[state['winner']]} wins" if state["winner"] >= 0 else "draw"
        return "\n".join([*lines, letters, result if state["terminated"] else f"{stones[state['to_play']]} to move"])

    def action_to_string(self, state: np.void, action: int) -> str:
        row, column = divmod(int(action), self.size)
        return f"{chr(ord('a') + column)}{self.size - row}"

    def parse_action(self, state: np.void, text: str) -> int:
        """Reads a point, such as ``h8``."""
        last = f"{chr(ord('a') + self.size - 1)}{self.size}"
        column, number = read_point(text) or (self.size, 0)
        if column >= self.size or not 1 <= number <= self.size:
            raise ParseError(f"{text!r} is not a move in {self.spec.name}; type a point, a1 to {last}.")
        action = (self.size - number) * self.size + column
        if state["terminated"] or state["board"][action] >= 0:
            reason = "illegal because the game is over" if state["terminated"] else "taken"
            raise IllegalActionError(f"{self.spec.name}, ply {int(state['ply'])}: point {text.strip()} is {reason}.")
        return action

    def state_to_string(self, state: np.void) -> str:
        """Rows from the top, as in FEN: ``9/9/9/9/4x4/9/9/9/9 o`` (numbers are runs of empty points, then who moves).

        The last move is not part of the text: ``parse_state`` gives a state whose ``last_action`` is -1.
        """
        return f"{write_board(state['board'].reshape(self.size, self.size))} {STONES[state['to_play']]}"

    def parse_state(self, text: str) -> Array:
        def fail(reason: str) -> ParseError:
            return ParseError(f"{text[:400]!r} is not a position of {self.spec.name}: {reason}.")

        fields = text.split()
        if len(fields) != 2 or fields[1] not in tuple(STONES):
            raise fail(f"give {self.size} rows from the top and who moves, such as '9/9/9/9/4x4/9/9/9/9 o'")
        try:
            cells = read_board(fields[0], self.size, self.size).ravel()
        except ValueError as error:
            raise fail(str(error)) from None
        states = self.init(1)
        to_play, ply = STONES.index(fields[1]), int((cells >= 0).sum())
        if (cells == 0).sum() != (ply + 1) // 2:
            raise fail("x moves first, so x has as many stones as o or one more")
        if to_play != ply % 2:
            raise fail(f"after {ply} moves it is the turn of {STONES[ply % 2]}, not {STONES[to_play]}")
        won = [_has_line(cells, seat, self.size) for seat in (0, 1)]
        if won[to_play] or (won[1 - to_play] and not _can_be_last(cells, 1 - to_play, self.size)):
            raise fail("the game would have ended before")
        states["board"], states["to_play"], states["ply"] = cells, to_play, ply
        states["winner"] = 1 - to_play if won[1 - to_play] else -1
        states["terminated"] = won[1 - to_play] or ply == self.spec.max_plies
        for seat in (0, 1):
            for view in (0, 1):
                own = self._zobrist[seat ^ view][cells == seat]
                states["key"][0, view] ^= np.bitwise_xor.reduce(own) if len(own) else np.uint64(0)
        return states


@njit(cache=True)
def _place(board: Array, key: Array, numbers: Array, mover: Array, actions: Array, size: int) -> Array:
    """Puts a stone in every game and tells, bool ``[B]``, where it made a line of five or more."""
    won = np.zeros(len(board), dtype=np.bool_)
    for i in range(len(board)):
        seat, action = mover[i], actions[i]
        board[i, action] = seat
        key[i, 0] ^= numbers[seat, action]  # what is whose depends on who looks
        key[i, 1] ^= numbers[1 - seat, action]
        row, column = action // size, action % size
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
            length = 1
            for sign in (1, -1):
                r, c = row + sign * down, column + sign * right
                while 0 <= r < size and 0 <= c < size and board[i, r * size + c] == seat:
                    length += 1
                    r += sign * down
                    c += sign * right
            if length >= LINE:
                won[i] = True
    return won


@njit(cache=True)
def _planes(board: Array, to_play: Array, out: Array) -> None:
    for i in range(len(board)):
        for cell in range(board.shape[1]):
            out[i, 0, cell] = board[i, cell] == to_play[i]
            out[i, 1, cell] = board[i, cell] == 1 - to_play[i]


def _has_line(cells: Array, seat: int, size: int) -> bool:
    """Whether ``seat`` has five in a line on the board ``cells`` int8 ``[size * size]``."""
    own = (cells == seat).reshape(size, size)
    for turned in (own, own.T):
        if any(turned[:, start : start + LINE].all(axis=1).any() for start in range(size - LINE + 1)):
            return True
    for turned in (own, own[:, ::-1]):
        for offset in range(-(size - LINE), size - LINE + 1):
            diagonal = turned.diagonal(offset)
            if any(diagonal[start : start + LINE].all() for start in range(len(diagonal) - LINE + 1)):
                return True
    return False


def _can_be_last(cells: Array, seat: int, size: int) -> bool:
    """Whether one of ``seat``'s stones can have been the winning move: without it there is no line."""
    for cell in np.flatnonzero(cells == seat):
        before = cells.copy()
        before[cell] = -1
        if not _has_line(before, seat, size):
            return True
    return False
