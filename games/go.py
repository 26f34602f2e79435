"""Go on 5 × 5, 7 × 7, … 19 × 19 points by the Tromp–Taylor rules (https://tromp.github.io/go.html).

Black (x) moves first.

Who is to move places a stone or passes. Chains of the other's that have no liberty left then come off the board. A move
may not recreate an earlier whole-board position of the game (positional superko) nor, what Tromp and Taylor allow,
leave its own chain without a liberty (suicide). The game ends with two passes in a row, or at ply ``2 * size**2``.
All on the board is then alive: a player's area is that player's stones and the empty points from which no others are
reached. White's area and komi are compared with black's.

Options, as in ``games.make("go_9x9", komi=7)``:

- ``komi``: a multiple of a half; 7.5 on every board, so that there are no draws, and as OpenSpiel has it. With perfect
  play black is believed to lead by 7 on 9 × 9 and 9 on 7 × 7, and leads by 25 on 5 × 5: komi 7 makes 9 × 9 fair.
- ``ko``: ``"positional"`` superko; ``"situational"``, where the player to move must be the same too; or ``"simple"``,
  which only forbids to take back at once the single stone that took a single stone, as Japanese rules and most records
  have it.
- ``suicide=True`` allows it. ``max_plies`` is the last ply.
- ``history=k`` gives AlphaGo Zero's planes of the last k positions (8 in the paper) instead of the compact ones.

Points are written as Go players do, ``D4``: a letter for the column, without I, and a number for the row from below.
Actions: ``size * row + column``, row 0 being the top row as drawn, and ``size**2``, which is a pass.

| plane, compact | what |
|---|---|
| 0 | stones of the player to move |
| 1 | stones of the other player |
| 2 | stones of chains with one liberty |
| 3 | stones of chains with two liberties |
| 4 | points that ko alone forbids |
| 5 | ones where black is to move, else zeros |
| 6 | ones where the last move was a pass, so that another ends the game, else zeros |

| plane, ``history=k`` | what |
|---|---|
| 2 i | stones of the player to move i plies ago, i = 0 … k - 1; zeros before the first move, set-up stones included |
| 2 i + 1 | likewise of the other player |
| 2 k | ones where black is to move, else zeros |

A board is bits, ``(size + 1) * row + column``; the column more than there is keeps shifts from running from one row
into the next. A state holds the stones and those in atari, from which the legal moves follow at once; a move only needs
to look whether the chains beside it have two liberties. For superko a state keeps four bytes of every ply: the move and
some bits of the Zobrist keys. Where those fit, the game is played again up to there and the boards are compared, so
that no collision of keys ever forbids a move. A state takes 296 bytes on 5 × 5, 808 on 9 × 9, 1,576 on 13 × 13 and
3,304 on 19 × 19; ``history=8`` adds 224 on 9 × 9 and 672 on 19 × 19.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numba import njit

from games.core import ArenaError, Array, Game, GameSpec, IllegalActionError, ParseError, Symmetry
from games.diagram import STONES, read_board, square_symmetries, write_board
from games.hashing import mix64, zobrist

Int = int | np.signedinteger

SIZES = (5, 7, 9, 11, 13, 15, 17, 19)
LETTERS = "ABCDEFGHJKLMNOPQRST"
COLORS = ("black", "white")
_ANSI_STONES = ("\x1b[90m●\x1b[0m", "\x1b[97m●\x1b[0m")
_KO = {"simple": 0, "positional": 1, "situational": 2}

# Rows of bits. A state has the first eight, the kernels' scratch boards have others instead of the last two of those.
_BLACK, _WHITE = 0, 1
_ATARI = 2  # stones of chains with one liberty
_LEGAL = 3  # where the player to move may place a stone
_GONE = 4  # and 5: points from which a stone of the seat was ever taken
_SETUP = 6  # and 7: stones of the seat that were there before the first move
_STATE_ROWS = 8
_EMPTY = 6
_DEAD = 7  # what the last move took
_CHAIN, _ZONE = 8, 9  # a set that grows, and where it may
_TAKES, _SUICIDES = 10, 11  # legal moves that take stones of the other's, and own ones
_AGAIN = 12  # legal moves where a stone of the mover's was taken before
_TWO = 13  # stones of chains with two liberties
_KEY = 14  # no bits of a board, but Zobrist's keys of the seats' stones in the first two words
_ROWS = 15

_ONE, _ZERO = np.uint64(1), np.uint64(0)
_ACTION_BITS, _KEY_BITS = np.uint64(9), np.uint64(11)  # of a record: the action, then the lowest bits of either key
_ACTION_MASK, _KEY_MASK = np.uint64(511), np.uint64(2047)


class _Fields(NamedTuple):
    """The fields of states ``[B]``, one by one, for the kernels; ``W`` words of 64 bits hold a row of bits."""

    to_play: Array
    terminated: Array
    ply: Array
    last_action: Array  # -1: none
    key: Array  # [B, 2]: Zobrist's, of either seat's stones
    boards: Array  # [B, 8, W]: rows of bits
    record: Array  # [B, max_plies + 1]: of every ply, the action, and 11 bits of both keys after it


class _Tables(NamedTuple):
    """What the kernels need to know of a board. Their rows of bits have an empty word before and after, so that shifts
    need not care for the ends; a point is the number of its bit in such a row, and 0 is a point off the board."""

    stride: int
    points: Array  # int64 [size**2], by action
    neighbors: Array  # int64 [bits, 4]
    all_points: Array  # uint64 [W + 2]
    numbers: Array  # uint64 [bits]: Zobrist's, by point
    named: Array  # int16 [2048]: the point whose number has these lowest bits, or 0


class _Rules(NamedTuple):
    period: int  # superko forbids the positions of so many plies, or a multiple of it, ago; 0 if only simple ko does
    suicide: bool
    max_plies: int


class Go(Game):
    """Go; the module's docstring has rules, options, actions and planes."""

    names = tuple(f"go_{size}x{size}" for size in SIZES)

    def __init__(
        self,
        name: str = "go_9x9",
        *,
        komi: float = 7.5,
        ko: str = "positional",
        suicide: bool = False,
        history: int = 0,
        max_plies: int | None = None,
    ) -> None:
        """Raises ArenaError for options that make no sense; the module's docstring says what each is."""
        self.size = size = int(name.rpartition("x")[2])
        if ko not in _KO:
            raise ArenaError(f"{name}: unknown ko rule {ko!r}; accepted: {', '.join(_KO)}.")
        if not (abs(komi) <= size**2 and float(2 * komi).is_integer()):
            raise ArenaError(f"{name}: komi is {komi}; it must be a multiple of 0.5 within ±{size**2}.")
        max_plies = 2 * size**2 if max_plies is None else max_plies
        for option, value, least, most in (("history", history, 0, 64), ("max_plies", max_plies, 1, 2**15 - 1)):
            if not least <= value <= most:
                raise ArenaError(f"{name}: {option} is {value}; it must be {least} to {most}.")
        self.komi, self.history = float(komi), history
        self._rules = _Rules(_KO[ko], suicide, max_plies)
        planes = 2 * history + 1 if history else 7
        self.spec = GameSpec(name, 1, 2, size**2 + 1, (planes, size, size), max_plies)
        # An even number of records, so that states lie on multiples of eight bytes: for what NumPy calls unaligned,
        # numba would compile everything a second time.
        words, records = (size * (size + 1) + 63) // 64, (max_plies + 2) // 2 * 2
        fields = [
            ("to_play", np.int8),
            ("terminated", np.bool_),
            ("ply", np.int16),
            ("last_action", np.int32),  # -1: none
            ("key", np.uint64, 2),
            ("boards", np.uint64, (_STATE_ROWS, words)),
            ("record", np.uint32, records),
        ]
        if history > 1:
            fields.insert(5, ("past", np.uint64, (history - 1, 2, words)))  # the stones 1, 2, … plies ago
        self.dtype = np.dtype(fields)
        self._tables = _make_tables(name, size, words)
        self._hash_numbers = zobrist(f"{name} hash", (2, 2, 2))

    # ---- rules -------------------------------------------------------------------------------------------------

    def init(self, batch_size: int) -> Array:
        states = np.zeros(batch_size, dtype=self.dtype)
        states["last_action"] = -1
        states["boards"][:, _LEGAL] = self._tables.all_points[1:-1]
        return states

    def legal_action_mask(self, states: Array) -> Array:
        several = _several(states)
        mask = np.empty((len(several), self.spec.num_actions), dtype=np.bool_)
        _legal_action_mask(several["boards"], several["terminated"], self.size, mask)
        return mask[: len(states)]

    def step_unchecked(self, states: Array, actions: Array) -> None:
        actions, several = np.asarray(actions, dtype=np.int64), _several(states)
        if several is not states:
            actions = np.resize(actions, 2)
        if self.history > 1:
            several["past"][:, 1:] = several["past"][:, :-1].copy()
            several["past"][:, 0] = several["boards"][:, :2]
        self._play(several, actions)
        if several is not states:
            _as_bytes(states)[:] = _as_bytes(several)[: states.nbytes]

    def _play(self, states: Array, actions: Array) -> bool:
        """What ``_step`` says of two or more states."""
        fields, suspects = _fields(states), np.zeros(len(states), dtype=np.bool_)
        is_sound = _step(fields, actions, self._rules, self._tables, suspects)
        if is_sound:  # where there are none, too: compiling it at the first ko costs somebody four seconds of a game
            _forbid_repetition(fields, np.flatnonzero(suspects), self._rules, self._tables)
        return is_sound

    def observe(self, states: Array) -> Array:
        several = _several(states)
        planes = np.zeros((len(several), *self.spec.observation_shape), dtype=np.float32)
        flat = planes.reshape(len(several), len(planes[0]), -1)
        boards = [several["boards"]]
        if self.history > 1:
            boards += list(several["past"].swapaxes(0, 1))
        for age, stones in enumerate(boards):
            _draw_stones(stones, several["to_play"], self.size, 2 * age, flat)
        if self.history == 0:
            _draw_liberties(_fields(several), self._rules, self._tables, flat)
            planes[:, 6] = (several["last_action"] == self.size**2)[:, None, None]
        planes[:, 2 * self.history or 5] = (several["to_play"] == 0)[:, None, None]
        return planes[: len(states)]

    def returns(self, states: Array) -> Array:
        result = np.zeros(len(states), dtype=np.float32)
        over = np.flatnonzero(states["terminated"])
        result[over] = np.sign(self.score(states[over]))
        return np.stack([result, -result], axis=1)

    def hash(self, states: Array) -> Array:
        passed = (states["last_action"] == self.size**2) & (self.history == 0)  # with history, two equal boards show it
        keys = self._hash_numbers[states["to_play"], states["terminated"] * 1, passed * 1]
        boards = [states["key"], states["boards"][:, _LEGAL]]
        boards += [states["past"][:, age, seat] for age in range(self.history - 1) for seat in (0, 1)]
        for bits in boards:
            for word in range(bits.shape[1]):
                keys = mix64(keys) ^ bits[:, word]
        return mix64(keys)

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        return square_symmetries(self.size, 1)

    def area(self, states: Array) -> Array:
        """Tromp–Taylor's areas, without komi, of the boards as they stand: int64 ``[B, 2]``, by seat."""
        several = _several(states)
        areas = np.empty_like(several["boards"][:, :2])
        _areas(several["boards"], self._tables, areas)
        return np.bitwise_count(areas).sum(axis=2, dtype=np.int64)[: len(states)]

    def score(self, states: Array) -> Array:
        """Black's area less white's and komi, of the boards as they stand: float64 ``[B]``, all stones being alive."""
        area = self.area(states)
        return area[:, 0] - area[:, 1] - self.komi

    # ---- stones that are there before the first move -----------------------------------------------------------

    def place(self, states: Array, black: Iterable[int], white: Iterable[int] = (), to_play: int = 0) -> None:
        """Puts stones on the points ``black`` and ``white`` (actions) of every state, in place, and seat ``to_play``
        on the move: handicaps and set-up positions. It is no move: ``ply`` stays 0, the planes of earlier positions
        stay empty, and superko forbids what recreates the position so made, but nothing from before it.

        Raises:
            IllegalActionError: a move was played already, a point is taken or not on the board, or a chain would have
                no liberty. Nothing is placed then.
        """
        boards, seats = [np.array(list(points), dtype=np.int64) for points in (black, white)], (0, 1)
        points = np.concatenate(boards)
        several = _several(states).copy()
        for wrong, why in (
            (bool(states["ply"].any()), "stones can only be placed before the first move"),
            (to_play not in seats, f"to_play is {to_play}, not 0 (black) or 1 (white)"),
            (((points < 0) | (points >= self.size**2)).any(), f"a point is not within 0 to {self.size**2 - 1}"),
            (len(set(points.tolist())) < len(points), "a point is given twice"),
        ):
            if wrong:
                raise IllegalActionError(f"{self.spec.name}: {why}.")
        added = np.zeros_like(self.init(1)["boards"][0, :2])
        for seat, own in zip(seats, boards, strict=True):
            bits = self._tables.points[own] - 64
            np.bitwise_or.at(added[seat], bits >> 6, _ONE << (bits & 63).astype(np.uint64))
        if (several["boards"][:, :2] & (added[0] | added[1])).any():
            raise IllegalActionError(f"{self.spec.name}: a point where a stone is to be placed is taken.")
        several["boards"][:, :2] |= added
        several["boards"][:, _SETUP:], several["to_play"] = several["boards"][:, :2], to_play
        if not self._play(several, np.full(len(several), -1)):
            raise IllegalActionError(f"{self.spec.name}: a chain of the stones placed would have no liberty.")
        states[:] = several[: len(states)]

    # ---- text --------------------------------------------------------------------------------------------------

    def render(self, state: np.void, *, color: bool = False) -> str:
        stones, size = _ANSI_STONES if color else STONES.upper(), self.size
        letters = "   " + "".join(f" {letter} " for letter in LETTERS[:size])
        lines = [letters]
        for row, seats in enumerate(self._board(state["boards"])):
            line = f"{size - row:2d} "
            for column, seat in enumerate(seats):
                mark = stones[seat] if seat >= 0 else "+" if _is_star(row, column, size) else "."
                line += f"[{mark}]" if size * row + column == state["last_action"] else f" {mark} "
            lines.append(f"{line}{size - row:2d}")
        taken = [self._played(state, seat) - int(np.bitwise_count(state["boards"][seat]).sum()) for seat in (0, 1)]
        lines += [letters, f"{stones[0]} has taken {taken[1]}, {stones[1]} has taken {taken[0]}, komi {self.komi:g}"]
        passed = " after a pass" if state["last_action"] == size**2 else ""
        if state["terminated"]:
            black, white = (int(area) for area in self.area(_one(state))[0])
            lines.append(f"{self.result(state)}: {stones[0]} {black}, {stones[1]} {white} + {self.komi:g}")
        else:
            lines.append(f"{stones[state['to_play']]} ({COLORS[state['to_play']]}) to move{passed}")
        return "\n".join(lines)

    def result(self, state: np.void) -> str:
        """The score of the board as it stands, as GTP and SGF write it: ``B+3.5``, ``W+0.5``, or ``0`` for a draw."""
        score = float(self.score(_one(state))[0])
        return f"{'B' if score > 0 else 'W'}+{abs(score):g}" if score else "0"

    def action_to_string(self, state: np.void, action: int) -> str:
        return action_to_point(int(action), self.size)

    def parse_action(self, state: np.void, text: str) -> int:
        """Reads a point, such as ``D4``, or ``pass``."""
        action, where = point_to_action(text, self.size), f"{self.spec.name}, ply {int(state['ply'])}"
        if self.legal_action_mask(_one(state))[0, action]:
            return action
        word = action_to_point(action, self.size)
        if state["terminated"]:
            raise IllegalActionError(f"{where}: {word} is illegal because the game is over.")
        if self._board(state["boards"]).ravel()[action] >= 0:
            raise IllegalActionError(f"{where}: point {word} is taken.")
        fields = _fields(_several(_one(state)))
        banned = np.zeros((2, 5, self.size**2), dtype=np.float32)
        _draw_liberties(fields, self._rules, self._tables, banned)
        rule = "ko, it would repeat an earlier position" if banned[0, 4, action] else "suicide"
        raise IllegalActionError(f"{where}: {word} is illegal ({rule}).")

    def state_to_string(self, state: np.void) -> str:
        """The board, who moves, and the moves so far: ``9/9/2x6/9/4o4/9/9/9/9 x after C7 E5``.

        The board is written as rows from the top, numbers being runs of empty points. Which moves ko forbids depends on
        the whole game, so the moves are part of the text. A game that began with placed stones, or with white to move,
        ends its text with that: ``… after E5 from 9/9/2x6/9/9/9/9/9/9 o``.
        """
        text, ply = f"{write_board(self._board(state['boards']))} {STONES[state['to_play']]}", int(state["ply"])
        if ply == 0:
            return text
        moves = (action_to_point(int(action), self.size) for action in state["record"][1 : ply + 1] & _ACTION_MASK)
        text, first = f"{text} after {' '.join(moves)}", self._first_seat(state)
        if first == 1 or state["boards"][_SETUP:].any():
            text += f" from {write_board(self._board(state['boards'][_SETUP:]))} {STONES[first]}"
        return text

    def parse_state(self, text: str) -> Array:
        """The inverse of ``state_to_string``. A board without moves after it is one of placed stones, before ply 1."""

        def fail(reason: str) -> ParseError:
            return ParseError(f"{text[:400]!r} is not a position of {self.spec.name}: {reason}.")

        words = text.split()
        start_words = words[words.index("from") + 1 :] if "from" in words else None
        moves = words[3 : words.index("from") if start_words is not None else None]
        if len(words) < 2 or (len(words) > 2 and (words[2] != "after" or not moves)):
            raise fail("give rows from the top, who moves and what was played: '9/9/9/9/4x4/9/9/9/9 o after E5'")
        states = self.init(1)
        try:
            board, to_play = self._read_board(words[:2])
            if start_words is not None or not moves:
                start, first = self._read_board(words[:2] if start_words is None else start_words)
                self.place(states, np.flatnonzero(start == 0), np.flatnonzero(start == 1), first)
            for move in moves:
                self.step_unchecked(states, np.array([self.parse_action(states[0], move)]))
        except (ValueError, ArenaError) as error:
            raise fail(str(error).rstrip(".")) from None
        if not np.array_equal(self._board(states["boards"][0]), board) or states["to_play"][0] != to_play:
            raise fail("the moves do not lead to that board with that player to move")
        return states

    def _read_board(self, words: list[str]) -> tuple[Array, int]:
        """int8 ``[size, size]`` and the seat to move, of rows from the top and a mark. Raises ValueError."""
        if len(words) != 2 or words[1] not in tuple(STONES):
            raise ValueError("a board is rows from the top and then x or o, whoever moves")
        return read_board(words[0], self.size, self.size), STONES.index(words[1])

    def _board(self, boards: Array) -> Array:
        """int8 ``[size, size]``: the seat whose stone is on each point, -1 where none is; the seats' stones are the
        first two of the rows of bits ``boards``."""
        bits = np.unpackbits(np.ascontiguousarray(boards[:2]).view(np.uint8), axis=1, bitorder="little")
        black, white = bits[:, self._tables.points - 64].astype(np.int8)
        return (2 * white + black - 1).reshape(self.size, self.size)

    def _first_seat(self, state: np.void) -> int:
        return (int(state["to_play"]) + int(state["ply"])) % 2

    def _played(self, state: np.void, seat: int) -> int:
        """How many stones of the seat were ever on the board."""
        actions = state["record"][1 : int(state["ply"]) + 1] & _ACTION_MASK
        own = actions[(seat - self._first_seat(state)) % 2 :: 2]
        return int(np.bitwise_count(state["boards"][_SETUP + seat]).sum()) + int((own < self.size**2).sum())


