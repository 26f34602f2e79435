"""Chess on bitboards: attacks, the legal moves of a position, playing and counting them. ``games.chess`` is the game.

A square is ``8 * rank + file``, a1 being 0, and a bit of a 64-bit board. A *position* is four boards as the player to
move sees them, black's with the ranks flipped, so that pawns always go up: the mover's pieces, and all pieces by the
three bits of their codes. ``castling`` has four bits: the mover's rights on the king's and the queen's side (1, 2), the
other's (4, 8). ``en_passant`` is the bit of the square behind a pawn that just went two squares, or 0.

The ways of sliders end at the lowest bit of a way up, which ``x ^ (x - 1)`` finds; ways down are ways up on the flipped
board, and ranks are looked up. There are no large tables, and nothing is played to find out whether it is legal.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from games.bits import lowest, popcount
from games.core import Array

SQUARES = 64
# A piece's code, spread over three boards: sliders along diagonals and along lines are then one operation away.
PAWN, BISHOP, KNIGHT, ROOK, KING, QUEEN = range(1, 7)
PROMOTIONS = np.array([QUEEN, KNIGHT, BISHOP, ROOK], dtype=np.int64)
AHEAD = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))  # right and up, clockwise
JUMPS = ((1, 2), (2, 1), (2, -1), (1, -2), (-1, -2), (-2, -1), (-2, 1), (-1, 2))
ROOM = 40  # more than there are entries of find_targets: at most two for each of 16 pieces, and two of en passant
SPECIAL = 1 << 15  # in what undo is told: en passant, or a promotion

Boards = tuple[np.uint64, np.uint64, np.uint64]
Position = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


def _along(right: int, up: int, steps: int = 7) -> Array:
    """uint64 ``[64]``: the squares on the way from each square, at most ``steps`` of them."""
    ways = np.zeros(SQUARES, dtype=np.uint64)
    for square in range(SQUARES):
        file, rank = square % 8 + right, square // 8 + up
        for _ in range(steps):
            if 0 <= file < 8 and 0 <= rank < 8:
                ways[square] |= np.uint64(1 << 8 * rank + file)
            file, rank = file + right, rank + up
    return ways


def _rank_attacks() -> Array:
    """uint8 ``[8, 64]``: what a rook attacks along its rank, by its file and which of files b to g are occupied."""
    attacks = np.zeros((8, 64), dtype=np.uint8)
    for file in range(8):
        for occupied in range(64):
            for step in (-1, 1):
                reached = file + step
                while 0 <= reached < 8:
                    attacks[file, occupied] |= 1 << reached
                    reached += step if not occupied << 1 >> reached & 1 else 8 * step
    return attacks


ONE = np.uint64(1)
NONE = np.uint64(0)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_TOP = np.uint64(1 << 63)
_NOT_A, _NOT_H = np.uint64(0xFEFEFEFEFEFEFEFE), np.uint64(0x7F7F7F7F7F7F7F7F)
_NOT_AB, _NOT_GH = np.uint64(0xFCFCFCFCFCFCFCFC), np.uint64(0x3F3F3F3F3F3F3F3F)
_THIRD, _LAST = np.uint64(0x0000000000FF0000), np.uint64(0xFF00000000000000)  # ranks
_LIGHT = np.uint64(0x55AA55AA55AA55AA)
_SWAP_8, _SWAP_16 = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_U1, _U2, _U7, _U8, _U9, _U16, _U32 = (np.uint64(shift) for shift in (1, 2, 7, 8, 9, 16, 32))
_UP, _UP_RIGHT, _UP_LEFT = _along(0, 1), _along(1, 1), _along(-1, 1)
_STRAIGHT = _UP | _along(0, -1) | _along(1, 0) | _along(-1, 0)
_SLANTED = _UP_RIGHT | _UP_LEFT | _along(1, -1) | _along(-1, -1)
_ON_RANK = _rank_attacks()
_KING_MOVES = np.bitwise_or.reduce([_along(right, up, 1) for right, up in AHEAD])
_KNIGHT_MOVES = np.bitwise_or.reduce([_along(right, up, 1) for right, up in JUMPS])
_KEPT = np.full(SQUARES, 15, dtype=np.int64)  # castling rights after a piece left or reached a square
_KEPT[[0, 4, 7, 56, 60, 63]] = (13, 12, 14, 7, 3, 11)


# ---- bits and attacks ------------------------------------------------------------------------------------------------


@njit(cache=True)
def bit(square: int) -> np.uint64:
    """The board with that square alone."""
    return ONE << np.uint64(square)


@njit(cache=True)
def signed(number: np.integer) -> int:
    """A whole number of whatever type as numba's int, so that sums with others stay whole."""
    return np.int64(number)  # pyright: ignore[reportReturnType]


