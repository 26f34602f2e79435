"""Tic-tac-toe, and with it what a game is: a dtype and functions over arrays (``games/core.py`` explains each)."""

from __future__ import annotations

import functools

import numpy as np

from games.core import ILLEGAL_SCORE, Array, Game, GameSpec, IllegalActionError, ParseError, Symmetry
from games.diagram import square_symmetries
from games.hashing import mix64

LINES = np.array([(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)])
SQUARE_BITS = 1 << np.arange(9)
# board: the seat whose mark is in each square; -1 is an empty square, no winner or no last action.
FIELDS = {"to_play": "i1", "terminated": "?", "ply": "i2", "winner": "i1", "last_action": "i1", "board": "9i1"}
RETURNS = np.array([[1, -1], [-1, 1], [0, 0]], dtype=np.float32)  # by winner, -1 (none) being the last row


class TicTacToe(Game):
    """Three in a row on a 3 × 3 board. Action ``3 * row + column`` marks a square; planes are (mine, theirs)."""

    names = ("tic_tac_toe",)
    dtype = np.dtype(list(FIELDS.items()))
    can_solve = True

    def __init__(self, name: str = "tic_tac_toe") -> None:
        self.spec = GameSpec(name, 1, 2, 9, (2, 3, 3), 9)

    def init(self, batch_size: int) -> Array:
        states = np.zeros(batch_size, dtype=self.dtype)
        states["winner"] = states["last_action"] = states["board"] = -1
        return states

    def legal_action_mask(self, states: Array) -> Array:
        return (states["board"] < 0) & ~states["terminated"][:, None]

    def step_unchecked(self, states: Array, actions: Array) -> None:
        mover = states["to_play"].copy()
        states["board"][np.arange(len(states)), actions] = mover
        states["last_action"] = actions
        states["ply"] += 1
        won = (states["board"][:, LINES] == mover[:, None, None]).all(axis=2).any(axis=1)
        states["winner"][won] = mover[won]
        states["terminated"] = won | (states["ply"] == 9)
        states["to_play"] = 1 - mover

    def observe(self, states: Array) -> Array:
        seats = np.stack([states["to_play"], 1 - states["to_play"]], axis=1)
        return (states["board"][:, None, :] == seats[:, :, None]).astype(np.float32).reshape(-1, 2, 3, 3)

    def returns(self, states: Array) -> Array:
        return RETURNS[states["winner"]]

    def hash(self, states: Array) -> Array:
        mine, theirs = self.observe(states).reshape(-1, 2, 9).swapaxes(0, 1) @ SQUARE_BITS
        return mix64((512 * mine + theirs).astype(np.uint64))

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        return square_symmetries(3)

    def render(self, state: np.void, *, color: bool = False) -> str:
        """Empty squares show the number to type; the last mark stands in brackets."""
        marks = ("\x1b[91mx\x1b[0m", "\x1b[93mo\x1b[0m") if color else ("x", "o")
        cells = [marks[seat] if seat >= 0 else str(i + 1) for i, seat in enumerate(state["board"])]
        cells = [f"[{cell}]" if i == state["last_action"] else f" {cell} " for i, cell in enumerate(cells)]
        result = f"{marks[state['winner']]} wins" if state["winner"] >= 0 else "draw"
        status = result if state["terminated"] else f"{marks[state['to_play']]} to move"
        return "\n".join(["|".join(cells[i : i + 3]) for i in (0, 3, 6)] + [status])

    def action_to_string(self, state: np.void, action: int) -> str:
        return str(int(action) + 1)

    def parse_action(self, state: np.void, text: str) -> int:
        """Reads the number of a square, 1 (top left) to 9 (bottom right)."""
        if len(text.strip()) != 1 or text.strip() not in "123456789":
            raise ParseError(f"{text!r} is not a move in tic_tac_toe; type the number of a square, 1 to 9.")
        action = int(text.strip()) - 1
        if state["terminated"] or state["board"][action] >= 0:
            reason = "illegal because the game is over" if state["terminated"] else "taken"
            raise IllegalActionError(f"tic_tac_toe, ply {int(state['ply'])}: square {action + 1} is {reason}.")
        return action

    def state_to_string(self, state: np.void) -> str:
        """Rows from the top and who moves, such as ``x../.o./..x o``. The last move is not part of the text."""
        marks = "".join(".xo"[seat + 1] for seat in state["board"])
        return f"{marks[:3]}/{marks[3:6]}/{marks[6:]} {'xo'[state['to_play']]}"

    def parse_state(self, text: str) -> Array:
        rows, _, mover = text.strip().partition(" ")
        if [len(row) for row in rows.split("/")] != [3, 3, 3] or set(rows) - set(".xo/") or mover not in ("x", "o"):
            raise ParseError(f"{text!r} is not a position of tic_tac_toe; write one like 'x../.o./..x o'.")
        states = self.init(1)
        board = np.array([".xo".index(mark) - 1 for mark in rows.replace("/", "")], dtype=np.int8)
        ply = int((board >= 0).sum())
        won = [bool((board[LINES] == seat).all(axis=1).any()) for seat in (0, 1)]
        if (board == 0).sum() != (ply + 1) // 2 or "xo".index(mover) != ply % 2 or won[ply % 2]:
            raise ParseError(f"{text!r} is a position that no game of tic_tac_toe reaches; x moves first.")
        states["to_play"], states["terminated"], states["ply"] = ply % 2, any(won) or ply == 9, ply
        states["winner"], states["board"] = won.index(True) if any(won) else -1, board
        return states

    def solve(self, states: Array) -> Array:
        """A win that leaves ``n`` squares empty scores ``n + 1``, a loss ``-(n + 1)``, a draw 0."""
        mine, theirs = (self.observe(states).reshape(-1, 2, 9).astype(np.int64) @ SQUARE_BITS).T
        scores = np.full((len(states), 9), ILLEGAL_SCORE, dtype=np.int32)
        for row, action in np.argwhere(self.legal_action_mask(states)):
            scores[row, action] = -_value(int(theirs[row]), int(mine[row] | SQUARE_BITS[action]))
        return scores


@functools.cache
def _value(mine: int, theirs: int) -> int:
    """The best score of the player to move, whose squares are the bits of ``mine``."""
    empty = [int(bit) for bit in SQUARE_BITS if not (mine | theirs) & bit]
    if any(theirs & line == line for line in SQUARE_BITS[LINES].sum(axis=1)):
        return -(len(empty) + 1)
    return max((-_value(theirs, mine | bit) for bit in empty), default=0)
