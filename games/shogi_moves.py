"""The moves of shogi on bitboards: which are legal, doing and undoing them. What ``games/shogi.py`` plays with.

Legal moves are found from pins and checks, without trying any: a pinned piece stays on its line, and in check all but
the king go where that ends it. In kernels ``p`` is a ``POSITION``, ``t`` the ``TABLES``, ``moves`` a ``MOVES``, all of
them records, and ``low, high`` a set of squares. The tables are arguments because numba would copy global arrays into
the code of every kernel. Squares, kinds and moves are numbered as ``games/shogi_notation.py`` says.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import njit

from games.bits import highest, lowest, popcount
from games.core import Array
from games.hashing import zobrist
from games.shogi_notation import (
    BISHOP,
    DRAGON,
    GOLD,
    HAND,
    HORSE,
    IN_THE_SET,
    KINDS,
    KING,
    KNIGHT,
    LANCE,
    PAWN,
    PROMOTED,
    ROOK,
    SILVER,
    SIZE,
    SQUARES,
    WHITE,
)

PLANES = 139  # of actions
DECLARE = PLANES * SQUARES  # the action that declares a win, where that rule is in force
MOST_MOVES = 1024  # more than there can be; 593 are the most known
MOVE = 0x7FFF  # the bits of a move
DECLARATION = MOVE  # stands where a move would
_GOLDS = 0  # the row of kinds, and of steps, for all that moves as gold does
_MOST_HELD = max(IN_THE_SET)

# Directions, clockwise from straight ahead, as black sees the board: even ones are straight, odd ones diagonal.
_DIRECTIONS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
_STRAIGHT, _DIAGONAL = _DIRECTIONS[::2], _DIRECTIONS[1::2]
_LIKE_GOLD = (*_STRAIGHT, (-1, 1), (-1, -1))
_JUMPS = ((-2, -1), (-2, 1))
_STEPS = {  # of black's pieces, by kind; the promoted ones that move as gold does are added below
    PAWN: _DIRECTIONS[:1],
    KNIGHT: _JUMPS,
    SILVER: (*_DIAGONAL, (-1, 0)),
    KING: _DIRECTIONS,
    HORSE: _STRAIGHT,
    DRAGON: _DIAGONAL,
    **dict.fromkeys((_GOLDS, GOLD, *range(PAWN + PROMOTED, SILVER + PROMOTED + 1)), _LIKE_GOLD),
}

# A set of squares is two words: rows a to g in the first (63 bits), h and i in the second (18 bits).
FIRST_WORD = 63
WORD = np.uint64
_NONE, _ONE = np.uint64(0), np.uint64(1)
_ALL_LOW, _ALL_HIGH = np.uint64((1 << 63) - 1), np.uint64((1 << 18) - 1)
_ROW = np.uint64((1 << 9) - 1)
_FILE = np.uint64(sum(1 << 9 * row for row in range(7)))

POSITION = np.dtype(
    [
        ("key", np.uint64),  # Zobrist hash of the board and the hands
        ("kinds", np.uint64, (KINDS, 2)),  # squares by kind, both players together; row 0: all that moves as gold does
        ("occupied", np.uint64, (2, 2)),  # squares by seat
        ("squares", np.int8, SQUARES),
        ("hands", np.int8, (2, 8)),  # by seat and kind
        ("checks", np.int16, 2),  # by seat: how many of its last moves, without a break, gave check
        ("in_check", np.bool_),
        ("winner", np.int8),  # -1: none
        ("ending", np.int8),  # index of _REASONS
    ]
)
MOVES = np.dtype(  # legal moves, as up to 48 sets: where a piece can go, where promoting, where not
    [
        ("source", np.int64, 48),  # a square; 80 + kind for drops; -1 for all pawns of the board together
        ("plain", np.uint64, (48, 2)),
        ("promoting", np.uint64, (48, 2)),
    ]
)
TABLES = np.dtype(
    [
        ("bits", np.uint64, (SQUARES, 2)),
        ("rays", np.uint64, (8, SQUARES, 2)),  # all squares in a direction
        ("lines", np.uint64, (SQUARES, 2)),  # all rays of a square together
        ("steps", np.uint64, (2, KINDS, SQUARES, 2)),  # by seat; what a piece attacks other than along a line
        ("zone", np.uint64, (2, 2)),  # where the seat's pieces promote
        ("alive", np.uint64, (2, KINDS, 2)),  # where the seat's piece could move again on an empty board
        ("direction", np.int8, (SQUARES, SQUARES)),  # from one square to another; -1: not on a line
        ("plane", np.int8, (SQUARES, SQUARES)),  # of the action for a move in the mover's view
        ("offset", np.int8, 66),  # from source to target of the moves of a plane
        ("zobrist", np.uint64, (2, KINDS, SQUARES)),
        ("zobrist_hands", np.uint64, (2, 8, _MOST_HELD + 1)),
    ]
)


@functools.cache
def build_tables() -> Array:
    """``[1]`` of ``TABLES``; kernels take it as an argument, since numba would copy it into each as a constant."""
    tables = np.zeros(1, TABLES)
    t = tables[0]
    rows, columns = np.divmod(np.arange(SQUARES), SIZE)
    bits = np.zeros((SQUARES + 1, 2), dtype=np.uint64)  # the last row is off the board
    for square in range(SQUARES):
        bits[square, square // FIRST_WORD] = 1 << square % FIRST_WORD

    def moved(down: int, right: int) -> Array:
        """The square so far from each, ``SQUARES`` where that is off the board."""
        row, column = rows + down, columns + right
        return np.where((row >= 0) & (row < SIZE) & (column >= 0) & (column < SIZE), SIZE * row + column, SQUARES)

    t["bits"] = bits[:SQUARES]
    t["direction"] = t["plane"] = -1
    for d, (down, right) in enumerate(_DIRECTIONS):
        for distance in range(1, SIZE):
            target, plane = moved(distance * down, distance * right), 8 * d + distance - 1
            on_board = np.flatnonzero(target < SQUARES)
            t["rays"][d] |= bits[target]
            t["direction"][on_board, target[on_board]] = d
            t["plane"][on_board, target[on_board]] = plane
            t["offset"][plane] = distance * (SIZE * down + right)
    t["lines"] = np.bitwise_or.reduce(t["rays"])
    for plane, (down, right) in enumerate(_JUMPS, start=64):
        target = moved(down, right)
        on_board = np.flatnonzero(target < SQUARES)
        t["plane"][on_board, target[on_board]] = plane
        t["offset"][plane] = SIZE * down + right
    for seat, sign in enumerate((1, -1)):
        for kind, steps in _STEPS.items():
            for down, right in steps:
                t["steps"][seat, kind] |= bits[moved(sign * down, sign * right)]
        row = rows if seat == 0 else rows[::-1]
        t["zone"][seat] = np.bitwise_or.reduce(bits[:SQUARES][row < 3])
        for kind in range(KINDS):
            dead = {PAWN: 1, LANCE: 1, KNIGHT: 2}.get(kind, 0)
            t["alive"][seat, kind] = np.bitwise_or.reduce(bits[:SQUARES][row >= dead])
    t["zobrist"] = zobrist("shogi", (2, KINDS, SQUARES))
    t["zobrist_hands"][:, :, 1:] = zobrist("shogi hands", (2, 8, _MOST_HELD))
    return tables


# ---- kernels: pieces on the board; p is a POSITION, t the TABLES ---------------------------------------------------


@njit(cache=True)
def decode(t, seat, action):
    """The move of an action of ``seat``."""
    plane, square = action // SQUARES, action % SQUARES
    if plane == PLANES:
        return DECLARATION
    if plane >= 132:
        return (SQUARES - 1 - square if seat else square) | (HAND + plane - 131) << 7
    target = square + t["offset"][plane % 66]
    if seat:
        square, target = SQUARES - 1 - square, SQUARES - 1 - target
    return target | square << 7 | (plane // 66) << 14


@njit(cache=True)
def encode(t, seat, move):
    """The action that is the move; -1 if no piece moves like that."""
    if move == DECLARATION:
        return DECLARE
    target, source = move & 127, move >> 7 & 127
    if seat:
        target = SQUARES - 1 - target
    if source >= SQUARES:
        return (131 + source - HAND) * SQUARES + target
    if seat:
        source = SQUARES - 1 - source
    plane = np.int64(t["plane"][source, target])
    return (plane + 66 * (move >> 14)) * SQUARES + source if plane >= 0 else -1


@njit(cache=True)
def toggle(p, t, seat, kind, square):
    """Puts a piece on the bitboards, or takes it off; ``squares`` is left to the caller."""
    low, high = t["bits"][square, 0], t["bits"][square, 1]
    kinds, occupied = p["kinds"], p["occupied"]
    kinds[kind, 0] ^= low
    kinds[kind, 1] ^= high
    if kind == GOLD or PAWN + PROMOTED <= kind <= SILVER + PROMOTED:
        kinds[_GOLDS, 0] ^= low
        kinds[_GOLDS, 1] ^= high
    occupied[seat, 0] ^= low
    occupied[seat, 1] ^= high
    p["key"] ^= t["zobrist"][seat, kind, square]


@njit(cache=True)
def hold(p, t, seat, kind, change):
    """Changes how many pieces of a kind are in hand."""
    before = p["hands"][seat, kind]
    p["hands"][seat, kind] = before + change
    p["key"] ^= t["zobrist_hands"][seat, kind, before] ^ t["zobrist_hands"][seat, kind, before + change]


@njit(cache=True)
def make(p, t, seat, move):
    """Moves, and returns the entry for the record, less the hash: the move and what it captured."""
    target, source, squares = move & 127, move >> 7 & 127, p["squares"]
    if source >= SQUARES:
        kind = source - HAND
        hold(p, t, seat, kind, -1)
        captured = 0
    else:
        kind = np.int64(squares[source]) & 15
        captured = np.int64(squares[target]) & 15
        if captured:
            toggle(p, t, 1 - seat, captured, target)
            hold(p, t, seat, captured & 7, 1)
        toggle(p, t, seat, kind, source)
        squares[source] = 0
        kind += PROMOTED * (move >> 14)
    toggle(p, t, seat, kind, target)
    squares[target] = kind + WHITE * seat
    return move | captured << 15


@njit(cache=True)
def unmake(p, t, seat, entry):
    """Takes back what ``make`` did; ``entry`` is what it returned, or an entry of the record."""
    target, source, captured, squares = entry & 127, entry >> 7 & 127, entry >> 15 & 15, p["squares"]
    if entry & MOVE == DECLARATION:
        return
    kind = np.int64(squares[target]) & 15
    toggle(p, t, seat, kind, target)
    squares[target] = 0
    if source >= SQUARES:
        hold(p, t, seat, kind, 1)
        return
    kind -= PROMOTED * (entry >> 14 & 1)
    toggle(p, t, seat, kind, source)
    squares[source] = kind + WHITE * seat
    if captured:
        toggle(p, t, 1 - seat, captured, target)
        hold(p, t, seat, captured & 7, -1)
        squares[target] = captured + WHITE * (1 - seat)


# ---- kernels: attacks ------------------------------------------------------------------------------------------------


@njit(cache=True)
def king_square(p, seat):
    """The square of the king of ``seat``."""
    low = p["kinds"][KING, 0] & p["occupied"][seat, 0]
    return lowest(low) if low else FIRST_WORD + lowest(p["kinds"][KING, 1] & p["occupied"][seat, 1])


@njit(cache=True)
def _nearest(d, low, high):
    """Of squares on a ray in direction ``d``, at least one, the first."""
    if 2 <= d <= 5:
        return lowest(low) if low else FIRST_WORD + lowest(high)
    return FIRST_WORD + highest(high) if high else highest(low)


@njit(cache=True)
def _reach(t, seat, kind, square, low, high):
    """Squares that a piece attacks where ``low, high`` are occupied."""
    steps, rays = t["steps"], t["rays"]
    to_low, to_high = steps[seat, kind, square, 0], steps[seat, kind, square, 1]
    first, last, stride = 0, 0, 2
    if kind == LANCE:
        first, last = 4 * seat, 4 * seat + 1
    elif kind & 7 == ROOK:
        last = 8
    elif kind & 7 == BISHOP:
        first, last = 1, 8
    for d in range(first, last, stride):
        ray_low, ray_high = rays[d, square, 0], rays[d, square, 1]
        to_low |= ray_low
        to_high |= ray_high
        ray_low &= low
        ray_high &= high
        if ray_low | ray_high:
            near = _nearest(d, ray_low, ray_high)
            to_low ^= rays[d, near, 0]
            to_high ^= rays[d, near, 1]
    return to_low, to_high


@njit(cache=True)
def _snipers(p, t, seat, square, d):
    """The other player's pieces in direction ``d`` that move along it towards ``square``."""
    kinds, rays, other = p["kinds"], t["rays"], 1 - seat
    slider = BISHOP if d & 1 else ROOK
    low, high = kinds[slider, 0] | kinds[slider + PROMOTED, 0], kinds[slider, 1] | kinds[slider + PROMOTED, 1]
    if d == 4 * seat:
        low |= kinds[LANCE, 0]
        high |= kinds[LANCE, 1]
    return low & p["occupied"][other, 0] & rays[d, square, 0], high & p["occupied"][other, 1] & rays[d, square, 1]