@njit(cache=True)
def flip_ranks(bits: np.uint64) -> np.uint64:
    """The board with its first rank last (one instruction: the bytes in reverse)."""
    bits = (bits >> _U8) & _SWAP_8 | (bits & _SWAP_8) << _U8
    bits = (bits >> _U16) & _SWAP_16 | (bits & _SWAP_16) << _U16
    return bits >> _U32 | bits << _U32


@njit(cache=True)
def view(white: np.uint64, low: np.uint64, middle: np.uint64, high: np.uint64, seat: int) -> Position:
    """The position as ``seat`` sees it; ``white`` and the rest are as states hold them."""
    if seat == 0:
        return white, low, middle, high
    own = (low | middle | high) ^ white
    return flip_ranks(own), flip_ranks(low), flip_ranks(middle), flip_ranks(high)


@njit(cache=True)
def _clear(way: np.uint64, occupied: np.uint64) -> np.uint64:
    """The part of ``way``, which leads to higher squares, up to the first that is occupied."""
    blockers = way & occupied | _TOP
    return way & (blockers ^ (blockers - ONE))


@njit(cache=True)
def _slanted(square: int, occupied: np.uint64, flipped: np.uint64) -> np.uint64:
    """What a bishop attacks; ``flipped`` is ``occupied`` flipped, where ways down lead up."""
    up = _clear(_UP_LEFT[square], occupied) | _clear(_UP_RIGHT[square], occupied)
    return up | flip_ranks(_clear(_UP_LEFT[square ^ 56], flipped) | _clear(_UP_RIGHT[square ^ 56], flipped))


@njit(cache=True)
def _straight(square: int, occupied: np.uint64, flipped: np.uint64) -> np.uint64:
    """What a rook attacks."""
    rank = np.uint64(square & 56)
    row = np.uint64(_ON_RANK[square & 7, (occupied >> rank >> _U1) & np.uint64(63)])
    file = _clear(_UP[square], occupied) | flip_ranks(_clear(_UP[square ^ 56], flipped))
    return row << rank | file


@njit(cache=True)
def _jumps(knights: np.uint64) -> np.uint64:
    """What all these knights attack."""
    beside = (knights & _NOT_A) >> _U1 | (knights & _NOT_H) << _U1
    beyond = (knights & _NOT_AB) >> _U2 | (knights & _NOT_GH) << _U2
    return beside << _U16 | beside >> _U16 | beyond << _U8 | beyond >> _U8


@njit(cache=True)
def _strikes(pawns: np.uint64) -> np.uint64:
    """What all these pawns attack, upwards."""
    return (pawns & _NOT_A) << _U7 | (pawns & _NOT_H) << _U9


@njit(cache=True)
def _struck_from(bits: np.uint64) -> np.uint64:
    """Where pawns that attack one of ``bits`` upwards stand, or what pawns on ``bits`` attack downwards."""
    return (bits & _NOT_A) >> _U9 | (bits & _NOT_H) >> _U7


@njit(cache=True)
def _between(a: int, b: int, lines: Array) -> np.uint64:
    """The squares between two on a common one of ``lines``."""
    low, high = (a, b) if a < b else (b, a)
    return lines[a] & lines[b] & ((bit(high) - ONE) ^ (bit(low) - ONE)) & ~bit(low)


@njit(cache=True)
def checkers(position: Position) -> np.uint64:
    """The pieces that give check to the mover."""
    own, low, middle, high = position
    occupied = low | middle | high
    king = own & low & high
    home, flipped = lowest(king), flip_ranks(occupied)
    near = _KNIGHT_MOVES[home] & low & middle | _strikes(king) & low & ~(middle | high)
    slanted = _slanted(home, occupied, flipped) & middle & ~low
    return (near | slanted | _straight(home, occupied, flipped) & high & ~low) & ~own


