"""Chess by the Laws of FIDE: castling, en passant, promotion, mate, stalemate and every draw that needs no agreement.

Nobody is there to claim a draw in self-play. By default (``claim_draws=True``, as in AlphaZero and in matches of
engines) one is therefore claimed as soon as it may be: when a position occurs for the third time, or after 50 moves by
each side without a capture or a pawn's move. With ``claim_draws=False``, which is how games of people are to be
replayed, the game goes on until it ends by itself: at the fifth occurrence, or after 75 moves by each side. It is
drawn at once when no sequence of moves can mate for want of material: bare kings, one knight or bishop in all, or only
bishops on squares of one colour. A mate comes before any draw. A game of ``max_plies`` is drawn too; by default no game
gets there (captures and pawn's moves are 118 at most, and each ends a count of plies).

Positions are the same if the same pieces stand on the same squares, the same side is to move, castling rights are the
same, and an en passant capture is *legal* in both or in neither. Repetition is found by taking moves back, which is
exact and takes two bytes a ply; no collision of Zobrist keys can end a game.
A state is 260 bytes (360 with ``claim_draws=False``), and 8 more for each step of ``history`` beyond one.

Planes and actions are as the mover sees the board: black's has its ranks flipped, so that a mover's pawns go up; row 0
of a plane is the mover's first rank, and square ``8 * row + column``. Actions (8 × 8 × 73, as in AlphaZero) are
``73 * square that the piece leaves + kind``:

| kind | where the piece goes |
|---|---|
| 0–55 | ``7 * direction + distance - 1``, clockwise from straight ahead; a king castles by going two squares |
| 56–63 | as a knight, clockwise from two ahead and one to the right |
| 64–72 | a pawn, to become ``64 + 3 * piece + way``: a knight, bishop or rook; left, straight or right |

A pawn that reaches the last rank by one of the first kinds becomes a queen.

Planes are ``planes="compact"`` (the default, with one step of ``history``: 19 planes) or ``planes="alphazero"`` (Silver
et al., 2018, with eight: 119 planes). After the steps, the present first, S planes in all, there are those of the rest:

| compact | AlphaZero's | what |
|---|---|---|
| 0–5, 6–11 | 0–5, 6–11 | of each step: the mover's pawns, knights, bishops, rooks, queens, king; the other side's |
| 12 | 12, 13 | of each step: ones if the position had occurred before; AlphaZero's: at least once, at least twice |
| | S | ones if black is to move |
| | S + 1 | number of full moves, as a part of the most there can be |
| S, S + 1 | S + 2, S + 3 | ones if the mover still has the right to castle on the king's side; the queen's |
| S + 2, S + 3 | S + 4, S + 5 | the same for the other side |
| S + 4 | | the square on which a pawn may be captured en passant |
| S + 5 | S + 6 | plies without a capture or a pawn's move, as a part of those allowed (compact: tens, rounded down) |

Compact planes lack what would make the same position look new to a network, and to the cache of its evaluations.
"""

from __future__ import annotations

import re

import numpy as np
from numba import njit

from games.bits import lowest
from games.chess_bitboards import (
    AHEAD,
    BISHOP,
    JUMPS,
    KING,
    KNIGHT,
    NONE,
    ONE,
    PAWN,
    PROMOTIONS,
    QUEEN,
    ROOM,
    SPECIAL,
    SQUARES,
    Position,
    bit,
    cannot_mate,
    checkers,
    checkers_of,
    code_at,
    count_leaves,
    find_targets,
    flip_ranks,
    play,
    signed,
    take_back,
    undo,
    view,
)
from games.chess_notation import (
    CASTLES,
    LETTERS,
    START,
    Fen,
    board_bits,
    board_text,
    read_fen,
    read_move,
    write_san,
    write_uci,
)
from games.core import Array, Game, GameSpec, IllegalActionError, ParseError, UnknownNameError, UnsupportedError
from games.hashing import mix64, zobrist
from games.registry import unknown_name

KINDS = 73
MAX_HISTORY = 64
CHECKMATE, STALEMATE, MATERIAL, REPETITION, PROGRESS, LENGTH = range(1, 7)
"""The field ``reason``; 0 while the game goes on."""

