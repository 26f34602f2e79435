"""Othello (Reversi) by the rules of the World Othello Federation: 8 × 8, black (x) moves first.

A disc is placed so that it encloses at least one straight run of the other's discs, and all runs it encloses turn over.
Who has no such move passes, which is an action of its own and only then allowed. When neither has a move the game is
over, and more discs win. Squares are written as in game records: a letter for the column, a number for the row from the
top, such as ``f5``; a pass is ``pass``.

A position is two 64-bit boards, one per seat; bit ``8 * row + column`` is a square, row 0 being the top row.

Actions: ``8 * row + column``, and 64, which is a pass.

| plane | what |
|---|---|
| 0 | discs of the player to move |
| 1 | discs of the other player |
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numba import njit

from games.bits import lowest
from games.core import Array, Game, GameSpec, IllegalActionError, ParseError, Symmetry
from games.diagram import STONES as DISCS
from games.diagram import column_letters, draw_board, read_board, read_point, square_symmetries, write_board
from games.hashing import zobrist

SIZE = 8
SQUARES = 64
PASS = SQUARES
MAX_PLIES = 2 * (SQUARES - 4)  # 60 discs to place, and no two passes in a row
_ANSI_DISCS = ("\x1b[90m●\x1b[0m", "\x1b[97m●\x1b[0m")
_START = (1 << 28 | 1 << 35, 1 << 27 | 1 << 36)  # black e4 d5, white d4 e5
_FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
_NOT_A = np.uint64(0xFEFEFEFEFEFEFEFE)
_NOT_H = np.uint64(0x7F7F7F7F7F7F7F7F)
_SHIFTS = np.array([1, 7, 8, 9], dtype=np.uint64)
_UP = np.array([_NOT_A, _NOT_H, _FULL, _NOT_A])  # what may be there after a shift to higher bits
_DOWN = np.array([_NOT_H, _NOT_A, _FULL, _NOT_H])  # and to lower ones


class Othello(Game):
    """Othello; the module's docstring has rules, actions and planes."""

    names = ("othello",)
    dtype = np.dtype(
        [
            ("to_play", np.int8),
            ("terminated", np.bool_),
            ("ply", np.int16),
            ("last_action", np.int16),  # -1: none, or not known
            ("key", np.uint64, 2),  # Zobrist hash of the discs, as either seat sees them
            ("discs", np.uint64, 2),  # by seat
        ]
    )

    def __init__(self, name: str = "othello") -> None:
        self.spec = GameSpec(name, 1, 2, SQUARES + 1, (2, SIZE, SIZE), MAX_PLIES)
        self._zobrist = zobrist("othello", (2, SQUARES))  # by seat and square
        self._start_key = self._key(_START)

    # ---- rules -------------------------------------------------------------------------------------------------

    def init(self, batch_size: int) -> Array:
        states = np.zeros(batch_size, dtype=self.dtype)
        states["last_action"] = -1
        states["discs"], states["key"] = _START, self._start_key
        return states

    def legal_action_mask(self, states: Array) -> Array:
        return _legal_action_mask(states)

    def step_unchecked(self, states: Array, actions: Array) -> None:
        _step(states, np.asarray(actions, np.int64), self._zobrist)

    def observe(self, states: Array) -> Array:
        return _observe(states)

    def returns(self, states: Array) -> Array:
        first, second = np.bitwise_count(states["discs"]).astype(np.int8).T
        result = np.sign(first - second) * states["terminated"]
        return np.stack([result, -result], axis=1).astype(np.float32)

    def hash(self, states: Array) -> Array:
        return states["key"][np.arange(len(states)), states["to_play"]]

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        return square_symmetries(SIZE, other_actions=1)

    # ---- text --------------------------------------------------------------------------------------------------

    def render(self, state: np.void, *, color: bool = False) -> str:
        discs = _ANSI_DISCS if color else DISCS
        rows = draw_board(_board(state), int(state["last_action"]), discs)
        lines = ["  " + column_letters(SIZE), *(f"{r + 1} {row}" for r, row in enumerate(rows))]
        counts = [int(count) for count in np.bitwise_count(state["discs"])]
        score = f"{discs[0]} {counts[0]}, {discs[1]} {counts[1]}"
        if not state["terminated"]:
            passed = " after a pass" if state["last_action"] == PASS else ""
            return "\n".join([*lines, f"{score}; {discs[state['to_play']]} to move{passed}"])
        result = "draw" if counts[0] == counts[1] else f"{discs[int(counts[1] > counts[0])]} wins"
        return "\n".join([*lines, f"{score}; {result}"])

    def action_to_string(self, state: np.void, action: int) -> str:
        return "pass" if action == PASS else f"{'abcdefgh'[int(action) % 8]}{int(action) // 8 + 1}"

    def parse_action(self, state: np.void, text: str) -> int:
        """Reads a square, such as ``f5``, or ``pass``."""
        word = text.strip().lower()
        column, number = read_point(word) or (SIZE, 0)
        if word != "pass" and not (column < SIZE and number <= SIZE):
            raise ParseError(f"{text!r} is not a move in {self.spec.name}; type a square, a1 to h8, or pass.")
        action = PASS if word == "pass" else SIZE * (number - 1) + column
        legal = self.legal_action_mask(np.array([state], dtype=self.dtype))[0]
        if not legal[action]:
            moves = ", ".join(self.action_to_string(state, int(move)) for move in np.flatnonzero(legal))
            why = "the game is over" if state["terminated"] else f"legal moves are {moves}"
            raise IllegalActionError(f"{self.spec.name}, ply {int(state['ply'])}: {word} is illegal; {why}.")
        return action

    def state_to_string(self, state: np.void) -> str:
        """Rows from the top and who moves: ``8/8/8/3ox3/3xo3/8/8/8 x 0`` (digits are runs of empty squares; the number
        at the end counts the passes so far, without which the ply would not be known).

        The last move is not part of the text: ``parse_state`` gives a state whose ``last_action`` is -1.
        """
        board = _board(state)
        passes = int(state["ply"]) - (int((board >= 0).sum()) - 4)
        return f"{write_board(board)} {DISCS[state['to_play']]} {passes}"

    def parse_state(self, text: str) -> Array:
        def fail(reason: str) -> ParseError:
            return ParseError(f"{text[:200]!r} is not a position of {self.spec.name}: {reason}.")

        fields = text.split()
        if len(fields) != 3 or fields[1] not in tuple(DISCS) or not re.fullmatch("[0-9]{1,2}", fields[2], re.ASCII):
            raise fail("give eight rows from the top, who moves and the passes so far: '8/8/8/3ox3/3xo3/8/8/8 x 0'")
        try:
            board = read_board(fields[0], SIZE, SIZE)
        except ValueError as error:
            raise fail(str(error)) from None
        if (board[3:5, 3:5] < 0).any():
            raise fail("the four squares in the middle are never empty")
        to_play, passes, placed = DISCS.index(fields[1]), int(fields[2]), int((board >= 0).sum()) - 4
        if passes > placed or (placed + passes) % 2 != to_play:
            raise fail("who moves, the number of discs and the number of passes do not go together")
        states = self.init(1)
        bits = np.uint64(1) << np.arange(SQUARES, dtype=np.uint64)
        states["discs"][0] = [np.sum(bits[board.ravel() == seat], dtype=np.uint64) for seat in (0, 1)]
        states["key"][0] = self._key(states["discs"][0])
        mine, theirs = states["discs"][0, to_play], states["discs"][0, 1 - to_play]
        states["to_play"], states["ply"] = to_play, placed + passes
        states["terminated"] = not (_moves(mine, theirs) or _moves(theirs, mine))
        return states

    def _key(self, discs: Sequence[int] | Array) -> Array:
        key = np.zeros(2, dtype=np.uint64)
        for seat in (0, 1):
            _toggle(key, self._zobrist, seat, np.uint64(discs[seat]))
        return key


