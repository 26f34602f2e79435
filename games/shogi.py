"""Shogi: 9 × 9 squares, captured pieces change sides and are dropped again; black (capitals, sente) moves first.

Pieces move and promote as the Japan Shogi Association has it: promotion on entering, leaving or moving within the three
ranks farthest from one's own side, forced where the piece could never move again. A drop may not put a second
unpromoted pawn on a file (nifu), a piece where it could never move, nor a pawn that checkmates (uchifuzume). Who has no
legal move loses. The fourth occurrence of a position (board, hands and player to move) is a draw (sennichite), unless
all moves of one player since the first were checks: then that player loses (if both players' were, it is a draw). After
``max_plies`` plies, 512 by default as in AlphaZero, the game is a draw, unless the last of them mates or repeats.

With ``declaration=True`` a player may declare a win by the 27-point rule instead of moving: not in check, the king and
at least ten more of one's pieces in the promotion zone, and 28 points (black) or 27 (white) for the pieces there and in
hand, 5 for each rook and bishop, promoted or not, 1 for any other. Only then is the action, ``win`` in USI, legal.
Handicaps change no points.

The mover's view is the board as it is for black, turned by half a turn for white; squares are numbered from its top
left, row by row. Actions (Silver et al., 2018): ``81 * plane + square``, the square from which the piece moves or onto
which it drops; 139 planes, 11,259 actions, and 11,259 declares the win where that rule is in force.

| plane | what |
|---|---|
| 0–63 | ``8 * direction + distance - 1``; directions clockwise from straight ahead, distance 1 to 8 |
| 64, 65 | a knight's jump to the left, to the right |
| 66–131 | the same with promotion |
| 132–138 | drop of a pawn, lance, knight, silver, bishop, rook, gold |

Planes of observations: 45 for each of the last ``history`` positions (1 to 8), the present one first, all in the view
of the player to move, zeros where the game is younger; then 2. That is 47 by default and AlphaZero's 362 with
``history=8``.

| plane | what |
|---|---|
| 0–13 | the mover's pawns, lances, knights, silvers, bishops, rooks, golds, king, promoted pawns, … rooks |
| 14–27 | the other player's |
| 28–30 | ones if the position had occurred at least once, twice, three times before |
| 31–37, 38–44 | pieces in the mover's hand, in the other's: pawns, … golds, as a share of those in the set |
| … | the same for each earlier position |
| T = 45 · ``history`` | ones if the mover is white |
| T + 1 | plies played, as a share of ``max_plies`` |

A state has ``392 + 4 * max_plies`` bytes, 2,440 by default: bitboards (two words for 81 squares), a board, and one word
per ply since the start with the move, what it captured and 13 bits of the hash before it. From that record every
earlier position is rebuilt: repetition is exact over the whole game (the 13 bits only say which positions to look at),
history planes need no room of their own, and the text of a state has all its moves. Moves are found in
``games/shogi_moves.py``, text is read and written in ``games/shogi_notation.py``.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import njit

from games.bits import popcount
from games.core import Array, Game, GameSpec, IllegalActionError, ParseError, UnsupportedError
from games.hashing import mix64
from games.shogi_moves import (
    DECLARATION,
    DECLARE,
    MOST_MOVES,
    MOVE,
    MOVES,
    PLANES,
    POSITION,
    WORD,
    attacked,
    build_tables,
    count_leaves,
    decode,
    encode,
    find_moves,
    has_move,
    hold,
    king_square,
    make,
    mark_actions,
    toggle,
    unmake,
)
from games.shogi_notation import (
    BISHOP,
    DRAGON,
    GOLD,
    HORSE,
    IN_THE_SET,
    KANJI,
    PAWN,
    ROOK,
    SIZE,
    SQUARES,
    START,
    WHITE,
    Placement,
    format_hand,
    format_sfen,
    format_usi,
    parse_sfen,
    parse_usi,
    piece_name,
)

MAX_HISTORY = 8
SIDES = ("black", "white")
_RETURNS = np.array([[1, -1], [-1, 1], [0, 0]], dtype=np.float32)  # by winner, -1 (none) being the last row
_ONGOING, _CHECKMATE, _NO_MOVE, _REPETITION, _PERPETUAL_CHECK, _MAX_PLIES, _DECLARED = range(7)
_REASONS = (
    "",
    "{winner} wins by checkmate",
    "{winner} wins, {loser} having no legal move",
    "draw by fourfold repetition",
    "{winner} wins, {loser} having given perpetual check",
    "draw after {plies} plies",
    "{winner} wins by declaration",
)


class Shogi(Game):
    """Shogi; the module's docstring has rules, actions and planes.

    Args:
        history: how many of the last positions the planes show, 1 to 8.
        max_plies: the game is a draw after so many, 2 to 32,766.
        declaration: whether a win may be declared by the 27-point rule.
    """

    names = ("shogi",)

    def __init__(
        self, name: str = "shogi", *, history: int = 1, max_plies: int = 512, declaration: bool = False
    ) -> None:
        if not 1 <= history <= MAX_HISTORY:
            raise UnsupportedError(f"{name}: history is {history}; it must be 1 to {MAX_HISTORY}.")
        if not 2 <= max_plies < 2**15 - 1:
            raise UnsupportedError(f"{name}: max_plies is {max_plies}; it must be 2 to {2**15 - 2}.")
        self.history, self.declaration = history, declaration
        shape = (45 * history + 2, SIZE, SIZE)
        self.spec = GameSpec(name, 1, 2, PLANES * SQUARES + declaration, shape, max_plies)
        self.dtype = np.dtype(
            [
                ("to_play", np.int8),
                ("terminated", np.bool_),
                ("ply", np.int16),
                ("start", np.int16),  # the ply of the first position known
                # How often the position had occurred before, 0 to 3, in the lowest two bits; above them the same of the
                # position one ply ago, and so on for eight plies.
                ("repetitions", np.uint16),
                ("position", POSITION),
                # By plies since the start: what the move does (15 bits), what it captures (4), hash before it (13).
                ("record", np.uint32, max_plies + max_plies % 2),  # even, so that states lie aligned in arrays
            ]
        )

    # ---- rules -------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _start(self) -> Array:
        return self._placed(parse_sfen(START))

    def init(self, batch_size: int) -> Array:
        return np.repeat(self._start, batch_size)

    def legal_action_mask(self, states: Array) -> Array:
        mask = np.empty((len(states), self.spec.num_actions), dtype=np.bool_)
        _mask(states, build_tables(), np.empty(1, MOVES), self.declaration, mask)
        return mask

    def step_unchecked(self, states: Array, actions: Array) -> None:
        scratch = np.empty(1, MOVES), np.empty(1, POSITION)
        _step(states, np.asarray(actions, np.int64), build_tables(), *scratch, self.spec.max_plies)

    def observe(self, states: Array) -> Array:
        planes = np.empty((len(states), self.spec.observation_shape[0], SQUARES), dtype=np.float32)
        _observe(states, build_tables(), np.empty(1, POSITION), self.spec.max_plies, self.history, planes)
        return planes.reshape(len(states), *self.spec.observation_shape)

    def returns(self, states: Array) -> Array:
        return _RETURNS[states["position"]["winner"]]

    def hash(self, states: Array) -> Array:
        seen = states["repetitions"].astype(np.uint64) & np.uint64(4**self.history - 1)
        seen |= states["ply"].astype(np.uint64) << np.uint64(16)
        seen |= states["to_play"].astype(np.uint64) << np.uint64(32)
        seen |= states["terminated"].astype(np.uint64) << np.uint64(33)
        hashes = mix64(mix64(seen) ^ states["position"]["key"])
        if self.history > 1:
            keys = np.empty((len(states), self.history - 1), dtype=np.uint64)
            _earlier_keys(states, build_tables(), np.empty(1, POSITION), keys)
            for column in keys.T:
                hashes = mix64(hashes) ^ column
        return mix64(hashes)

    def perft(self, states: Array, depth: int) -> int:
        scratch = np.empty(1, MOVES), np.empty((depth, MOST_MOVES), dtype=np.int64)
        return _perft(states.copy(), depth, build_tables(), *scratch)

    # ---- text --------------------------------------------------------------------------------------------------

    def render(self, state: np.void, *, color: bool = False) -> str:
        position, entries = state["position"], _entries(state)
        last = entries[-1] & 127 if entries else -1
        lines = ["".join(f" {file:>2} " for file in range(SIZE, 0, -1))]
        for row, rank in enumerate("abcdefghi"):
            line = ""
            for square in range(SIZE * row, SIZE * (row + 1)):
                mark = _drawn(int(position["squares"][square]), color)
                line += f"[{mark}]" if square == last else f" {mark} "
            lines.append(f"{line} {rank}")
        for seat in (1, 0):
            hand = format_hand(position["hands"][seat], white=seat == 1)
            lines.insert(0 if seat else len(lines), f"{SIDES[seat]} in hand: {hand or 'nothing'}")
        if state["terminated"]:
            winner = int(position["winner"])
            sides = {"winner": SIDES[winner], "loser": SIDES[winner - 1], "plies": int(state["ply"])}
            return "\n".join([*lines, _REASONS[position["ending"]].format(**sides)])
        counted = ("", ", the second time", ", the third time")[min(int(state["repetitions"]) & 3, 2)]
        check = " in check" * bool(position["in_check"])
        return "\n".join([*lines, f"{SIDES[state['to_play']]} to move{check}{counted}"])

    def action_to_string(self, state: np.void, action: int) -> str:
        return _usi(decode(build_tables()[0], int(state["to_play"]), int(action)))

    def parse_action(self, state: np.void, text: str) -> int:
        """Reads a move in USI: ``7g7f``, ``8h2b+``, ``P*5e``; ``win`` declares where the rule is in force."""
        word, declares = text.strip(), self.declaration and text.strip().lower() == "win"
        if not declares and parse_usi(word) < 0:
            win = " or win" if self.declaration else ""
            raise ParseError(
                f"{text[:40]!r} is not a move in {self.spec.name}; type one such as 7g7f, 8h2b+, P*5e{win}."
            )
        move = DECLARATION if declares else parse_usi(word)
        action = encode(build_tables()[0], int(state["to_play"]), move)
        legal = self.legal_action_mask(np.array([state], dtype=self.dtype))[0]
        if action < 0 or not legal[action]:
            moves = [self.action_to_string(state, int(other)) for other in np.flatnonzero(legal)]
            more = ", …" if len(moves) > 12 else ""
            why = "the game is over" if state["terminated"] else f"legal moves are {', '.join(moves[:12])}{more}"
            raise IllegalActionError(f"{self.spec.name}, ply {int(state['ply'])}: {word} is illegal; {why}.")
        return action

    def state_to_string(self, state: np.void) -> str:
        """As USI gives positions to engines: the SFEN of the first position known, then ``moves`` and all moves since.

        ``lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL b - 1 moves 7g7f 3c3d``
        """
        entries = _entries(state)
        start = np.empty(1, POSITION)
        _rewind(np.array([state]), len(entries), build_tables(), start)
        seat = int(state["to_play"]) ^ len(entries) % 2
        first = Placement(start["squares"][0], start["hands"][0], seat, int(state["start"]) + 1)
        return " ".join(
            [format_sfen(first), *(["moves"] if entries else []), *(_usi(entry & MOVE) for entry in entries)]
        )

    def sfen(self, state: np.void) -> str:
        """The position alone, without what came before it."""
        position, number = state["position"], int(state["ply"]) + 1
        return format_sfen(Placement(position["squares"], position["hands"], int(state["to_play"]), number))

    def parse_state(self, text: str) -> Array:
        """Reads an SFEN (or ``startpos``), and after the word ``moves`` what was played from there.

        The game is known from the SFEN on only: positions before it do not count as repeated.
        """

        def fail(reason: object) -> ParseError:
            return ParseError(f"{text[:400]!r} is not a position of {self.spec.name}: {reason}.")

        before, _, moves = " ".join(text.split()).partition(" moves ")
        before = before.removeprefix("position ").removeprefix("sfen ").removesuffix(" moves")
        try:
            states = self._placed(parse_sfen(START if before == "startpos" else before))
        except ParseError as error:
            raise fail(error) from None
        for number, word in enumerate(moves.split(), start=1):
            try:
                self.step_unchecked(states, np.array([self.parse_action(states[0], word)]))
            except (ParseError, IllegalActionError) as error:
                raise fail(f"move {number} of those after it: {str(error).removesuffix('.')}") from None
        return states

    def _placed(self, placement: Placement) -> Array:
        """The state ``[1]`` of a game that begins with ``placement``; ParseError with the reason alone."""
        if placement.number > self.spec.max_plies:
            raise ParseError(
                f"it is at move {placement.number}, and games end after {self.spec.max_plies} (option max_plies)"
            )
        states = np.zeros(1, dtype=self.dtype)
        states["to_play"], states["ply"] = placement.seat, placement.number - 1
        states["start"] = states["ply"]
        if not _set_up(states, placement.squares, placement.hands, build_tables(), np.empty(1, MOVES)):
            raise ParseError(f"{SIDES[placement.seat]} is to move and could capture the king")
        return states


def _entries(state: np.void) -> list[int]:
    """The record of all plies since the start."""
    return state["record"][: int(state["ply"]) - int(state["start"])].tolist()


def _drawn(piece: int, color: bool) -> str:
    """A piece, or an empty square, in two columns."""
    if piece == 0:
        return " ."
    if color:
        return f"\x1b[{91 if piece >= WHITE else 97}m{KANJI[piece % WHITE]}\x1b[0m"
    return f"{piece_name(piece):>2}"


def _usi(move: int) -> str:
    return "win" if move == DECLARATION else format_usi(move)


# ---- kernels: the game -----------------------------------------------------------------------------------------------


@njit(cache=True)
def _perft(states, depth, tables, moves, lists):
    total = 0
    for i in range(len(states)):
        total += count_leaves(states[i]["position"], tables[0], np.int64(states[i]["to_play"]), depth, moves[0], lists)
    return total


@njit(cache=True)
def _mask(states, tables, moves, declaration, mask):
    t = tables[0]
    for i in range(len(states)):
        mask[i, :] = False
        if states[i]["terminated"]:
            continue
        p, seat = states[i]["position"], np.int64(states[i]["to_play"])
        mark_actions(t, moves[0], find_moves(p, t, seat, moves[0]), seat, mask, i)
        if declaration:
            mask[i, DECLARE] = _may_declare(p, t, seat)


@njit(cache=True)
def _may_declare(p, t, seat):
    """Whether the 27-point rule lets ``seat``, to move, declare a win."""
    kinds, zone, king = p["kinds"], t["zone"], king_square(p, seat)
    if p["in_check"] or not (t["bits"][king, 0] & zone[seat, 0]) | (t["bits"][king, 1] & zone[seat, 1]):
        return False
    pieces, large = -1, 0  # the king is not counted
    for w in range(2):
        inside = p["occupied"][seat, w] & zone[seat, w]
        pieces += popcount(inside)
        large += popcount(inside & (kinds[BISHOP, w] | kinds[ROOK, w] | kinds[HORSE, w] | kinds[DRAGON, w]))
    points = pieces + 4 * large
    for kind in range(PAWN, GOLD + 1):
        points += p["hands"][seat, kind] * (5 if kind in (BISHOP, ROOK) else 1)
    return pieces >= 10 and points >= 28 - seat


@njit(cache=True)
def _step(states, actions, tables, moves, past, max_plies):
    t = tables[0]
    for i in range(len(states)):
        s = states[i]
        p, seat, length = s["position"], np.int64(s["to_play"]), np.int64(s["ply"]) - np.int64(s["start"])
        move, before = decode(t, seat, actions[i]), np.int64(p["key"] >> WORD(51))
        entry = move if move == DECLARATION else make(p, t, seat, move)
        s["record"][length] = entry | before << 19
        s["ply"] += 1
        s["to_play"] = 1 - seat
        if move == DECLARATION:
            s["repetitions"] = np.int64(s["repetitions"]) << 2 & 0xFFFF
            p["winner"], p["ending"] = seat, _DECLARED
        else:
            _judge(s, t, seat, length + 1, moves[0], past, max_plies)
        s["terminated"] = p["ending"] != _ONGOING


@njit(cache=True)
def _judge(s, t, seat, length, moves, past, max_plies):
    """Checks, repetition and the end of the game after a move of ``seat``, the ``length``-th since the start."""
    p, occupied, other = s["position"], s["position"]["occupied"], 1 - seat
    low, high = occupied[0, 0] | occupied[1, 0], occupied[0, 1] | occupied[1, 1]
    p["in_check"] = attacked(p, t, other, king_square(p, other), low, high)
    checks = p["checks"]
    checks[seat] = checks[seat] + 1 if p["in_check"] else 0
    count, since = _occurrences(s, t, other, length, past)
    s["repetitions"] = (np.int64(s["repetitions"]) << 2 | count) & 0xFFFF
    if not has_move(p, t, other, moves):
        p["winner"], p["ending"] = seat, _CHECKMATE if p["in_check"] else _NO_MOVE
    elif count == 3:  # that makes four
        perpetual, other_perpetual = 2 * checks[seat] >= since, 2 * checks[other] >= since
        p["ending"] = _REPETITION
        if perpetual != other_perpetual:
            p["winner"], p["ending"] = other if perpetual else seat, _PERPETUAL_CHECK
    elif s["ply"] >= max_plies:
        p["ending"] = _MAX_PLIES


@njit(cache=True)
def _occurrences(s, t, seat, length, past):
    """How often the position, with ``seat`` to move, occurred before (at most 3), and how many plies ago first."""
    record, key = s["record"], s["position"]["key"]
    mark, oldest = np.int64(key >> WORD(51)), length
    for j in range(length - 4, -1, -2):
        if np.int64(record[j]) >> 19 == mark:
            oldest = j
    count, since = 0, 0
    if oldest < length:
        past[0] = s["position"]
        for j in range(length - 1, oldest - 1, -1):
            seat = 1 - seat
            unmake(past[0], t, seat, np.int64(record[j]))
            if (length - j) % 2 == 0 and past[0]["key"] == key and count < 3:
                count += 1
                since = length - j
    return count, since


@njit(cache=True)
def _rewind(states, plies, tables, past):
    """Puts into ``past`` the position of ``states[0]`` so many plies ago."""
    s, seat = states[0], np.int64(states[0]["to_play"])
    length = np.int64(s["ply"]) - np.int64(s["start"])
    past[0] = s["position"]
    for j in range(length - 1, length - plies - 1, -1):
        seat = 1 - seat
        unmake(past[0], tables[0], seat, np.int64(s["record"][j]))


@njit(cache=True)
def _earlier_keys(states, tables, past, keys):
    """The hashes of the positions one ply ago, two, …; 0 before the start. ``keys`` is uint64 ``[B, history - 1]``."""
    keys[:] = 0
    for i in range(len(states)):
        s, seat = states[i], np.int64(states[i]["to_play"])
        length = np.int64(s["ply"]) - np.int64(s["start"])
        past[0] = s["position"]
        for k in range(min(keys.shape[1], length)):
            seat = 1 - seat
            unmake(past[0], tables[0], seat, np.int64(s["record"][length - 1 - k]))
            keys[i, k] = past[0]["key"]


@njit(cache=True)
def _observe(states, tables, past, max_plies, history, planes):
    planes[:] = 0
    for i in range(len(states)):
        s, seat = states[i], np.int64(states[i]["to_play"])
        length, repetitions = np.int64(s["ply"]) - np.int64(s["start"]), np.int64(s["repetitions"])
        past[0] = s["position"]
        p, mover = past[0], seat
        for k in range(min(history, length + 1)):
            first = 45 * k
            if k:
                mover = 1 - mover
                unmake(p, tables[0], mover, np.int64(s["record"][length - k]))
            for square in range(SQUARES):
                piece = np.int64(p["squares"][square])
                if piece:
                    theirs = (piece >> 4) != seat
                    plane = first + (piece & 15) - 1 + 14 * theirs
                    planes[i, plane, SQUARES - 1 - square if seat else square] = 1
            for count in range(repetitions >> 2 * k & 3):
                planes[i, first + 28 + count] = 1
            for kind in range(PAWN, GOLD + 1):
                for side in range(2):
                    held = p["hands"][seat ^ side, kind]
                    if held:
                        planes[i, first + 30 + 7 * side + kind] = held / IN_THE_SET[kind]
        planes[i, 45 * history] = seat
        planes[i, 45 * history + 1] = s["ply"] / max_plies


@njit(cache=True)
def _set_up(states, squares, hands, tables, moves):
    """Fills in the position of the state ``[1]``, and whether it is over; False if the mover could take the king."""
    s, t = states[0], tables[0]
    p, seat, occupied = s["position"], np.int64(s["to_play"]), s["position"]["occupied"]
    for square in range(SQUARES):
        piece = np.int64(squares[square])
        p["squares"][square] = piece
        if piece:
            toggle(p, t, piece >> 4, piece & 15, square)
    for side in range(2):
        for kind in range(PAWN, GOLD + 1):
            hold(p, t, side, kind, hands[side, kind])
    low, high = occupied[0, 0] | occupied[1, 0], occupied[0, 1] | occupied[1, 1]
    p["in_check"] = attacked(p, t, seat, king_square(p, seat), low, high)
    p["winner"] = -1
    if not has_move(p, t, seat, moves[0]):
        p["winner"], p["ending"] = 1 - seat, _CHECKMATE if p["in_check"] else _NO_MOVE
        s["terminated"] = True
    return not attacked(p, t, 1 - seat, king_square(p, 1 - seat), low, high)