@njit(cache=True)
def _sliders(p, t, seat, square):
    """Whether the other player has a piece on a line with ``square`` that moves along lines."""
    kinds, lines = p["kinds"], t["lines"]
    found = _NONE
    for w in range(2):
        sliders = kinds[LANCE, w] | kinds[BISHOP, w] | kinds[ROOK, w] | kinds[HORSE, w] | kinds[DRAGON, w]
        found |= sliders & p["occupied"][1 - seat, w] & lines[square, w]
    return found != _NONE


@njit(cache=True)
def _near(p, t, seat, square, w):
    """The other player's pieces that attack ``square`` other than along a line; one word."""
    kinds, steps = p["kinds"], t["steps"]
    found = (
        (steps[seat, PAWN, square, w] & kinds[PAWN, w])
        | (steps[seat, KNIGHT, square, w] & kinds[KNIGHT, w])
        | (steps[seat, SILVER, square, w] & kinds[SILVER, w])
        | (steps[seat, _GOLDS, square, w] & kinds[_GOLDS, w])
        | (steps[seat, KING, square, w] & kinds[KING, w])
        | (steps[seat, HORSE, square, w] & kinds[HORSE, w])
        | (steps[seat, DRAGON, square, w] & kinds[DRAGON, w])
    )
    return found & p["occupied"][1 - seat, w]