# ---- points in text --------------------------------------------------------------------------------------------------


def action_to_point(action: int, size: int) -> str:
    """As people and GTP write it: ``D4``, ``pass``."""
    row, column = divmod(action, size)
    return "pass" if action == size**2 else f"{LETTERS[column]}{size - row}"


def point_to_action(text: str, size: int) -> int:
    """The inverse of ``action_to_point``; capitals or not. Raises ParseError."""
    word = text.strip().upper()
    if word == "PASS":
        return size**2
    point = re.fullmatch("([A-HJ-T])([1-9][0-9]?)", word, re.ASCII)
    column, number = (LETTERS.index(point[1]), int(point[2])) if point else (size, 0)
    if column >= size or not 1 <= number <= size:
        last = f"{LETTERS[size - 1]}{size}"
        skipped = "" if size < 9 else " (there is no column I)"
        raise ParseError(f"{text!r} is not a move on {size} × {size} points; type A1 to {last}{skipped}, or pass.")
    return (size - number) * size + column


def action_to_sgf(action: int, size: int) -> str:
    """As SGF writes it: column and row from the top as letters, ``dp``; nothing for a pass."""
    row, column = divmod(action, size)
    return "" if action == size**2 else chr(ord("a") + column) + chr(ord("a") + row)


def sgf_to_action(text: str, size: int) -> int:
    """The inverse of ``action_to_sgf``; ``tt`` too is a pass, as SGF has it up to 19 × 19. Raises ParseError."""
    if text in ("", "tt"):
        return size**2
    column, row = (ord(letter) - ord("a") for letter in text) if len(text) == 2 else (-1, -1)
    if not (0 <= column < size and 0 <= row < size):
        last = chr(ord("a") + size - 1) * 2
        raise ParseError(f"{text!r} is not an SGF move on {size} × {size} points; give aa to {last}, '' or 'tt'.")
    return row * size + column


