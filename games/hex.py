"""Hex: two players place stones on a rhombus of hexagons; whoever joins their two sides wins. There are no draws.

x moves first and joins top and bottom, o joins left and right. A cell touches the two beside it in its row, the two
straight above and below it, the one above to the right and the one below to the left. Cells are written as players do:
a letter for the column, a number for the row from the top, such as ``c4``.

With ``games.make("hex_11x11", swap=True)`` the second player may answer the first move with ``swap``: the stone changes
its colour and moves to the cell mirrored in the long diagonal (which keeps each player's sides), and x is to move.

Actions: ``size * row + column``; with the swap rule also ``size * size``, which is ``swap``.

| plane | what |
|---|---|
| 0 | stones of the player to move |
| 1 | stones of the other player |
| 2 | ones where the player to move is x (joins top and bottom), else zeros |
"""

from __future__ import annotations

import numpy as np
from numba import njit

from games.core import Array, Game, GameSpec, IllegalActionError, ParseError, Symmetry
from games.diagram import STONES, column_letters, draw_board, read_board, read_point, write_board
from games.hashing import zobrist

SIZES = tuple(range(5, 20))
_ANSI_STONES = ("\x1b[91m⬢\x1b[0m", "\x1b[94m⬢\x1b[0m")
_RETURNS = np.array([[1, -1], [-1, 1], [0, 0]], dtype=np.float32)  # by winner, -1 (none) being the last row
_BOTH = 3  # joined to both sides


class Hex(Game):
    """Hex on 5 × 5 to 19 × 19 cells; the module's docstring has actions and planes."""

    names = tuple(f"hex_{size}x{size}" for size in SIZES)

    def __init__(self, name: str = "hex_11x11", *, swap: bool = False) -> None:
        self.size, self.swap = int(name.rpartition("x")[2]), swap
        cells = self.size**2
        self.spec = GameSpec(name, 1, 2, cells + swap, (3, self.size, self.size), cells + swap)
        self.dtype = np.dtype(
            [
                ("to_play", np.int8),
                ("terminated", np.bool_),
                ("ply", np.int16),
                ("winner", np.int8),  # -1: none
                ("last_action", np.int16),  # -1: none, or not known
                ("key", np.uint64),  # Zobrist hash of the stones
                ("board", np.int8, cells),  # the seat whose stone it is; -1: empty
                ("sides", np.int8, cells),  # of its two sides, those that a stone is joined to: 1, 2 or both
            ]
        )
        self._zobrist = zobrist(name, (2, cells))
        self._zobrist_mover = zobrist(f"{name} mover", (2,))

    # ---- rules -------------------------------------------------------------------------------------------------

    def init(self, batch_size: int) -> Array:
        states = np.zeros(batch_size, dtype=self.dtype)
        states["winner"] = states["last_action"] = states["board"] = -1
        return states

    def legal_action_mask(self, states: Array) -> Array:
        mask = (states["board"] < 0) & ~states["terminated"][:, None]
        return np.concatenate([mask, self._may_swap(states)[:, None]], axis=1) if self.swap else mask

    def _may_swap(self, states: Array) -> Array:
        return (states["ply"] == 1) & self.swap

    def step_unchecked(self, states: Array, actions: Array) -> None:
        actions = np.asarray(actions, np.int64)
        mover = states["to_play"].copy()
        states["last_action"] = actions
        states["ply"] += 1
        states["to_play"] = 1 - mover
        fields = (states["board"], states["sides"], states["key"])
        won = _place(*fields, self._zobrist, mover, actions, self.size)
        states["winner"][won] = mover[won]
        states["terminated"] = won

    def observe(self, states: Array) -> Array:
        planes = np.empty((len(states), *self.spec.observation_shape), dtype=np.float32)
        _planes(states["board"], states["to_play"], planes.reshape(len(states), 3, -1))
        return planes

    def returns(self, states: Array) -> Array:
        return _RETURNS[states["winner"]]

    def hash(self, states: Array) -> Array:
        return states["key"] ^ self._zobrist_mover[states["to_play"]]

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        """The board, and the board turned by half a turn."""
        cells = np.arange(self.size**2)
        others = np.arange(self.size**2, self.spec.num_actions)
        return tuple(Symmetry(image, np.concatenate([image, others])) for image in (cells, cells[::-1].copy()))

    # ---- text --------------------------------------------------------------------------------------------------

    def render(self, state: np.void, *, color: bool = False) -> str:
        stones = _ANSI_STONES if color else STONES
        rows = draw_board(state["board"].reshape(self.size, self.size), int(state["last_action"]), stones)
        # Every row stands half a cell, here a cell and a half of text, further to the right.
        lines = [
            "  " + column_letters(self.size),
            *(f"{' ' * (3 * r // 2)}{r + 1:2d}{row}" for r, row in enumerate(rows)),
        ]
        goals = ("top and bottom", "left and right")
        if state["winner"] >= 0:
            lines.append(f"{stones[state['winner']]} wins")
        else:
            seat = int(state["to_play"])
            lines.append(f"{stones[seat]} to move, joins {goals[seat]}")
        return "\n".join(lines)

    def action_to_string(self, state: np.void, action: int) -> str:
        if action == self.size**2:
            return "swap"
        row, column = divmod(int(action), self.size)
        return f"{chr(ord('a') + column)}{row + 1}"

    def parse_action(self, state: np.void, text: str) -> int:
        """Reads a cell, such as ``c4``, or ``swap`` where the rule is in force."""
        where = f"{self.spec.name}, ply {int(state['ply'])}"
        word = text.strip().lower()
        if self.swap and word == "swap":
            if state["ply"] != 1:
                raise IllegalActionError(f"{where}: only the very second move may be swap.")
            return self.size**2
        last = f"{chr(ord('a') + self.size - 1)}{self.size}"
        column, number = read_point(word) or (self.size, 0)
        if column >= self.size or number > self.size:
            swap = " or swap" if self.swap else ""
            raise ParseError(f"{text!r} is not a move in {self.spec.name}; type a cell, a1 to {last}{swap}.")
        action = (number - 1) * self.size + column
        if state["terminated"] or state["board"][action] >= 0:
            reason = "illegal because the game is over" if state["terminated"] else "taken"
            raise IllegalActionError(f"{where}: cell {word} is {reason}.")
        return action

    def state_to_string(self, state: np.void) -> str:
        """Rows from the top, as in FEN: ``5/5/2x2/5/5 o`` (numbers are runs of empty cells, then who moves).

        The last move is not part of the text: ``parse_state`` gives a state whose ``last_action`` is -1.
        """
        return f"{write_board(state['board'].reshape(self.size, self.size))} {STONES[state['to_play']]}"

    def parse_state(self, text: str) -> Array:
        def fail(reason: str) -> ParseError:
            return ParseError(f"{text[:400]!r} is not a position of {self.spec.name}: {reason}.")

        fields = text.split()
        if len(fields) != 2 or fields[1] not in tuple(STONES):
            raise fail(f"give {self.size} rows from the top and who moves, such as '5/5/2x2/5/5 o'")
        try:
            cells = read_board(fields[0], self.size, self.size).ravel()
        except ValueError as error:
            raise fail(str(error)) from None
        to_play, (first, second) = STONES.index(fields[1]), (int((cells == seat).sum()) for seat in (0, 1))
        swapped = self.swap and second > 0 and first - second == -1 + to_play
        if not swapped and first - second != to_play:
            raise fail("x moves first, so x has as many stones as o when x is to move and one more when o is")
        states = self._placed(cells)
        states["to_play"], states["ply"] = to_play, first + second + swapped
        winner = int(states["winner"][0])
        if winner == to_play or (winner >= 0 and not self._can_be_last(cells, winner)):
            raise fail("the game would have ended before")
        if winner < 0 and (cells >= 0).all():
            raise fail("a full board always has a winner")
        return states

    def _placed(self, cells: Array) -> Array:
        """A state ``[1]`` with these stones on the board, whoever is to move."""
        states = self.init(1)
        for cell in np.flatnonzero(cells >= 0):
            seat = cells[cell : cell + 1]
            fields = (states["board"], states["sides"], states["key"])
            if _place(*fields, self._zobrist, seat, np.array([cell]), self.size)[0]:
                states["winner"], states["terminated"] = seat, True
        return states

    def _can_be_last(self, cells: Array, seat: int) -> bool:
        """Whether one of ``seat``'s stones can have been the winning move: without it its sides are not joined."""
        for cell in np.flatnonzero(cells == seat):
            before = cells.copy()
            before[cell] = -1
            if self._placed(before)["winner"][0] != seat:
                return True
        return False