@njit(cache=True)
def _attackers(p, t, seat, square, low, high):
    """The other player's pieces that attack ``square`` of ``seat`` where ``low, high`` are occupied."""
    rays, bits = t["rays"], t["bits"]
    found_low, found_high = _near(p, t, seat, square, 0), _near(p, t, seat, square, 1)
    if _sliders(p, t, seat, square):
        for d in range(8):
            from_low, from_high = _snipers(p, t, seat, square, d)
            if from_low | from_high:
                near = _nearest(d, rays[d, square, 0] & low, rays[d, square, 1] & high)
                found_low |= from_low & bits[near, 0]
                found_high |= from_high & bits[near, 1]
    return found_low, found_high


@njit(cache=True)
def attacked(p, t, seat, square, low, high):
    """Whether ``_attackers`` finds any."""
    found_low, found_high = _attackers(p, t, seat, square, low, high)
    return (found_low | found_high) != _NONE


@njit(cache=True)
def _pinned(p, t, seat, king, low, high):
    """Pieces of ``seat`` that alone stand between its king and a piece that would attack it."""
    rays, bits, occupied = t["rays"], t["bits"], p["occupied"]
    pinned_low, pinned_high = _NONE, _NONE
    if _sliders(p, t, seat, king):
        for d in range(8):
            from_low, from_high = _snipers(p, t, seat, king, d)
            if from_low | from_high:
                near = _nearest(d, rays[d, king, 0] & low, rays[d, king, 1] & high)
                own_low, own_high = bits[near, 0] & occupied[seat, 0], bits[near, 1] & occupied[seat, 1]
                if own_low | own_high:
                    near = _nearest(d, rays[d, near, 0] & low, rays[d, near, 1] & high)
                    if (bits[near, 0] & from_low) | (bits[near, 1] & from_high):
                        pinned_low |= own_low
                        pinned_high |= own_high
    return pinned_low, pinned_high