def _is_star(row: int, column: int, size: int) -> bool:
    """Whether a board shows a star (hoshi) at the point."""
    edge = 2 if size < 12 else 3
    lines = {edge, size - 1 - edge} if size >= 7 else set()
    middle = size // 2
    if size % 2 and row == column == middle:
        return True
    return {row, column} <= (lines | {middle} if size >= 15 and size % 2 else lines)


# ---- kernels ---------------------------------------------------------------------------------------------------------


def _make_tables(name: str, size: int, words: int) -> _Tables:
    stride, bits = size + 1, 64 * (words + 2)
    cells = np.arange(size**2)
    point = 64 + cells + cells // size
    on_board = np.isin(np.arange(bits), point)
    around = np.arange(bits)[:, None] + np.array([1, -1, stride, -stride])
    neighbors = np.where(on_board[:, None] & on_board[around % bits], around, 0)
    board = np.packbits(on_board, bitorder="little").view(np.uint64)
    # The lowest bits of a point's number, not all zero, are no other's; they are random otherwise, as are the rest.
    random = zobrist(name, (size**2 + int(_KEY_MASK),))
    names = 1 + np.argsort(random[size**2 :])[: size**2]
    numbers, named = np.zeros(bits, dtype=np.uint64), np.zeros(int(_KEY_MASK) + 1, dtype=np.int16)
    numbers[point] = (random[: size**2] & ~_KEY_MASK) | names.astype(np.uint64)
    named[names] = point
    return _Tables(stride, point, neighbors, board, numbers, named)