def _board(state: np.void) -> Array:
    """int8 ``[8, 8]``: the seat whose disc is on each square, -1 where empty."""
    bits = np.uint64(1) << np.arange(SQUARES, dtype=np.uint64)
    first, second = ((discs & bits) > 0 for discs in state["discs"])
    return (second * np.int8(2) + first - np.int8(1)).reshape(SIZE, SIZE)


@njit(cache=True)
def _moves(mine: np.uint64, theirs: np.uint64) -> np.uint64:
    """The squares where the player of ``mine`` may place a disc."""
    empty = ~(mine | theirs)
    moves = np.uint64(0)
    for d in range(4):
        shift, up, down = _SHIFTS[d], _UP[d], _DOWN[d]
        run = (mine << shift) & up & theirs  # runs of their discs beside mine, towards higher bits
        for _ in range(5):
            run |= (run << shift) & up & theirs
        moves |= (run << shift) & up & empty
        run = (mine >> shift) & down & theirs
        for _ in range(5):
            run |= (run >> shift) & down & theirs
        moves |= (run >> shift) & down & empty
    return moves


@njit(cache=True)
def _turned(mine: np.uint64, theirs: np.uint64, disc: np.uint64) -> np.uint64:
    """The discs that turn over when the player of ``mine`` places ``disc``."""
    turned = np.uint64(0)
    for d in range(4):
        shift, up, down = _SHIFTS[d], _UP[d], _DOWN[d]
        run = np.uint64(0)
        here = (disc << shift) & up
        while here & theirs:
            run |= here
            here = (here << shift) & up
        if here & mine:
            turned |= run
        run = np.uint64(0)
        here = (disc >> shift) & down
        while here & theirs:
            run |= here
            here = (here >> shift) & down
        if here & mine:
            turned |= run
    return turned