# ---- kernels: moves --------------------------------------------------------------------------------------------------


@njit(cache=True)
def find_moves(p, t, seat, moves):
    """All legal moves of ``seat`` as sets; returns how many sets, 0 if there is no move."""
    occupied, rays = p["occupied"], t["rays"]
    own_low, own_high = occupied[seat, 0], occupied[seat, 1]
    low, high = own_low | occupied[1 - seat, 0], own_high | occupied[1 - seat, 1]
    king = king_square(p, seat)
    n = _find_king_moves(p, t, seat, king, moves)
    to_low, to_high = _ALL_LOW, _ALL_HIGH  # where all others may go: to end a check, if there is one
    check_low, check_high = _attackers(p, t, seat, king, low, high)
    if check_low | check_high:
        if popcount(check_low) + popcount(check_high) > 1:
            return n
        checker = lowest(check_low) if check_low else FIRST_WORD + lowest(check_high)
        d = t["direction"][king, checker]
        to_low, to_high = check_low, check_high
        if d >= 0:
            to_low, to_high = rays[d, king, 0] ^ rays[d, checker, 0], rays[d, king, 1] ^ rays[d, checker, 1]
    n = _find_board_moves(p, t, seat, king, to_low & ~own_low, to_high & ~own_high, n, moves)
    return _find_drops(p, t, seat, to_low & ~low, to_high & ~high, n, moves)