def _one(state: np.void) -> Array:
    """The states ``[1]`` of one state, copied."""
    return np.array([state], dtype=state.dtype)


def _several(states: Array) -> Array:
    """``states``, or two or more copies if there are fewer than two.

    The fields of a single state are contiguous arrays, for which numba would compile every kernel a second time.
    """
    if len(states) >= 2:
        return states
    return np.resize(_as_bytes(states), 2 * states.dtype.itemsize).view(states.dtype)


def _as_bytes(states: Array) -> Array:
    """The memory of fewer than two states; NumPy copies structured arrays field by field, bytes in one go."""
    return states.view(np.uint8)


def _fields(states: Array) -> _Fields:
    return _Fields(*(states[field] for field in _Fields._fields))


@njit(cache=True)
def _has(board: Array, row: Int, point: Int) -> bool:
    return (board[row, point >> 6] >> np.uint64(point & 63)) & _ONE != _ZERO


@njit(cache=True)
def _flip(board: Array, row: Int, point: Int) -> None:
    board[row, point >> 6] ^= _ONE << np.uint64(point & 63)


@njit(cache=True)
def _around(board: Array, row: Int, word: int, stride: int) -> np.uint64:
    """One word of the points beside the points of a row, some of them off the board."""
    here, before, after = board[row, word], board[row, word - 1], board[row, word + 1]
    up, down = np.uint64(stride), np.uint64(64 - stride)
    beside = (here << _ONE) | (before >> np.uint64(63)) | (here >> _ONE) | (after << np.uint64(63))
    return beside | (here << up) | (before >> down) | (here >> up) | (after << down)