@njit(cache=True)
def _legal_action_mask(states: Array) -> Array:
    mask = np.zeros((len(states), SQUARES + 1), dtype=np.bool_)
    discs, to_play, terminated = states["discs"], states["to_play"], states["terminated"]
    for i in range(len(states)):
        if not terminated[i]:
            moves = _moves(discs[i, to_play[i]], discs[i, 1 - to_play[i]])
            mask[i, PASS] = moves == np.uint64(0)
            for square in range(SQUARES):
                mask[i, square] = (moves >> np.uint64(square)) & np.uint64(1)
    return mask


@njit(cache=True)
def _toggle(key: Array, numbers: Array, seat: int, discs: np.uint64) -> None:
    """Puts the seat's ``discs`` into ``key`` ``[2]``, or takes out what is there."""
    while discs:
        square = lowest(discs)
        key[0] ^= numbers[seat, square]  # whose it is depends on who looks
        key[1] ^= numbers[1 - seat, square]
        discs &= discs - np.uint64(1)


@njit(cache=True)
def _step(states: Array, actions: Array, numbers: Array) -> None:
    discs, to_play, terminated = states["discs"], states["to_play"], states["terminated"]
    ply, last_action = states["ply"], states["last_action"]
    for i in range(len(states)):
        seat = to_play[i]
        if actions[i] != PASS:
            disc = np.uint64(1) << np.uint64(actions[i])
            turned = _turned(discs[i, seat], discs[i, 1 - seat], disc)
            discs[i, seat] |= disc | turned
            discs[i, 1 - seat] ^= turned
            _toggle(states["key"][i], numbers, seat, disc | turned)
            _toggle(states["key"][i], numbers, 1 - seat, turned)
        mine, theirs = discs[i, seat], discs[i, 1 - seat]
        terminated[i] = _moves(theirs, mine) == np.uint64(0) and _moves(mine, theirs) == np.uint64(0)
        ply[i] += 1
        last_action[i] = actions[i]
        to_play[i] = 1 - seat


@njit(cache=True)
def _observe(states: Array) -> Array:
    planes = np.empty((len(states), 2, SIZE, SIZE), dtype=np.float32)
    discs, to_play = states["discs"], states["to_play"]
    for i in range(len(states)):
        for plane in range(2):
            seat_discs = discs[i, to_play[i] ^ plane]
            for square in range(SQUARES):
                planes[i, plane, square // SIZE, square % SIZE] = (seat_discs >> np.uint64(square)) & np.uint64(1)
    return planes