@njit(cache=True)
def _add(t, seat, kind, source, low, high, n, moves):
    """Adds the set of a piece's moves to ``low, high``, if there are any."""
    if not low | high:
        return n
    zone, alive = t["zone"], t["alive"]
    promoting_low, promoting_high = _NONE, _NONE
    if kind <= ROOK and source < SQUARES:
        promoting_low, promoting_high = low, high
        if source < 0 or not (t["bits"][source, 0] & zone[seat, 0]) | (t["bits"][source, 1] & zone[seat, 1]):
            promoting_low &= zone[seat, 0]
            promoting_high &= zone[seat, 1]
    moves["source"][n] = source
    moves["plain"][n, 0] = low & alive[seat, kind, 0]
    moves["plain"][n, 1] = high & alive[seat, kind, 1]
    moves["promoting"][n, 0] = promoting_low
    moves["promoting"][n, 1] = promoting_high
    return n + 1


@njit(cache=True)
def _find_king_moves(p, t, seat, king, moves):
    occupied, bits = p["occupied"], t["bits"]
    low = (occupied[0, 0] | occupied[1, 0]) ^ bits[king, 0]  # the king hides nothing behind it
    high = (occupied[0, 1] | occupied[1, 1]) ^ bits[king, 1]
    safe_low, safe_high = _NONE, _NONE
    for w in range(2):
        rest = t["steps"][seat, KING, king, w] & ~occupied[seat, w]
        while rest:
            square = FIRST_WORD * w + lowest(rest)
            rest &= rest - _ONE
            if not attacked(p, t, seat, square, low, high):
                safe_low |= bits[square, 0]
                safe_high |= bits[square, 1]
    return _add(t, seat, KING, king, safe_low, safe_high, 0, moves)