_PLANE_SETS = {"compact": 1, "alphazero": 8}  # and their steps
_FIGURES = " ♟♝♞♜♚♛"
_UCI = re.compile(r"([a-h][1-8]){2}[qrbn]?", re.ASCII)
_MOST_ACTIONS = 512  # more than 15 queens and a king have
_ILLEGAL, _AMBIGUOUS, _NO_PROMOTION = -1, -2, -3  # what _find says
_CASTLING_AT, _EN_PASSANT_AT, _CLOCK_AT, _REPETITIONS_AT = 16, 20, 26, 34  # bits in an entry of _remember
_PLANE = np.array([-1, 0, 2, 1, 3, 5, 4], dtype=np.int64)  # by code
_STEPS = np.array(  # [73] squares from a piece to where it goes, by kind
    [(right + 8 * up) * distance for right, up in AHEAD for distance in range(1, 8)]
    + [right + 8 * up for right, up in JUMPS]
    + [7, 8, 9] * 3,
    dtype=np.int64,
)
_KIND = np.zeros(256, dtype=np.int64)  # by 16 * ranks + files gone, plus 120
for _kind in range(64):
    _right, _up = AHEAD[_kind // 7] if _kind < 56 else JUMPS[_kind - 56]
    _distance = _kind % 7 + 1 if _kind < 56 else 1
    _KIND[120 + (16 * _up + _right) * _distance] = _kind


class Chess(Game):
    """Chess; the module's docstring has rules, options, actions and planes."""

    names = ("chess",)

    def __init__(
        self,
        name: str = "chess",
        *,
        claim_draws: bool = True,
        planes: str = "compact",
        history: int | None = None,
        max_plies: int | None = None,
    ) -> None:
        if planes not in _PLANE_SETS:
            raise UnknownNameError(unknown_name("set of planes", planes, _PLANE_SETS))
        self.history = _PLANE_SETS[planes] if history is None else history
        self.claim_draws, self.compact = claim_draws, planes == "compact"
        self.max_occurrences, self.max_clock = (3, 100) if claim_draws else (5, 150)
        longest = 118 * self.max_clock
        max_plies = longest if max_plies is None else max_plies
        if not 1 <= self.history <= MAX_HISTORY:
            raise UnsupportedError(f"{name}: history is {history}; give 1 to {MAX_HISTORY} steps.")
        if not 1 <= max_plies <= longest:
            raise UnsupportedError(f"{name}: max_plies is {max_plies}; give 1 to {longest}, which no game exceeds.")
        step, rest = (13, 6) if self.compact else (14, 7)
        self.spec = GameSpec(name, 1, 2, SQUARES * KINDS, (step * self.history + rest, 8, 8), max_plies)
        self.dtype = np.dtype(
            [
                ("to_play", np.int8),
                ("terminated", np.bool_),
                ("ply", np.int16),
                ("last_action", np.int16),  # -1: none, or not known
                ("reason", np.uint8),
                ("clock", np.uint8),  # plies since the last capture or pawn's move
                ("castling", np.uint8),  # 1, 2: white, king's and queen's side; 4, 8: black
                ("en_passant", np.uint8),  # the square behind a pawn that may legally be taken so; 0: none
                ("repetitions", np.uint8),  # how often the position occurred before
                ("reversible", np.uint8),  # how many plies may be taken back without such a change that is for good
                ("key", np.uint64, 2),  # Zobrist hash of the pieces, as either seat sees them
                ("boards", np.uint64, 4),  # white's pieces; all pieces by the three bits of their codes
                ("moves", np.uint16, self.max_clock),  # the reversible plies: from + 64 * to
                *([("past", np.uint64, self.history - 1)] if self.history > 1 else []),  # the last plies: see _remember
            ]
        )
        self._limits = (self.max_occurrences, self.max_clock, max_plies)
        self._zobrist = zobrist("chess", (2, 8, SQUARES))  # by seat, code and square
        self._start = np.zeros(1, dtype=self.dtype)
        self._start["last_action"], self._start["castling"] = -1, 15
        self._set_up(self._start, START)

    # ---- rules -------------------------------------------------------------------------------------------------

    def init(self, batch_size: int) -> Array:
        return np.repeat(self._start, batch_size)

    def legal_action_mask(self, states: Array) -> Array:
        mask = np.zeros((len(states), SQUARES * KINDS), dtype=np.bool_)
        _mark_legal(states, mask)
        return mask

    def legal_actions(self, state: np.void) -> Array:
        """The legal actions of one state as int64, ascending; cheaper than its mask."""
        return np.sort(_legal_actions(_batch(state)))

    def step_unchecked(self, states: Array, actions: Array) -> None:
        actions = np.asarray(actions, np.int64)
        if self.history > 1:
            _remember(states, actions)
        _step(states, actions, self._limits, self._zobrist)

    def observe(self, states: Array) -> Array:
        planes = np.zeros((len(states), *self.spec.observation_shape), dtype=np.float32)
        _observe(states, self._steps(states), self.compact, self.max_clock, self.spec.max_plies, planes)
        return planes

    def returns(self, states: Array) -> Array:
        lost = (states["reason"] == CHECKMATE)[:, None] * (states["to_play"][:, None] == np.arange(2))
        return lost[:, ::-1].astype(np.float32) - lost.astype(np.float32)

    def hash(self, states: Array) -> Array:
        hashes = states["key"][np.arange(len(states)), states["to_play"]]
        hashes ^= mix64(_facts(states, self.compact, self.max_clock))
        if self.history > 1:
            for words in np.ascontiguousarray(self._steps(states)[:, 1:].reshape(len(states), -1).T):
                hashes = mix64(hashes ^ words)
        return hashes

    def _steps(self, states: Array) -> Array:
        """uint64 ``[B, T, 5]``: what there is to see of this position and of those before it, as the mover sees them:
        a ``Position``, and how often it had occurred before (as far as planes show). Zeros before the first."""
        steps = np.zeros((len(states), self.history, 5), dtype=np.uint64)
        _show(states, steps, 1 if self.compact else 2)
        if self.history > 1:
            _show_past(states, steps, 1 if self.compact else 2)
        return steps

    def perft(self, states: Array, depth: int) -> int:
        return int(_perft_all(states, depth))

    # ---- moves as text -----------------------------------------------------------------------------------------

    def action_to_string(self, state: np.void, action: int) -> str:
        """Standard algebraic notation, such as ``Nbd2``, ``exd6``, ``e8=Q+`` or ``O-O-O#``."""
        states, flip = _batch(state).copy(), 56 * int(state["to_play"])
        code, square, target, promotion, captures, others = _describe(states, action)
        self.step_unchecked(states, np.array([action]))
        rivals = [square ^ flip for square in range(SQUARES) if int(others) >> square & 1]
        san = write_san(code, square ^ flip, target ^ flip, promotion, captures, rivals)
        return san + ("#" if states["reason"][0] == CHECKMATE else "+" if _in_check(states[0]) else "")

    def move_to_uci(self, state: np.void, action: int) -> str:
        """The move as engines write it, such as ``e2e4``, ``e1g1`` or ``e7e8q``."""
        flip = 56 * int(state["to_play"])
        _, square, target, promotion, _, _ = _describe(_batch(state), action)
        return write_uci(square ^ flip, target ^ flip, promotion)

    def parse_action(self, state: np.void, text: str) -> int:
        """Reads algebraic notation, also with zeros for castling, with more than it takes to tell moves apart, without
        check marks or long (``Ng1-f3``); or a move as engines write it (``g1f3``)."""
        word = text.strip()
        if (move := read_move(word)) is None:
            raise ParseError(f"{text[:80]!r} is not a move in {self.spec.name}; write one like e4, Nf3, O-O or g1f3.")
        action = _find(_batch(state), move.code, np.uint64(move.sources), move.target, move.promotion)
        if action < 0:
            raise self._refusal(state, word, action)
        return action

    def _refusal(self, state: np.void, word: str, problem: int) -> ParseError | IllegalActionError:
        if state["terminated"]:
            moves = "the game is over"
        else:
            legal = [self.action_to_string(state, int(action)) for action in self.legal_actions(state)]
            moves = f"legal moves are {', '.join(legal)}"
        where = f"{self.spec.name}, ply {int(state['ply'])}: {word}"
        if problem == _AMBIGUOUS:
            return ParseError(f"{where} may mean more than one move; {moves}.")
        why = "illegal without the piece to promote to" if problem == _NO_PROMOTION else "illegal"
        return IllegalActionError(f"{where} is {why}; {moves}.")

    # ---- positions as text -------------------------------------------------------------------------------------

    def state_to_string(self, state: np.void) -> str:
        """FEN, and what FEN cannot carry, as engines are told: ``FEN moves g1f3 g8f6``, the FEN being that of the
        position before those moves, the first that can still be repeated or that the planes show.

        After that, ``seen 0100`` is how often each position from that of the FEN on had occurred before, where the
        moves do not tell. An en passant square stands there only where such a capture is legal.
        """
        to_play, castling, en_passant, clock, ply, plies = (
            int(state[field]) for field in ("to_play", "castling", "en_passant", "clock", "ply", "reversible")
        )
        boards, moves, seen = state["boards"].copy(), [], []
        entries = [int(entry) for entry in state["past"][::-1] if entry] if self.history > 1 else []
        if len(entries) <= plies:
            entries = [int(move) for move in state["moves"][:plies]]
            clock, en_passant = clock - plies, 0 if plies else en_passant
        else:
            castling, en_passant = entries[0] >> _CASTLING_AT & 15, entries[0] >> _EN_PASSANT_AT & 63
            clock, seen = entries[0] >> _CLOCK_AT & 255, [entry >> _REPETITIONS_AT for entry in entries]
        for entry in reversed(entries):
            source, target = entry & 63, entry >> 6 & 63
            promoted = LETTERS.index(board_text(boards)[target].upper()) if _is_promotion(entry) else 0
            moves.append(write_uci(source, target, promoted))
            ply, to_play = ply - 1, 1 - to_play
            take_back(boards, entry & 0xFFFF, to_play == 0)
        text = str(Fen(board_text(boards), to_play, castling, en_passant, clock, ply))
        text += f" moves {' '.join(reversed(moves))}" if moves else ""
        return text + (f" seen {''.join(map(str, seen))}" if any(seen) else "")

    def parse_state(self, text: str) -> Array:
        """Reads FEN, also without the two counts at its end, and what ``state_to_string`` adds to it."""
        fen, _, told = f"{' '.join(text.split())} ".partition(" moves ")
        told, _, seen = told.strip().partition(" seen ")
        try:
            states = self._start_from(read_fen(fen, self.spec.max_plies))
            self._replay(states, told.split(), seen)
        except ParseError as error:
            raise ParseError(f"{text[:200]!r} is not a position of {self.spec.name}: {error}.") from None
        return states

    def _start_from(self, fen: Fen) -> Array:
        states = np.zeros(1, dtype=self.dtype)
        states["to_play"], states["ply"], states["last_action"] = fen.to_play, fen.ply, -1
        states["clock"], states["castling"], states["en_passant"] = fen.clock, fen.castling, fen.en_passant
        self._set_up(states, fen.board)
        _settle(states, self._limits)
        return states

    def _set_up(self, states: Array, board: str) -> None:
        states["boards"][0] = board_bits(board)
        _change_key(states["key"][0], self._zobrist, (NONE, NONE, NONE, NONE), tuple(states["boards"][0]))

    def _replay(self, states: Array, moves: list[str], seen: str) -> None:
        """Plays ``moves``, as engines write them; ``seen`` is empty or a digit for the position before each."""
        if seen and not (re.fullmatch("[0-9]+", seen, re.ASCII) and len(seen) == len(moves)):
            raise ParseError("'seen' needs one digit for each of the moves, as in 'moves g1f3 g8f6 seen 00'")
        for number, move in enumerate(moves):
            known = int(states["repetitions"][0])
            times = int(seen[number]) if seen else known
            may_be_more = states["reversible"][0] == number and known <= times < self.max_occurrences - 1
            if times != known and not may_be_more:
                raise ParseError(f"before move {number + 1} the position cannot have occurred {times} times")
            try:
                action = self.parse_action(states[0], move if _UCI.fullmatch(move) else "")
            except (ParseError, IllegalActionError):
                why = "the game is over" if states["terminated"][0] else f"{move[:20]!r} is no legal move like 'g1f3'"
                raise ParseError(f"after {number} of its moves {why}") from None
            states["repetitions"] = times
            self.step_unchecked(states, np.array([action]))

    # ---- drawing -----------------------------------------------------------------------------------------------

    def render(self, state: np.void, *, color: bool = False) -> str:
        """White below; the squares that the last move left and reached stand in brackets."""
        board, seat, last = board_text(state["boards"]), int(state["to_play"]), ()
        if state["last_action"] >= 0:
            flip = 56 * (1 - seat)
            last = tuple(square ^ flip for square in decode_action(int(state["last_action"]))[:2])
        letters = "  " + "".join(f" {file} " for file in "abcdefgh")
        lines = [letters]
        for rank in range(7, -1, -1):
            line = f"{rank + 1} "
            for square in range(8 * rank, 8 * rank + 8):
                mark = board[square]
                if color and mark != ".":
                    mark = f"\x1b[{97 if mark.isupper() else 90}m{_FIGURES[LETTERS.index(mark.upper())]}\x1b[0m"
                line += f"[{mark}]" if square in last else f" {mark} "
            lines.append(f"{line} {rank + 1}")
        sides = ("white", "black")
        if state["terminated"]:
            result = f"{sides[1 - seat]} wins" if state["reason"] == CHECKMATE else "draw"
            status = f"{result}: {self._reasons()[int(state['reason'])]}"
        else:
            check = ", in check" if _in_check(state) else ""
            status = f"{sides[seat]} to move{check}"
        return "\n".join([*lines, letters, status])

    def _reasons(self) -> tuple[str, ...]:
        return (
            "",
            "checkmate",
            "stalemate",
            "neither side can mate",
            f"the position occurred {'three' if self.claim_draws else 'five'} times",
            f"{self.max_clock // 2} moves each without a capture or a pawn's move",
            f"{self.spec.max_plies} plies",
        )


def _batch(state: np.void) -> Array:
    """States ``[1]`` of the same bytes as ``state``; whoever writes to them copies them first."""
    return np.asarray(state)[None]


def _in_check(state: np.void) -> bool:
    return bool(checkers_of(state["boards"].copy(), int(state["to_play"])))


def _is_promotion(entry: int) -> bool:
    return bool(entry & SPECIAL) and entry >> 6 & 63 not in range(8, 56)


# ---- actions ---------------------------------------------------------------------------------------------------------


@njit(cache=True)
def action_of(square: int, target: int, promotion: int) -> int:
    """The action of a move as the mover sees it; ``promotion`` is a code, or 0."""
    if promotion and promotion != QUEEN:
        piece = 0 if promotion == KNIGHT else 1 if promotion == BISHOP else 2
        return KINDS * square + 64 + 3 * piece + target - square - 7
    return KINDS * square + _KIND[120 + target + (target & 56) - square - (square & 56)]


@njit(cache=True)
def decode_action(action: int) -> tuple[int, int, int]:
    """The squares that a move leaves and reaches as the mover sees them, and the code of an underpromotion, or 0."""
    square, kind = action // KINDS, action % KINDS
    return square, square + _STEPS[kind], PROMOTIONS[(kind - 64) // 3 + 1] if kind >= 64 else 0


# ---- kernels over states ---------------------------------------------------------------------------------------------


@njit(cache=True)
def _load(states: Array, i: int) -> tuple[Position, int, np.uint64]:
    """Position, castling rights and en passant bit of one state, as its mover sees them."""
    boards, seat = states["boards"], states["to_play"][i]
    position = view(boards[i, 0], boards[i, 1], boards[i, 2], boards[i, 3], seat)
    castling, square = signed(states["castling"][i]), signed(states["en_passant"][i])
    if seat:
        castling = castling >> 2 | (castling & 3) << 2
    return position, castling, bit(square ^ 56 * seat) if square else NONE


@njit(cache=True)
def _perft_all(states: Array, depth: int) -> int:
    squares, targets = np.empty(ROOM * depth, dtype=np.int64), np.empty(ROOM * depth, dtype=np.uint64)
    total = 0
    for i in range(len(states)):
        position, castling, en_passant = _load(states, i)
        total += count_leaves(position, castling, en_passant, depth, squares, targets)
    return total


@njit(cache=True)
def _list(states: Array, i: int, actions: Array, squares: Array, targets: Array) -> int:
    """Writes the legal actions of one state to ``actions`` and tells how many there are."""
    if states["terminated"][i]:
        return 0
    position, castling, en_passant = _load(states, i)
    pawns_end, _, end = find_targets(position, castling, en_passant, squares, targets, 0)
    count = 0
    for k in range(end):
        reached = targets[k]
        while reached:
            target = lowest(reached)
            for promotion in range(4 if k < pawns_end and target >= 56 else 1):
                actions[count] = action_of(squares[k], target, PROMOTIONS[promotion])
                count += 1
            reached &= reached - ONE
    return count


@njit(cache=True)
def _mark_legal(states: Array, mask: Array) -> None:
    squares, targets = np.empty(ROOM, dtype=np.int64), np.empty(ROOM, dtype=np.uint64)
    actions = np.empty(_MOST_ACTIONS, dtype=np.int64)
    for i in range(len(states)):
        for k in range(_list(states, i, actions, squares, targets)):
            mask[i, actions[k]] = True


@njit(cache=True)
def _legal_actions(states: Array) -> Array:
    """Those of ``states`` ``[1]``."""
    actions = np.empty(_MOST_ACTIONS, dtype=np.int64)
    count = _list(states, 0, actions, np.empty(ROOM, dtype=np.int64), np.empty(ROOM, dtype=np.uint64))
    return actions[:count]


@njit(cache=True)
def _find(states: Array, code: int, sources: np.uint64, target: int, promotion: int) -> int:
    """The only legal action of ``states`` ``[1]`` with these, as in ``MoveText``; negative if there is not one."""
    if states["terminated"][0]:
        return _ILLEGAL
    squares, targets = np.empty(ROOM, dtype=np.int64), np.empty(ROOM, dtype=np.uint64)
    position, castling, en_passant = _load(states, 0)
    _, _, end = find_targets(position, castling, en_passant, squares, targets, 0)
    if states["to_play"][0]:
        sources, target = flip_ranks(sources), target if code == CASTLES else target ^ 56
    found = _ILLEGAL
    for k in range(end):
        square = squares[k]
        if not (bit(square) & sources and bit(target) & targets[k]):
            continue
        mover = code_at(position, square)
        if mover == KING and abs(target - square) == 2 and code == KING:
            continue  # written as castling, or as engines do
        if code and code != mover and not (code == CASTLES and mover == KING):
            continue
        promotes = mover == PAWN and target >= 56
        if promotes != (promotion != 0):
            found = _NO_PROMOTION if promotes else _ILLEGAL
        elif found >= 0 and found != action_of(square, target, promotion):
            return _AMBIGUOUS
        else:
            found = action_of(square, target, promotion)
    return found


@njit(cache=True)
def _describe(states: Array, action: int) -> tuple[int, int, int, int, bool, np.uint64]:
    """Of a move in ``states`` ``[1]``, squares being the mover's: the code of the piece, the squares it leaves and
    reaches, what it becomes (0: nothing else), whether it captures, and the squares of others of its kind that may
    legally go to the same."""
    squares, targets = np.empty(ROOM, dtype=np.int64), np.empty(ROOM, dtype=np.uint64)
    position, castling, en_passant = _load(states, 0)
    _, _, end = find_targets(position, castling, en_passant, squares, targets, 0)
    square, target, promotion = decode_action(action)
    code = code_at(position, square)
    if code == PAWN and target >= 56 and promotion == 0:
        promotion = QUEEN
    captures = code_at(position, target) != 0 or (code == PAWN and (target - square) % 8 != 0)
    rivals = NONE
    for k in range(end):
        if squares[k] != square and bit(target) & targets[k] and code_at(position, squares[k]) == code:
            rivals |= bit(squares[k])
    return code, square, target, promotion, captures, rivals


@njit(cache=True)
def _occurrences(position: Position, states: Array, i: int, flip: int) -> int:
    """How often ``position`` occurred before in game ``i``, as far as moves can be taken back."""
    moves, plies = states["moves"], signed(states["reversible"][i])
    own, low, middle, high = position
    before_own, before_low, before_middle, before_high = position
    times = 0
    for ago in range(1, plies + 1):
        move = signed(moves[i, plies - ago])
        square, at = (move & 63) ^ flip, np.uint64((move >> 6) ^ flip)
        moved = bit(square) | ONE << at
        before_own ^= moved * (before_own >> at & ONE)
        before_low ^= moved * (before_low >> at & ONE)
        before_middle ^= moved * (before_middle >> at & ONE)
        before_high ^= moved * (before_high >> at & ONE)
        same = before_own == own and before_low == low and before_middle == middle and before_high == high
        if same and ago % 2 == 0:
            times += 1
    return times


@njit(cache=True)
def _judge(states: Array, i: int, limits: tuple[int, int, int], squares: Array, targets: Array) -> tuple[int, int]:
    """Why the game is over (0 if it is not), and the en passant square if such a capture is legal (else 0)."""
    max_occurrences, max_clock, max_plies = limits
    position, castling, en_passant = _load(states, i)
    pawns_end, en_passant_end, end = find_targets(position, castling, en_passant, squares, targets, 0)
    reason = 0
    if end == 0:
        reason = CHECKMATE if checkers(position) else STALEMATE
    elif cannot_mate(position):
        reason = MATERIAL
    elif states["repetitions"][i] + 1 >= max_occurrences:
        reason = REPETITION
    elif states["clock"][i] >= max_clock:
        reason = PROGRESS
    elif states["ply"][i] >= max_plies:
        reason = LENGTH
    return reason, signed(states["en_passant"][i]) if en_passant_end > pawns_end else 0


@njit(cache=True)
def _settle(states: Array, limits: tuple[int, int, int]) -> None:
    """Fills in whether games are over, and forgets en passant squares without a legal capture."""
    squares, targets = np.empty(ROOM, dtype=np.int64), np.empty(ROOM, dtype=np.uint64)
    for i in range(len(states)):
        reason, en_passant = _judge(states, i, limits, squares, targets)
        states["reason"][i], states["terminated"][i], states["en_passant"][i] = reason, reason != 0, en_passant


@njit(cache=True)
def _change_key(key: Array, numbers: Array, before: Position, after: Position) -> None:
    """Makes ``key`` ``[2]`` of the boards ``before`` that of those ``after``; both as in the field ``boards``."""
    changed = before[0] ^ after[0] | before[1] ^ after[1] | before[2] ^ after[2] | before[3] ^ after[3]
    while changed:
        square = lowest(changed)
        for boards in (before, after):
            code, seat = code_at(boards, square), 0 if boards[0] & bit(square) else 1
            if code:
                key[0] ^= numbers[seat, code, square]
                key[1] ^= numbers[1 - seat, code, square ^ 56]
        changed &= changed - ONE


@njit(cache=True)
def _step(states: Array, actions: Array, limits: tuple[int, int, int], numbers: Array) -> None:
    to_play, boards, rights, clock = states["to_play"], states["boards"], states["castling"], states["clock"]
    squares, targets = np.empty(ROOM, dtype=np.int64), np.empty(ROOM, dtype=np.uint64)
    for i in range(len(states)):
        position, castling, en_passant = _load(states, i)
        square, target, promotion = decode_action(actions[i])
        flip = 56 * signed(to_play[i])
        progress = code_at(position, square) == PAWN or code_at(position, target) != 0
        after, next_castling, next_en_passant = play(position, castling, en_passant, square, target, promotion)
        if progress or en_passant or next_castling != (castling >> 2 | (castling & 3) << 2):
            states["moves"][i, : states["reversible"][i]] = 0
            states["reversible"][i] = 0  # no position before can come again
        else:
            states["moves"][i, states["reversible"][i]] = (square | target << 6) ^ (flip | flip << 6)
            states["reversible"][i] += 1
        clock[i] = 0 if progress else min(signed(clock[i]) + 1, 255)
        flip ^= 56
        to_play[i] = 1 - to_play[i]
        back = view(after[0], after[1], after[2], after[3], to_play[i])  # a view of a view is the board itself
        before = boards[i, 0], boards[i, 1], boards[i, 2], boards[i, 3]
        _change_key(states["key"][i], numbers, before, back)
        boards[i, 0], boards[i, 1], boards[i, 2], boards[i, 3] = back
        rights[i] = next_castling if flip == 0 else next_castling >> 2 | (next_castling & 3) << 2
        states["en_passant"][i] = lowest(next_en_passant) ^ flip if next_en_passant else 0
        states["repetitions"][i] = _occurrences(after, states, i, flip)
        states["ply"][i] += 1
        states["last_action"][i] = actions[i]
        reason, en_passant_square = _judge(states, i, limits, squares, targets)
        states["reason"][i], states["terminated"][i], states["en_passant"][i] = reason, reason != 0, en_passant_square


@njit(cache=True)
def _remember(states: Array, actions: Array) -> None:
    """Puts the move about to be played before the others in ``past``, with all that it takes to go back: from and to
    (6 bits each), code taken (3), whether it is en passant or a promotion (1), castling rights (4), en passant square
    (6), clock (8) and repetitions (3) before it."""
    past = states["past"]
    for i in range(len(states)):
        position, _, _ = _load(states, i)
        square, target, _ = decode_action(actions[i])
        flip, taken, special = 56 * signed(states["to_play"][i]), code_at(position, target), 0
        if code_at(position, square) == PAWN:
            if target >= 56:
                special = SPECIAL
            elif not taken and (target - square) % 8:
                taken, special = PAWN, SPECIAL
        entry = (square ^ flip) | (target ^ flip) << 6 | taken << 12 | special
        entry |= signed(states["castling"][i]) << _CASTLING_AT | signed(states["en_passant"][i]) << _EN_PASSANT_AT
        entry |= signed(states["clock"][i]) << _CLOCK_AT | signed(states["repetitions"][i]) << _REPETITIONS_AT
        for k in range(past.shape[1] - 1, 0, -1):
            past[i, k] = past[i, k - 1]
        past[i, 0] = entry


@njit(cache=True)
def _show(states: Array, steps: Array, most_repetitions: int) -> None:
    """Writes what there is to see of the present positions to ``steps[:, 0]``."""
    for i in range(len(states)):
        position, _, _ = _load(states, i)
        steps[i, 0, 0], steps[i, 0, 1], steps[i, 0, 2], steps[i, 0, 3] = position
        steps[i, 0, 4] = min(signed(states["repetitions"][i]), most_repetitions)


@njit(cache=True)
def _show_past(states: Array, steps: Array, most_repetitions: int) -> None:
    """And of those before, as far as they are known, to ``steps[:, 1:]``."""
    past = states["past"]
    for i in range(len(states)):
        position, _, _ = _load(states, i)
        flip = 56 * signed(states["to_play"][i])
        for ago in range(1, steps.shape[1]):
            entry = signed(past[i, ago - 1])
            if entry == 0:
                break
            position = undo(position, (entry & 0xFFFF) ^ (flip | flip << 6), ago % 2 == 0)
            steps[i, ago, 0], steps[i, ago, 1], steps[i, ago, 2], steps[i, ago, 3] = position
            steps[i, ago, 4] = min(entry >> _REPETITIONS_AT, most_repetitions)


@njit(cache=True)
def _facts(states: Array, compact: bool, max_clock: int) -> Array:
    """uint64 ``[B]``: all that the planes and the mask depend on beside the pieces and the steps before."""
    facts = np.empty(len(states), dtype=np.uint64)
    for i in range(len(states)):
        _, castling, en_passant = _load(states, i)
        clock, ply = min(signed(states["clock"][i]), max_clock), signed(states["ply"][i])
        shown = clock // 10 if compact else clock | ply << 8
        square = lowest(en_passant) if en_passant else 0
        times = min(signed(states["repetitions"][i]), 1 if compact else 2)
        known = signed(states["terminated"][i]) | castling << 1 | square << 5 | shown << 11 | times << 40
        facts[i] = np.uint64(known)
    return facts


@njit(cache=True)
def _observe(states: Array, steps: Array, compact: bool, max_clock: int, max_plies: int, planes: Array) -> None:
    """Fills ``planes``, which are zeros, as the module's docstring has it."""
    for i in range(len(states)):
        plane = 0
        for ago in range(steps.shape[1]):
            own, low, middle, high = steps[i, ago, 0], steps[i, ago, 1], steps[i, ago, 2], steps[i, ago, 3]
            occupied = low | middle | high
            while occupied:
                square = lowest(occupied)
                side = 0 if own & bit(square) else 6
                piece = _PLANE[code_at((own, low, middle, high), square)]
                planes[i, plane + side + piece, square >> 3, square & 7] = 1
                occupied &= occupied - ONE
            plane += 12
            for times in range(1, 2 if compact else 3):
                planes[i, plane] = steps[i, ago, 4] >= np.uint64(times)
                plane += 1
        if not compact:
            planes[i, plane] = states["to_play"][i]
            planes[i, plane + 1] = (states["ply"][i] // 2) / (max_plies / 2)
            plane += 2
        _, castling, en_passant = _load(states, i)
        for right in range(4):
            planes[i, plane + right] = castling >> right & 1
        plane += 4
        if compact:
            if en_passant:
                square = lowest(en_passant)
                planes[i, plane, square >> 3, square & 7] = 1
            plane += 1
        clock = min(signed(states["clock"][i]), max_clock)
        planes[i, plane] = (clock // 10 * 10 if compact else clock) / max_clock