# ---- moves -----------------------------------------------------------------------------------------------------------


@njit(cache=True)
def _danger(position: Position) -> np.uint64:
    """What the other side attacks, also through the mover's king."""
    own, low, middle, high = position
    occupied = low | middle | high
    theirs = occupied ^ own
    danger = _struck_from(theirs & low & ~(middle | high)) | _jumps(theirs & low & middle)
    danger |= _KING_MOVES[lowest(theirs & low & high)]
    occupied ^= own & low & high
    flipped = flip_ranks(occupied)
    sliders = theirs & middle & ~low
    while sliders:
        danger |= _slanted(lowest(sliders), occupied, flipped)
        sliders &= sliders - ONE
    sliders = theirs & high & ~low
    while sliders:
        danger |= _straight(lowest(sliders), occupied, flipped)
        sliders &= sliders - ONE
    return danger


@njit(cache=True)
def _add(squares: Array, targets: Array, end: int, square: int, reached: np.uint64) -> int:
    """Writes an entry, which the next overwrites if there is nothing to reach; the end of the entries."""
    squares[end], targets[end] = square, reached
    return end + 1 if reached else end


@njit(cache=True)
def _along_lines(home: int, snipers: np.uint64, own: np.uint64, lines: Array) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Of sliders that a king at ``home`` has in sight but for his own pieces: those that check him, the squares on
    which that ends, and the pieces that they pin."""
    checking = ending = pinned = NONE
    while snipers:
        sniper, slider = lowest(snipers), snipers ^ (snipers & (snipers - ONE))
        between = _between(home, sniper, lines)
        blockers = between & own
        if not blockers:
            checking |= slider
            ending |= between | slider
        elif not blockers & (blockers - ONE):
            pinned |= blockers
        snipers ^= slider
    return checking, ending, pinned


@njit(cache=True)
def _add_pawns(
    position: Position,
    home: int,
    allowed: np.uint64,
    slanted: np.uint64,
    straight: np.uint64,
    squares: Array,
    targets: Array,
    end: int,
) -> int:
    """Moves of pawns, of which ``slanted`` and ``straight`` are pinned."""
    own, low, middle, high = position
    occupied = low | middle | high
    pawns = own & low & ~(middle | high)
    while pawns:
        square, pawn = lowest(pawns), pawns ^ (pawns & (pawns - ONE))
        push = pawn << _U8 & ~occupied
        reached = (push | (push & _THIRD) << _U8 & ~occupied | _strikes(pawn) & occupied) & allowed
        if pawn & slanted:
            reached &= _SLANTED[home] & _SLANTED[square]
        elif pawn & straight:
            reached &= _STRAIGHT[home] & _STRAIGHT[square]
        end = _add(squares, targets, end, square, reached)
        pawns ^= pawn
    return end


@njit(cache=True)
def _add_en_passant(
    position: Position, home: int, near: np.uint64, en_passant: np.uint64, squares: Array, targets: Array, end: int
) -> int:
    """Captures en passant after which the king, in check from ``near`` by a knight or pawn, is not in check.

    Two pawns leave their rank at once, so lines may open that pins do not tell of.
    """
    own, low, middle, high = position
    pawns = _struck_from(en_passant) & own & low & ~(middle | high)
    taken = en_passant >> _U8
    while pawns:
        pawn = pawns ^ (pawns & (pawns - ONE))
        after = (low | middle | high) ^ pawn ^ taken ^ en_passant
        flipped = flip_ranks(after)
        seen = _slanted(home, after, flipped) & middle | _straight(home, after, flipped) & high
        if not (seen & ~low & ~own | near & ~taken):
            end = _add(squares, targets, end, lowest(pawn), en_passant)
        pawns ^= pawn
    return end


@njit(cache=True)
def _add_pieces(
    position: Position,
    home: int,
    allowed: np.uint64,
    slanted: np.uint64,
    straight: np.uint64,
    squares: Array,
    targets: Array,
    end: int,
) -> int:
    """Moves of knights and sliders, of which ``slanted`` and ``straight`` are pinned."""
    own, low, middle, high = position
    occupied = low | middle | high
    flipped = flip_ranks(occupied)
    knights = own & low & middle & ~(slanted | straight)
    while knights:
        square = lowest(knights)
        end = _add(squares, targets, end, square, _KNIGHT_MOVES[square] & allowed)
        knights &= knights - ONE
    sliders = own & middle & ~low & ~straight
    while sliders:
        square = lowest(sliders)
        line = _SLANTED[home] if bit(square) & slanted else _ALL
        end = _add(squares, targets, end, square, _slanted(square, occupied, flipped) & allowed & line)
        sliders &= sliders - ONE
    sliders = own & high & ~low & ~slanted
    while sliders:
        square = lowest(sliders)
        line = _STRAIGHT[home] if bit(square) & straight else _ALL
        end = _add(squares, targets, end, square, _straight(square, occupied, flipped) & allowed & line)
        sliders &= sliders - ONE
    return end


@njit(cache=True)
def find_targets(
    position: Position, castling: int, en_passant: np.uint64, squares: Array, targets: Array, start: int
) -> tuple[int, int, int]:
    """All legal moves, as bitboards: ``targets[k]`` is where the piece on ``squares[k]`` may go, never empty.

    Entries from ``start`` on are pawns', up to the first number returned; then en passant captures up to the second;
    then the other pieces', a queen having two, up to the third. Nothing is tried out: pieces that are pinned keep to
    their line, and in check only what ends it counts.
    """
    own, low, middle, high = position
    occupied = low | middle | high
    theirs = occupied ^ own
    flipped_theirs = flip_ranks(theirs)
    king = own & low & high
    home = lowest(king)
    near = (_KNIGHT_MOVES[home] & low & middle | _strikes(king) & low & ~(middle | high)) & theirs
    snipers = _slanted(home, theirs, flipped_theirs) & theirs & middle & ~low
    slanted_checks, slanted_ends, slanted = _along_lines(home, snipers, own, _SLANTED)
    snipers = _straight(home, theirs, flipped_theirs) & theirs & high & ~low
    straight_checks, straight_ends, straight = _along_lines(home, snipers, own, _STRAIGHT)
    checking = near | slanted_checks | straight_checks
    pawns_end = en_passant_end = end = start
    if not checking or not checking & (checking - ONE):  # not in double check
        allowed = ~own & (near | slanted_ends | straight_ends if checking else _ALL)
        pawns_end = _add_pawns(position, home, allowed, slanted, straight, squares, targets, start)
        en_passant_end = pawns_end
        if en_passant:
            en_passant_end = _add_en_passant(position, home, near, en_passant, squares, targets, pawns_end)
        end = _add_pieces(position, home, allowed, slanted, straight, squares, targets, en_passant_end)
    danger = _danger(position)
    reached = _KING_MOVES[home] & ~own & ~danger
    if castling & 3 and not checking:
        if castling & 1 and not (occupied | danger) & np.uint64(0x60):
            reached |= np.uint64(0x40)
        if castling & 2 and not (occupied & np.uint64(0x0E) | danger & np.uint64(0x0C)):
            reached |= np.uint64(0x04)
    end = _add(squares, targets, end, home, reached)
    return pawns_end, en_passant_end, end


@njit(cache=True)
def code_at(position: Position, square: int) -> int:
    """The code of the piece on a square; 0: none."""
    _, low, middle, high = position
    at = np.uint64(square)
    return signed((low >> at & ONE) | (middle >> at & ONE) << _U1 | (high >> at & ONE) << _U2)


@njit(cache=True)
def _put(code: int, bit: np.uint64, low: np.uint64, middle: np.uint64, high: np.uint64) -> Boards:
    if code & 1:
        low |= bit
    if code & 2:
        middle |= bit
    if code & 4:
        high |= bit
    return low, middle, high


@njit(cache=True)
def play(
    position: Position, castling: int, en_passant: np.uint64, square: int, target: int, promotion: int
) -> tuple[Position, int, np.uint64]:
    """The position, rights and en passant bit after a move, as the next player sees them.

    A pawn that reaches the last rank becomes a queen unless ``promotion`` is another code. The en passant bit is set
    where a pawn stands beside one that went two squares; whether it may legally take is for ``find_targets`` to say.
    """
    own, low, middle, high = position
    code, left, reached = code_at(position, square), bit(square), bit(target)
    gone, next_en_passant = left | reached, NONE
    if code == PAWN:
        if reached == en_passant:
            gone |= reached >> _U8
        if target >= 56:
            code = promotion if promotion else QUEEN
        beside = (reached & _NOT_A) >> _U1 | (reached & _NOT_H) << _U1
        if target - square == 16 and beside & ~own & low & ~(middle | high):
            next_en_passant = flip_ranks(left << _U8)
    kept = ~gone
    own = own & kept | reached
    low, middle, high = _put(code, reached, low & kept, middle & kept, high & kept)
    if code == KING and abs(target - square) == 2:
        hop = np.uint64(0xA0) if target > square else np.uint64(0x09)  # the rook's way
        own ^= hop
        high ^= hop
    castling &= _KEPT[square] & _KEPT[target]
    own = flip_ranks((low | middle | high) ^ own)
    return (
        (own, flip_ranks(low), flip_ranks(middle), flip_ranks(high)),
        castling >> 2 | (castling & 3) << 2,
        next_en_passant,
    )


@njit(cache=True)
def undo(position: Position, entry: int, by_own: bool) -> Position:
    """The position before a move, from the same side; ``entry`` as ``_remember`` packs it, squares as that side's."""
    own, low, middle, high = position
    square, target, captured, special = entry & 63, entry >> 6 & 63, entry >> 12 & 7, entry & SPECIAL
    code, left, reached = code_at(position, target), bit(square), bit(target)
    promoted = special != 0 and not 8 <= target < 56
    kept = ~reached
    own, low, middle, high = own & kept, low & kept, middle & kept, high & kept
    low, middle, high = _put(PAWN if promoted else code, left, low, middle, high)
    own |= left if by_own else NONE
    if captured:
        taken = bit(square & 56 | target & 7) if special and not promoted else reached
        low, middle, high = _put(captured, taken, low, middle, high)
        own |= NONE if by_own else taken
    if code == KING and abs(target - square) == 2:
        hop = (np.uint64(0xA0) if target > square else np.uint64(0x09)) << np.uint64(square & 56)
        own ^= hop if by_own else NONE
        high ^= hop
    return own, low, middle, high