@njit(cache=True)
def _grow(board: Array, zone: int, stride: int) -> None:
    """Adds to _CHAIN all that is joined to it within the row ``zone``."""
    grows = True
    while grows:
        grows = False
        for word in range(1, board.shape[1] - 1):
            more = _around(board, _CHAIN, word, stride) & board[zone, word] & ~board[_CHAIN, word]
            if more != _ZERO:
                board[_CHAIN, word] |= more
                grows = True


@njit(cache=True)
def _liberties(board: Array, seat: Int, point: Int, stride: int) -> Int:
    """How many liberties the chain of ``seat`` at ``point`` has; 2 stands for more. _CHAIN is the whole chain, unless
    there are two."""
    words = board.shape[1] - 1
    for word in range(1, words):
        board[_CHAIN, word] = _ZERO
    _flip(board, _CHAIN, point)
    grows, found = True, 0
    while grows:
        grows, found = False, 0
        for word in range(1, words):
            around = _around(board, _CHAIN, word, stride)
            free = around & board[_EMPTY, word]
            if free != _ZERO:
                if found == 1 or free & (free - _ONE) != _ZERO:
                    return 2
                found = 1
            more = around & board[seat, word] & ~board[_CHAIN, word]
            if more != _ZERO:
                board[_CHAIN, word] |= more
                grows = True
    return found


@njit(cache=True)
def _remove(board: Array, seat: Int, point: Int, stack: Array, neighbors: Array, numbers: Array) -> Int:
    """Takes the chain of ``seat`` at ``point`` off the board and adds it to _DEAD. Returns its size."""
    size, top = 0, 1
    stack[0] = point
    _flip(board, seat, point)
    while top > 0:
        top -= 1
        here = stack[top]
        board[_KEY, seat] ^= numbers[here]
        _flip(board, _DEAD, here)
        size += 1
        for n in range(4):
            beside = neighbors[here, n]
            if _has(board, seat, beside):
                _flip(board, seat, beside)
                stack[top] = beside
                top += 1
    for word in range(1, board.shape[1] - 1):
        dead = board[_DEAD, word]
        board[_EMPTY, word] |= dead
        board[_ATARI, word] &= ~dead
        board[_GONE + seat, word] |= dead
    return size


@njit(cache=True)
def _relieve(board: Array, seat: Int, stride: int) -> None:
    """Takes out of _ATARI the chains of ``seat`` beside _DEAD."""
    touched = _ZERO
    for word in range(1, board.shape[1] - 1):
        board[_ZONE, word] = board[seat, word] & board[_ATARI, word]
        board[_CHAIN, word] = _around(board, _DEAD, word, stride) & board[_ZONE, word]
        touched |= board[_CHAIN, word]
    if touched != _ZERO:
        _grow(board, _ZONE, stride)
        for word in range(1, board.shape[1] - 1):
            board[_ATARI, word] &= ~board[_CHAIN, word]