@njit(cache=True)
def _find_board_moves(p, t, seat, king, to_low, to_high, n, moves):
    """Adds the moves of all pieces but the king to ``to_low, to_high``."""
    occupied, kinds, rays = p["occupied"], p["kinds"], t["rays"]
    low, high = occupied[0, 0] | occupied[1, 0], occupied[0, 1] | occupied[1, 1]
    pinned_low, pinned_high = _pinned(p, t, seat, king, low, high)
    # All pawns take their step together; pinned ones only on the file of the king.
    pawn_low, pawn_high = kinds[PAWN, 0] & occupied[seat, 0], kinds[PAWN, 1] & occupied[seat, 1]
    step_low = pawn_low & (~pinned_low | rays[0, king, 0] | rays[4, king, 0])
    step_high = pawn_high & (~pinned_high | rays[0, king, 1] | rays[4, king, 1])
    if seat == 0:
        step_low, step_high = step_low >> WORD(9) | (step_high & _ROW) << WORD(54), step_high >> WORD(9)
    else:
        step_low, step_high = step_low << WORD(9) & _ALL_LOW, step_high << WORD(9) | step_low >> WORD(54)
    n = _add(t, seat, PAWN, -1, step_low & to_low, step_high & to_high, n, moves)
    for w in range(2):
        rest = occupied[seat, w] & ~(pawn_low if w == 0 else pawn_high) & ~kinds[KING, w]
        pinned = pinned_low if w == 0 else pinned_high
        while rest:
            bit = rest & ~(rest - _ONE)
            square = FIRST_WORD * w + lowest(rest)
            rest ^= bit
            kind = np.int64(p["squares"][square]) & 15
            piece_low, piece_high = _reach(t, seat, kind, square, low, high)
            if pinned & bit:
                d = t["direction"][king, square]
                piece_low &= rays[d, king, 0]
                piece_high &= rays[d, king, 1]
            n = _add(t, seat, kind, square, piece_low & to_low, piece_high & to_high, n, moves)
    return n


@njit(cache=True)
def _find_drops(p, t, seat, to_low, to_high, n, moves):
    """Adds the drops onto ``to_low, to_high``, which are empty."""
    hands, alive = p["hands"], t["alive"]
    if not to_low | to_high:
        return n
    for kind in range(PAWN, GOLD + 1):
        if hands[seat, kind]:
            low, high = to_low & alive[seat, kind, 0], to_high & alive[seat, kind, 1]
            if kind == PAWN:
                low, high = _pawn_drops(p, t, seat, low, high)
            n = _add(t, seat, kind, HAND + kind, low, high, n, moves)
    return n


@njit(cache=True)
def _pawn_drops(p, t, seat, low, high):
    """Of empty squares, those where a pawn may drop: not beside another on the file, not giving checkmate."""
    kinds, occupied = p["kinds"], p["occupied"]
    own_low, own_high = kinds[PAWN, 0] & occupied[seat, 0], kinds[PAWN, 1] & occupied[seat, 1]
    files = own_low | own_high  # all rows fold into the first
    files |= files >> WORD(36)
    files |= files >> WORD(18)
    files = (files | files >> WORD(9)) & _ROW
    low &= ~(files * _FILE)
    high &= ~(files | files << WORD(9))
    square = king_square(p, 1 - seat) + (9 if seat == 0 else -9)
    if 0 <= square < SQUARES:
        check_low, check_high = low & t["bits"][square, 0], high & t["bits"][square, 1]
        if (check_low | check_high) and _pawn_mates(p, t, seat, square):
            low ^= check_low
            high ^= check_high
    return low, high