@njit(cache=True)
def take_back(boards: Array, entry: int, by_white: bool) -> None:
    """``undo`` in place, for ``boards`` as states hold them."""
    position = undo((boards[0], boards[1], boards[2], boards[3]), entry, by_white)
    boards[0], boards[1], boards[2], boards[3] = position


@njit(cache=True)
def checkers_of(boards: Array, seat: int) -> np.uint64:
    """The pieces that give check to ``seat``, as it sees them, for ``boards`` as states hold them."""
    return checkers(view(boards[0], boards[1], boards[2], boards[3], seat))


@njit(cache=True)
def count_leaves(
    position: Position, castling: int, en_passant: np.uint64, depth: int, squares: Array, targets: Array
) -> int:
    """How many sequences of ``depth`` legal moves there are; the arrays have ``ROOM * depth`` places."""
    start = ROOM * (depth - 1)
    pawns_end, _, end = find_targets(position, castling, en_passant, squares, targets, start)
    total = 0
    if depth == 1:
        for k in range(start, end):
            total += popcount(targets[k])
        for k in range(start, pawns_end):
            total += 3 * popcount(targets[k] & _LAST)
        return total
    for k in range(start, end):
        reached = targets[k]
        while reached:
            target = lowest(reached)
            for promotion in range(4 if k < pawns_end and target >= 56 else 1):
                after = play(position, castling, en_passant, squares[k], target, PROMOTIONS[promotion])
                total += count_leaves(after[0], after[1], after[2], depth - 1, squares, targets)
            reached &= reached - ONE
    return total


@njit(cache=True)
def cannot_mate(position: Position) -> bool:
    """Whether no moves lead to mate for want of material: one knight or bishop in all, or bishops on one colour."""
    _, low, middle, high = position
    if high & ~low or low & ~(middle | high):  # rooks and queens, pawns
        return False
    knights, bishops = low & middle, middle & ~low
    if knights:
        return popcount(knights | bishops) == 1
    return not (bishops & _LIGHT and bishops & ~_LIGHT)