@njit(cache=True)
def _place(board: Array, seat: Int, point: Int, stride: int, stack: Array, neighbors: Array, numbers: Array) -> Int:
    """Plays a stone of ``seat``, keeping stones, _EMPTY, _ATARI, _GONE and _KEY. Returns where ko forbids to take back,
    or 0."""
    other, words = 1 - seat, board.shape[1] - 1
    takes, joins, lives, num_empty, num_taken, ko = False, False, False, 0, 0, 0
    for n in range(4):
        beside = neighbors[point, n]
        if _has(board, seat, beside):
            joins = True
            lives |= not _has(board, _ATARI, beside)
        elif _has(board, other, beside):
            takes |= _has(board, _ATARI, beside)
        elif beside > 0:
            num_empty += 1
    loser = other if takes or lives or num_empty > 0 else seat
    _flip(board, seat, point)
    _flip(board, _EMPTY, point)
    board[_KEY, seat] ^= numbers[point]
    if takes or joins or loser == seat:
        for word in range(1, words):
            board[_DEAD, word] = _ZERO
        for n in range(5):
            beside = neighbors[point, n] if n < 4 else point
            if _has(board, loser, beside) and (loser == seat or _has(board, _ATARI, beside)):
                num_taken += _remove(board, loser, beside, stack, neighbors, numbers)
                ko = beside
        if loser == other:
            _flip(board, _DEAD, point)  # as if, for what it joins gets its liberties counted below
        _relieve(board, 1 - loser, stride)
    if loser == seat:
        return 0
    for n in range(4 if num_empty > 1 else 5):
        beside, whose = (neighbors[point, n], other) if n < 4 else (point, seat)
        if _has(board, whose, beside) and _liberties(board, whose, beside, stride) == 1:
            for word in range(1, words):
                board[_ATARI, word] |= board[_CHAIN, word]
    return ko if num_taken == 1 and not joins and _has(board, _ATARI, point) else 0


@njit(cache=True)
def _find_legal(board: Array, seat: Int, suicide: bool, stride: int) -> None:
    """Sets _LEGAL, but for ko, and _SUICIDES and _TAKES to those of its points.

    A stone lives if beside it is an empty point, a chain of the other's in atari, or an own chain that is not.
    """
    other, words = 1 - seat, board.shape[1] - 1
    for word in range(1, words):
        atari = board[_ATARI, word]
        board[_CHAIN, word] = board[other, word] & atari
        board[_ZONE, word] = board[_EMPTY, word] | (board[other, word] & atari) | (board[seat, word] & ~atari)
    for word in range(1, words):
        empty = board[_EMPTY, word]
        board[_LEGAL, word] = empty & _around(board, _ZONE, word, stride)
        board[_TAKES, word] = empty & _around(board, _CHAIN, word, stride)
        board[_SUICIDES, word] = empty & ~board[_LEGAL, word] if suicide else _ZERO
        board[_LEGAL, word] |= board[_SUICIDES, word]


@njit(cache=True)
def _load(board: Array, boards: Array, i: int, stones: int, all_points: Array) -> None:
    """Fills a scratch board from state ``i``, whose rows ``stones`` and ``stones + 1`` are what stands on it."""
    for word in range(1, board.shape[1] - 1):
        for row in range(_SETUP):
            board[row, word] = boards[i, row, word - 1]
        black, white = boards[i, stones, word - 1], boards[i, stones + 1, word - 1]
        board[_BLACK, word], board[_WHITE, word] = black, white
        board[_EMPTY, word] = all_points[word] & ~(black | white)


@njit(cache=True)
def _pack(board: Array, action: Int) -> np.uint64:
    """What the record keeps of a ply."""
    black, white = board[_KEY, 0] & _KEY_MASK, board[_KEY, 1] & _KEY_MASK
    return (((white << _KEY_BITS) | black) << _ACTION_BITS) | np.uint64(action)


@njit(cache=True)
def _fits(board: Array, seat: Int, entry: np.uint64, named: Array) -> Int:
    """The move of ``seat``'s, in _AGAIN, that would recreate a recorded position as far as its bits of the keys tell; 0
    if there is none. It makes the mover's key that of the record; if it takes nothing, the other's is that already."""
    black, white = (entry >> _ACTION_BITS) ^ board[_KEY, 0], (entry >> (_ACTION_BITS + _KEY_BITS)) ^ board[_KEY, 1]
    own, others = (white, black) if seat == 1 else (black, white)
    point = np.int64(named[np.int64(own & _KEY_MASK)])
    fits = _has(board, _AGAIN, point) and (others & _KEY_MASK == _ZERO or _has(board, _TAKES, point))
    return point if fits else 0


@njit(cache=True)
def _stays(board: Array, seat: Int, entry: np.uint64, points: Array) -> bool:
    """Whether the stone of a recorded move, ``seat``'s, is on the board and no stone of that colour was ever taken from
    its point. It was then the first there, so no earlier position has it."""
    action = np.int64(entry & _ACTION_MASK)
    if action == len(points):
        return False
    return _has(board, seat, points[action]) and not _has(board, _GONE + seat, points[action])


@njit(cache=True)
def _may_repeat(board: Array, seat: Int, record: Array, i: int, ply: Int, points: Array, named: Array) -> bool:
    """Whether a move of ``seat``'s might recreate a position; simple ko apart, and always if one is suicide.

    Its stone is then on the board, as it was before, so a stone of that colour was taken from its point in between. All
    of the mover's stones stay. The position is not older than the youngest of them that was not there before, which is
    why the search through the past is short; nor, if nothing is taken, than the youngest such stone of the other's.
    """
    any_again, any_takes = _ZERO, _ZERO
    for word in range(1, board.shape[1] - 1):
        again = board[_LEGAL, word] & board[_GONE + seat, word] & ~board[_SUICIDES, word]
        board[_AGAIN, word] = again
        any_again |= again | board[_SUICIDES, word]
        any_takes |= again & board[_TAKES, word]
        if board[_SUICIDES, word] != _ZERO:
            return True
    if any_again == _ZERO:
        return False
    mover = 1 - seat
    for then in range(ply, -1, -1):
        entry = np.uint64(record[i, then])
        if _fits(board, seat, entry, named):
            return True
        if then > 0 and (mover == seat or any_takes == _ZERO) and _stays(board, mover, entry, points):
            return False
        mover = 1 - mover
    return False