@njit(cache=True)
def _place(board: Array, sides: Array, key: Array, numbers: Array, mover: Array, actions: Array, size: int) -> Array:
    """Puts a stone in every game, or swaps; tells, bool ``[B]``, where it joined the mover's two sides."""
    won = np.zeros(len(board), dtype=np.bool_)
    stack = np.empty(size * size, dtype=np.int64)
    for i in range(len(board)):
        seat, cell = mover[i], actions[i]
        if cell == size * size:  # the only stone becomes its mirror image of the other colour
            for old in range(size * size):
                if board[i, old] >= 0:
                    board[i, old] = -1
                    sides[i, old] = 0
                    key[i] ^= numbers[1 - seat, old]
                    cell = old % size * size + old // size
                    break
        board[i, cell] = seat
        key[i] ^= numbers[seat, cell]
        joined = _own_sides(seat, cell, size)
        for n in range(6):
            other = _neighbour(cell, n, size)
            if other >= 0 and board[i, other] == seat:
                joined |= sides[i, other]
        sides[i, cell] = joined
        if joined == _BOTH:
            won[i] = True
        if joined == 0:
            continue
        depth = 1  # tell those it touches, and those that they touch
        stack[0] = cell
        while depth > 0:
            depth -= 1
            here = stack[depth]
            for n in range(6):
                other = _neighbour(here, n, size)
                if other >= 0 and board[i, other] == seat and sides[i, other] != joined:
                    sides[i, other] = joined
                    stack[depth] = other
                    depth += 1
    return won


@njit(cache=True)
def _own_sides(seat: int, cell: int, size: int) -> int:
    """The sides of its player that the cell itself lies on: 1 top or left, 2 bottom or right."""
    place = cell // size if seat == 0 else cell % size
    return (1 if place == 0 else 0) | (2 if place == size - 1 else 0)


@njit(cache=True)
def _neighbour(cell: int, n: int, size: int) -> int:
    """The ``n``-th of the six cells that a cell touches; -1 beyond the edge."""
    row, column = cell // size, cell % size
    if n == 0:
        column += 1
    elif n == 1:
        column -= 1
    elif n == 2:
        row += 1
    elif n == 3:
        row -= 1
    elif n == 4:
        row -= 1
        column += 1
    else:
        row += 1
        column -= 1
    return row * size + column if 0 <= row < size and 0 <= column < size else -1


@njit(cache=True)
def _planes(board: Array, to_play: Array, out: Array) -> None:
    for i in range(len(board)):
        for cell in range(board.shape[1]):
            out[i, 0, cell] = board[i, cell] == to_play[i]
            out[i, 1, cell] = board[i, cell] == 1 - to_play[i]
            out[i, 2, cell] = to_play[i] == 0