@njit(cache=True)
def _pawn_mates(p, t, seat, square):
    """Whether a pawn of ``seat`` dropped in front of the other's king leaves that player without a move."""
    occupied, kinds, bits = p["occupied"], p["kinds"], t["bits"]
    other = 1 - seat
    king = king_square(p, other)
    low = occupied[0, 0] | occupied[1, 0] | bits[square, 0]
    high = occupied[0, 1] | occupied[1, 1] | bits[square, 1]
    # Can it be captured, by a piece that is not pinned?
    by_low, by_high = _attackers(p, t, seat, square, low, high)
    for w in range(2):
        rest = (by_low if w == 0 else by_high) & ~kinds[KING, w]
        while rest:
            piece = FIRST_WORD * w + lowest(rest)
            rest &= rest - _ONE
            if not attacked(p, t, other, king, low ^ bits[piece, 0], high ^ bits[piece, 1]):
                return False
    # Can the king go away, or capture it?
    low ^= bits[king, 0]
    high ^= bits[king, 1]
    for w in range(2):
        rest = t["steps"][other, KING, king, w] & ~occupied[other, w]
        while rest:
            target = FIRST_WORD * w + lowest(rest)
            rest &= rest - _ONE
            if not attacked(p, t, other, target, low, high):
                return False
    return True


@njit(cache=True)
def list_moves(moves, n, seat, out, row):
    """Writes the moves of ``n`` sets into ``out[row]``; returns how many."""
    count, behind = 0, 9 if seat == 0 else -9
    for k in range(n):
        source = moves["source"][k]
        for w in range(2):
            plain, promoting = moves["plain"][k, w], moves["promoting"][k, w]
            rest = plain | promoting
            while rest:
                bit = rest & ~(rest - _ONE)
                target = FIRST_WORD * w + lowest(rest)
                rest ^= bit
                move = target | (target + behind if source < 0 else source) << 7
                if plain & bit:
                    out[row, count] = move
                    count += 1
                if promoting & bit:
                    out[row, count] = move | 1 << 14
                    count += 1
    return count


@njit(cache=True)
def mark_actions(t, moves, n, seat, mask, row):
    """Sets ``mask[row]`` True for the actions of ``n`` sets."""
    corner, sign = (80, -1) if seat else (0, 1)  # of the mover's view
    for k in range(n):
        source = moves["source"][k]
        for w in range(2):
            for promotes in range(2):
                rest = moves["promoting"][k, w] if promotes else moves["plain"][k, w]
                while rest:
                    target = corner + sign * (FIRST_WORD * w + lowest(rest))
                    rest &= rest - _ONE
                    if source >= SQUARES:
                        mask[row, (131 + source - HAND) * SQUARES + target] = True
                    else:
                        square = corner + sign * source if source >= 0 else target + 9
                        plane = np.int64(t["plane"][square, target]) + 66 * promotes
                        mask[row, plane * SQUARES + square] = True


@njit(cache=True)
def has_move(p, t, seat, moves):
    """Whether ``seat``, to move, has a legal move; ``p["in_check"]`` is up to date, ``moves`` is scratch."""
    if not p["in_check"]:
        for kind in range(SILVER, GOLD + 1):  # may be dropped on any empty square, and there are some
            if p["hands"][seat, kind]:
                return True
    return find_moves(p, t, seat, moves) > 0


@njit(cache=True)
def count_leaves(p, t, seat, depth, moves, lists):
    """How many sequences of ``depth`` moves there are; ``lists`` int64 ``[depth, MOST_MOVES]`` is scratch."""
    n = find_moves(p, t, seat, moves)
    total = 0
    if depth == 1:
        for k in range(n):
            for w in range(2):
                total += popcount(moves["plain"][k, w]) + popcount(moves["promoting"][k, w])
        return total
    row = depth - 1
    for k in range(list_moves(moves, n, seat, lists, row)):
        entry = make(p, t, seat, lists[row, k])
        total += count_leaves(p, t, 1 - seat, depth - 1, moves, lists)
        unmake(p, t, seat, entry)
    return total