@njit(cache=True)
def _step(fields: _Fields, actions: Array, rules: _Rules, tables: _Tables, suspects: Array) -> bool:
    """Plays ``actions``. One of -1 is none: it fills in the other fields of a state whose stones were placed. False,
    and the states are not to be used, if a chain of those has no liberty.

    ``suspects`` bool ``[B]`` tells in which games superko may forbid more than simple ko does.
    """
    to_play, terminated, ply, last_action, key, boards, record = fields
    stride, points, neighbors, all_points, numbers, named = tables
    words = len(all_points) - 1
    board, stack = np.zeros((_ROWS, words + 1), dtype=np.uint64), np.empty(len(points), dtype=np.int64)
    for i in range(len(actions)):
        if terminated[i]:  # nothing may be written beyond the records
            continue
        action, seat, now, ko = actions[i], np.int64(to_play[i]), np.int64(ply[i]), 0
        _load(board, boards, i, _BLACK, all_points)
        board[_KEY, 0], board[_KEY, 1] = key[i, 0], key[i, 1]
        if action < 0:
            if not _set_up(board, points, stride, numbers):
                return False
        else:
            if action < len(points):
                ko = _place(board, seat, np.int64(points[action]), stride, stack, neighbors, numbers)
            now += 1
            seat = 1 - seat
            terminated[i] = now == rules.max_plies or action == last_action[i] == len(points)
            to_play[i], ply[i], last_action[i] = seat, now, action
        key[i, 0], key[i, 1] = board[_KEY, 0], board[_KEY, 1]
        record[i, now] = _pack(board, max(action, 0))
        _find_legal(board, seat, rules.suicide, stride)
        if ko:
            _flip(board, _LEGAL, ko)  # what taking back there recreates is the position before the last move
        if terminated[i]:
            for word in range(1, words):
                board[_LEGAL, word] = _ZERO
        elif rules.period > 0:
            suspects[i] = _may_repeat(board, seat, record, i, now, points, named)
        for word in range(1, words):
            for row in range(_SETUP):
                boards[i, row, word - 1] = board[row, word]
    return True


@njit(cache=True)
def _set_up(board: Array, points: Array, stride: int, numbers: Array) -> bool:
    """Finds _ATARI and _KEY from the stones alone. False if a chain has no liberty."""
    words = board.shape[1] - 1
    board[_KEY, 0] = board[_KEY, 1] = _ZERO
    for word in range(1, words):
        board[_ATARI, word] = _ZERO
    for point in points:
        for seat in range(2):
            if _has(board, seat, point):
                board[_KEY, seat] ^= numbers[point]
                liberties = _liberties(board, seat, point, stride)
                if liberties == 0:
                    return False
                if liberties == 1:
                    for word in range(1, words):
                        board[_ATARI, word] |= board[_CHAIN, word]
    return True


@njit(cache=True)
def _forbid_repetition(fields: _Fields, rows: Array, rules: _Rules, tables: _Tables) -> None:
    """Makes illegal in the games ``rows`` what would recreate a position of ``rules.period``, twice that, … plies
    before. What might is tried, and where all recorded bits of the keys fit, the game is played again up to then."""
    to_play, _, ply, _, key, boards, record = fields
    stride, points, neighbors, all_points, numbers, named = tables
    words, stack = len(all_points) - 1, np.empty(len(points), dtype=np.int64)
    board, trial = np.zeros((_ROWS, words + 1), dtype=np.uint64), np.zeros((_ROWS, words + 1), dtype=np.uint64)
    for i in rows:
        seat, now = np.int64(to_play[i]), np.int64(ply[i])
        _load(board, boards, i, _BLACK, all_points)
        board[_KEY, 0], board[_KEY, 1] = key[i, 0], key[i, 1]
        _find_legal(board, seat, rules.suicide, stride)
        for word in range(1, words):
            again = boards[i, _LEGAL, word - 1] & board[_GONE + seat, word]
            board[_AGAIN, word] = again & ~board[_SUICIDES, word]
        for then in range(now, -1, -1):
            entry = np.uint64(record[i, then])
            point = _fits(board, seat, entry, named)
            if point and (now + 1 - then) % rules.period == 0:
                _try(board, trial, seat, point, stride, stack, neighbors, numbers)
                if _stood(trial, fields, i, then, tables):
                    boards[i, _LEGAL, (point >> 6) - 1] ^= _ONE << np.uint64(point & 63)
                    _flip(board, _AGAIN, point)
            if then > 0 and (now - then) & 1 and _stays(board, seat, entry, points):
                break
        for point in points:
            if _has(board, _SUICIDES, point):
                _try(board, trial, seat, point, stride, stack, neighbors, numbers)
                for then in range(now, -1, -1):
                    if (now + 1 - then) % rules.period == 0 and _stood(trial, fields, i, then, tables):
                        boards[i, _LEGAL, (point >> 6) - 1] ^= _ONE << np.uint64(point & 63)
                        break


@njit(cache=True)
def _try(
    board: Array, trial: Array, seat: Int, point: Int, stride: int, stack: Array, neighbors: Array, numbers: Array
) -> None:
    """Makes ``trial`` what the board is after a move."""
    for row in range(_ROWS):
        for word in range(board.shape[1]):
            trial[row, word] = board[row, word]
    _place(trial, seat, point, stride, stack, neighbors, numbers)


