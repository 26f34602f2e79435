"""Connect Four: two players drop discs into seven columns of six; four in a line wins.

A position is two 64-bit boards, one per seat. Column ``c`` (0 … 6, left to right) owns bits ``7 c … 7 c + 6``: bit
``7 c`` is its bottom cell and bit ``7 c + 6`` stays empty, so that shifts never run from one column into the next
(the layout of Pascal Pons, "Solving Connect 4", http://blog.gamesolver.org).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from games.core import Array, Game, GameSpec, IllegalActionError, ParseError, Symmetry
from games.diagram import STONES as DISCS
from games.diagram import draw_board, read_board, write_board
from games.hashing import mix64

ROWS, COLUMNS = 6, 7
_RETURNS = np.array([[1, -1], [-1, 1], [0, 0]], dtype=np.float32)  # by winner, -1 (none) being the last row
_ANSI_DISCS = ("\x1b[91m●\x1b[0m", "\x1b[93m●\x1b[0m")

_BITS = np.array([[7 * c + ROWS - 1 - r for c in range(COLUMNS)] for r in range(ROWS)], dtype=np.uint64)
"""``[6, 7]``: the bit of each cell of the board as it is drawn, top row first."""

_DTYPE = np.dtype(
    [
        ("to_play", np.int8),  # flips with every move, the last one included
        ("terminated", np.bool_),
        ("ply", np.int16),
        ("winner", np.int16),  # -1: none
        ("last_action", np.int16),  # -1: none, or not known
        ("stones", np.uint64, 2),  # by seat
    ]
)


class ConnectFour(Game):
    """Actions are the columns, left to right; planes are (mine, theirs, whether I began), top row first.

    Who began decides who will get which of the last cells, and so most games between good players; two planes tell it
    only to those who count all stones.
    """

    names = ("connect_four",)
    dtype = _DTYPE
    can_solve = True

    def __init__(self, name: str = "connect_four") -> None:
        self.spec = GameSpec(name, 1, 2, COLUMNS, (3, ROWS, COLUMNS), ROWS * COLUMNS)

    # ---- rules -------------------------------------------------------------------------------------------------

    def init(self, batch_size: int) -> Array:
        states = np.zeros(batch_size, dtype=self.dtype)
        states["winner"] = states["last_action"] = -1
        return states

    def legal_action_mask(self, states: Array) -> Array:
        return _legal_action_mask(states)

    def step_unchecked(self, states: Array, actions: Array) -> None:
        _step(states, actions)

    def observe(self, states: Array) -> Array:
        return _observe(states)

    def returns(self, states: Array) -> Array:
        return _RETURNS[states["winner"]]

    def hash(self, states: Array) -> Array:
        return mix64(_keys(states))

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        cells = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
        columns = np.arange(COLUMNS)
        return (Symmetry(cells.ravel(), columns), Symmetry(cells[:, ::-1].ravel(), columns[::-1].copy()))

    def solve(self, states: Array) -> Array:
        """Exact scores int32 ``[B, 7]``; see ``games.connect_four_solver`` for the scale."""
        from games import connect_four_solver  # only those who ask for the truth compile the solver

        return connect_four_solver.solve(states)

    # ---- text --------------------------------------------------------------------------------------------------

    def render(self, state: np.void, *, color: bool = False) -> str:
        board, last = _board(state), int(state["last_action"])
        last_row = int(np.argmax(board[:, last] >= 0)) if last >= 0 else -1
        discs = _ANSI_DISCS if color else DISCS
        lines = ["".join(f" {column + 1} " for column in range(COLUMNS))]
        lines += draw_board(board, COLUMNS * last_row + last, discs)
        if state["winner"] >= 0:
            lines.append(f"{discs[state['winner']]} wins")
        else:
            lines.append("draw" if state["terminated"] else f"{discs[state['to_play']]} to move")
        return "\n".join(lines)

    def action_to_string(self, state: np.void, action: int) -> str:
        return str(int(action) + 1)

    def parse_action(self, state: np.void, text: str) -> int:
        """Reads a column number, 1 (left) to 7."""
        if text.strip() not in tuple("1234567"):
            raise ParseError(f"{text!r} is not a move in {self.spec.name}; type the number of a column, 1 to 7.")
        action, is_open = int(text.strip()) - 1, _board(state)[0] < 0
        if state["terminated"] or not is_open[action]:
            columns = ", ".join(str(column + 1) for column in np.flatnonzero(is_open))
            reason = "illegal because the game is over" if state["terminated"] else f"full; open columns are {columns}"
            raise IllegalActionError(f"{self.spec.name}, ply {int(state['ply'])}: column {action + 1} is {reason}.")
        return action

    def state_to_string(self, state: np.void) -> str:
        """Rows from the top, as in FEN: ``7/7/7/7/3o3/2xxo2 x`` (digits are runs of empty cells, then who moves).

        The last move is not part of the text: ``parse_state`` gives a state whose ``last_action`` is -1.
        """
        return f"{write_board(_board(state))} {DISCS[state['to_play']]}"

    def parse_state(self, text: str) -> Array:
        def fail(reason: str) -> ParseError:
            return ParseError(f"{text!r} is not a position of {self.spec.name}: {reason}.")

        fields = text.split()
        if len(fields) != 2 or fields[1] not in tuple(DISCS):
            raise fail("give six rows from the top and who moves, such as '7/7/7/7/3o3/2xxo2 x'")
        try:
            board = read_board(fields[0], ROWS, COLUMNS)
        except ValueError as error:
            raise fail(str(error)) from None
        if (floating := (board[:-1] >= 0) & (board[1:] < 0)).any():
            raise fail(f"a disc in column {int(np.argwhere(floating)[0, 1]) + 1} hangs in the air")

        states = self.init(1)
        to_play, ply = DISCS.index(fields[1]), int((board >= 0).sum())
        if (board == 0).sum() != (ply + 1) // 2:
            raise fail("x moves first, so x has as many discs as o or one more")
        if to_play != ply % 2:
            raise fail(f"after {ply} moves it is the turn of {DISCS[ply % 2]}, not {DISCS[to_play]}")
        states["stones"][0] = [np.sum(np.uint64(1) << _BITS[board == seat], dtype=np.uint64) for seat in (0, 1)]
        fours = [bool(_has_four(stones)) for stones in states["stones"][0]]
        if not _reachable(np.ascontiguousarray(board[::-1].T), states["stones"][0]):
            raise fail("no order of moves leads to it with the first four in a line ending the game")
        states["to_play"], states["terminated"], states["ply"] = to_play, any(fours) or ply == ROWS * COLUMNS, ply
        states["winner"] = fours.index(True) if any(fours) else -1
        return states


@njit(cache=True)
def _has_four(stones: np.uint64) -> bool:
    for shift in (1, 6, 7, 8):  # vertical, falling, horizontal, rising
        pairs = stones & (stones >> np.uint64(shift))
        if pairs & (pairs >> np.uint64(2 * shift)):
            return True
    return False


@njit(cache=True)
def _legal_action_mask(states: Array) -> Array:
    mask = np.zeros((len(states), COLUMNS), dtype=np.bool_)
    stones, terminated = states["stones"], states["terminated"]
    for i in range(len(states)):
        if not terminated[i]:
            occupied = stones[i, 0] | stones[i, 1]
            for column in range(COLUMNS):
                mask[i, column] = not (occupied >> np.uint64(7 * column + ROWS - 1)) & np.uint64(1)
    return mask


@njit(cache=True)
def _step(states: Array, actions: Array) -> None:
    to_play, terminated, ply = states["to_play"], states["terminated"], states["ply"]
    winner, last_action, stones = states["winner"], states["last_action"], states["stones"]
    for i in range(len(states)):
        seat, bottom = to_play[i], np.uint64(7 * actions[i])
        column = (stones[i, 0] | stones[i, 1]) >> bottom & np.uint64(63)
        stones[i, seat] |= (column + np.uint64(1)) << bottom  # a column is a run of ones, so + 1 is its next cell
        ply[i] += 1
        last_action[i] = actions[i]
        if _has_four(stones[i, seat]):
            winner[i] = seat
            terminated[i] = True
        elif ply[i] == ROWS * COLUMNS:
            terminated[i] = True
        to_play[i] = 1 - seat


@njit(cache=True)
def _observe(states: Array) -> Array:
    planes = np.empty((len(states), 3, ROWS, COLUMNS), dtype=np.float32)
    stones, to_play = states["stones"], states["to_play"]
    for i in range(len(states)):
        planes[i, 2] = 1 - to_play[i]
        for plane in range(2):
            seat_stones = stones[i, to_play[i] ^ plane]
            for row in range(ROWS):
                for column in range(COLUMNS):
                    bit = np.uint64(7 * column + ROWS - 1 - row)
                    planes[i, plane, row, column] = (seat_stones >> bit) & np.uint64(1)
    return planes


@njit(cache=True)
def _keys(states: Array) -> Array:
    """uint64 ``[B]``, one to one with (mine, theirs): within a column the sum still tells height and colours apart."""
    keys = np.empty(len(states), dtype=np.uint64)
    stones, to_play = states["stones"], states["to_play"]
    for i in range(len(states)):
        keys[i] = stones[i, to_play[i]] + (stones[i, 0] | stones[i, 1])
    return keys


def _board(state: np.void) -> Array:
    """int8 ``[6, 7]``, top row first: the seat whose disc is in each cell, -1 where empty."""
    first, second = ((stones >> _BITS) & np.uint64(1) for stones in state["stones"])
    return second.astype(np.int8) * 2 + first.astype(np.int8) - 1


@njit(cache=True)
def _reachable(columns: Array, stones: Array) -> bool:
    """Whether moves in turn can fill ``columns`` (int8 ``[7, 6]``, from the bottom, -1 = empty) with no four too early.

    Dynamic programming over the heights of the columns; only the move before the last can have been too early to win.
    """
    strides, full = np.ones(COLUMNS + 1, dtype=np.int64), np.zeros(COLUMNS, dtype=np.int64)
    for c in range(COLUMNS):
        full[c] = np.sum(columns[c] >= 0)
        strides[c + 1] = strides[c] * (full[c] + 1)
    final = strides[COLUMNS] - 1
    reached = np.zeros(final + 1, dtype=np.bool_)
    reached[0] = True
    heights = np.zeros(COLUMNS, dtype=np.int64)
    for code in range(final):  # a move raises the code, so every way into a code is known when its turn comes
        if reached[code]:
            for c in range(COLUMNS):
                heights[c] = code // strides[c] % (full[c] + 1)
            for c in range(COLUMNS):
                if heights[c] < full[c] and columns[c, heights[c]] == np.sum(heights) % 2:
                    others = ~(np.uint64(1) << np.uint64(7 * c + heights[c]))
                    is_early = _has_four(stones[0] & others) or _has_four(stones[1] & others)
                    reached[code + strides[c]] |= code + strides[c] < final or not is_early
    return bool(reached[final])