@njit(cache=True)
def _stood(board: Array, fields: _Fields, i: int, plies: Int, tables: _Tables) -> bool:
    """Whether the stones are those after the first ``plies`` moves of game ``i``."""
    to_play, _, ply, _, _, boards, record = fields
    stride, points, neighbors, all_points, numbers, _ = tables
    entry = np.uint64(record[i, plies])
    if _pack(board, np.int64(entry & _ACTION_MASK)) != entry:
        return False
    again, stack = np.zeros(board.shape, dtype=np.uint64), np.empty(len(points), dtype=np.int64)
    _load(again, boards, i, _SETUP, all_points)
    _set_up(again, points, stride, numbers)
    seat = (np.int64(to_play[i]) + ply[i]) & 1
    for then in range(1, plies + 1):
        action = np.int64(record[i, then] & _ACTION_MASK)
        if action < len(points):
            _place(again, seat, points[action], stride, stack, neighbors, numbers)
        seat = 1 - seat
    for word in range(1, board.shape[1] - 1):
        if again[0, word] != board[0, word] or again[1, word] != board[1, word]:
            return False
    return True


@njit(cache=True)
def _bits(boards: Array, i: int, row: Int, start: int, size: int) -> np.uint64:
    """``size`` bits of a row of board ``i``, from bit ``start``, as the lowest of a word; others follow."""
    word, shift = start >> 6, start & 63
    bits = boards[i, row, word] >> np.uint64(shift)
    if shift + size > 64:
        bits |= boards[i, row, word + 1] << np.uint64(64 - shift)
    return bits


@njit(cache=True)
def _legal_action_mask(boards: Array, terminated: Array, size: int, mask: Array) -> None:
    for i in range(len(boards)):
        mask[i, size * size] = not terminated[i]
        for line in range(size):
            bits = _bits(boards, i, _LEGAL, line * (size + 1), size)
            for column in range(size):
                mask[i, line * size + column] = (bits >> np.uint64(column)) & _ONE


@njit(cache=True)
def _draw_stones(boards: Array, to_play: Array, size: int, first: int, planes: Array) -> None:
    """Planes ``first`` and ``first + 1`` of ``planes`` float32 ``[B, C, size**2]``: stones of the player to move and of
    the other, from the first two rows of bits of ``boards``."""
    for i in range(len(boards)):
        for plane in range(2):
            for line in range(size):
                bits = _bits(boards, i, np.int64(to_play[i]) ^ plane, line * (size + 1), size)
                for column in range(size):
                    planes[i, first + plane, line * size + column] = (bits >> np.uint64(column)) & _ONE


@njit(cache=True)
def _draw_liberties(fields: _Fields, rules: _Rules, tables: _Tables, planes: Array) -> None:
    """The compact planes 2, 3 and 4 of ``planes`` float32 ``[B, C, size**2]``."""
    to_play, terminated, _, _, _, boards, _ = fields
    stride, _, _, all_points, _, _ = tables
    scratch, drawn = np.zeros((1, _ROWS, len(all_points)), dtype=np.uint64), (_ATARI, _TWO, _LEGAL)
    board = scratch[0]
    for i in range(len(to_play)):
        _load(board, boards, i, _BLACK, all_points)
        _find_two(board, stride)
        _find_legal(board, np.int64(to_play[i]), rules.suicide, stride)
        for word in range(1, len(all_points) - 1):
            banned = board[_LEGAL, word] & ~boards[i, _LEGAL, word - 1]
            board[_LEGAL, word] = _ZERO if terminated[i] else banned
        for plane in range(3):
            for line in range(stride - 1):
                bits = _bits(scratch, 0, drawn[plane], 64 + line * stride, stride - 1)
                for column in range(stride - 1):
                    planes[i, 2 + plane, line * (stride - 1) + column] = (bits >> np.uint64(column)) & _ONE


@njit(cache=True)
def _find_two(board: Array, stride: int) -> None:
    """Sets _TWO to the stones of chains with two liberties."""
    words = board.shape[1] - 1
    for word in range(1, words):
        board[_TWO, word] = _ZERO
    for seat in range(2):
        for word in range(1, words):
            board[_ZONE, word] = board[seat, word] & ~board[_ATARI, word]
        for first in range(1, words):
            while board[_ZONE, first] != _ZERO:
                for word in range(1, words):
                    board[_CHAIN, word] = _ZERO
                board[_CHAIN, first] = board[_ZONE, first] & (~board[_ZONE, first] + _ONE)  # the lowest of its bits
                _grow(board, _ZONE, stride)
                liberties = 0
                for word in range(1, words):
                    free = _around(board, _CHAIN, word, stride) & board[_EMPTY, word]
                    while free != _ZERO and liberties < 3:
                        free &= free - _ONE
                        liberties += 1
                for word in range(1, words):
                    board[_ZONE, word] &= ~board[_CHAIN, word]
                    if liberties == 2:
                        board[_TWO, word] |= board[_CHAIN, word]


@njit(cache=True)
def _areas(boards: Array, tables: _Tables, areas: Array) -> None:
    """``areas`` uint64 ``[B, 2, W]``: the seats' stones, and the empty points from which no others are reached."""
    words = len(tables.all_points) - 1
    board = np.zeros((_ROWS, words + 1), dtype=np.uint64)
    for i in range(len(boards)):
        _load(board, boards, i, _BLACK, tables.all_points)
        for seat in range(2):
            for word in range(1, words):
                board[_CHAIN, word] = _around(board, seat, word, tables.stride) & board[_EMPTY, word]
            _grow(board, _EMPTY, tables.stride)
            for word in range(1, words):
                areas[i, seat, word - 1] = board[_CHAIN, word]
        for word in range(words - 1):
            black, white = areas[i, 0, word], areas[i, 1, word]
            areas[i, 0, word] = board[0, word + 1] | (black & ~white)
            areas[i, 1, word] = board[1, word + 1] | (white & ~black)
