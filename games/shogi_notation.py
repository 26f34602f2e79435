"""How shogi is written: SFEN for positions, USI for moves, and what the two have in common with the rules.

A square is ``9 * row + column`` as black, who moves first and plays upwards, sees the board: row 0 is rank ``a``,
column 0 is file 9. A piece on a square is its kind, and 16 more if it is white's; 0 is an empty square. The kinds are
numbered so that promotion adds 8 and a captured piece goes to hand as ``kind & 7``.

A move is ``target + (source << 7) + (promotes << 14)``; the source of a drop is ``HAND + kind``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from games.core import Array, ParseError

SIZE = 9
SQUARES = SIZE * SIZE
PAWN, LANCE, KNIGHT, SILVER, BISHOP, ROOK, GOLD, KING = range(1, 9)
PROMOTED = 8  # what promotion adds to a kind
HORSE, DRAGON = BISHOP + PROMOTED, ROOK + PROMOTED
KINDS = 15  # 1 … 14, and 0 for none
HAND = 80
WHITE = 16  # what makes a piece white's
LETTERS = " PLNSBRGK"  # by kind
KANJI = " 歩香桂銀角飛金玉と杏圭全馬竜"
IN_THE_SET = (0, 18, 4, 4, 4, 2, 2, 4, 2)  # by kind, both players together
START = "lnsgkgsnl/1r5b1/ppppppppp/9/9/9/PPPPPPPPP/1B5R1/LNSGKGSNL b - 1"
_HAND_ORDER = (ROOK, BISHOP, GOLD, SILVER, KNIGHT, LANCE, PAWN)  # as SFEN has it
_NAMES = ("", "pawns", "lances", "knights", "silvers", "bishops", "rooks", "golds", "kings")
_SIDES = ("black", "white")


@dataclass(frozen=True)
class Placement:
    """What one SFEN says.

    Attributes:
        squares: int8 ``[81]``, the pieces.
        hands: int8 ``[2, 8]``, pieces in hand by seat and kind.
        seat: who is to move; 0 is black.
        number: the number of the move to come, from 1.
    """

    squares: Array
    hands: Array
    seat: int
    number: int


# ---- moves -----------------------------------------------------------------------------------------------------------


def square_name(square: int) -> str:
    """A file, 9 to 1 from the left, and a rank, a to i from the top: ``7g``."""
    return f"{SIZE - square % SIZE}{'abcdefghi'[square // SIZE]}"


def format_usi(move: int) -> str:
    """``7g7f``, ``8h2b+`` or ``P*5e``."""
    target, source = square_name(move & 127), move >> 7 & 127
    if source >= SQUARES:
        return f"{LETTERS[source - HAND]}*{target}"
    return f"{square_name(source)}{target}{'+' * (move >> 14)}"


def parse_usi(text: str) -> int:
    """The inverse of ``format_usi``; -1 where ``text`` is no move.

    Capitals do not matter, ``=`` at the end says that the piece does not promote, and a drop may be written with ``@``.
    """
    word = text.strip().upper()
    if drop := re.fullmatch("([PLNSBRG])[*@]([1-9][A-I])", word, re.ASCII):
        return _square(drop[2]) | (HAND + LETTERS.index(drop[1])) << 7
    if move := re.fullmatch("([1-9][A-I])([1-9][A-I])([+=]?)", word, re.ASCII):
        return _square(move[2]) | _square(move[1]) << 7 | (move[3] == "+") << 14
    return -1


def _square(name: str) -> int:
    return SIZE * (ord(name[1]) - ord("A")) + SIZE - int(name[0])


# ---- positions -------------------------------------------------------------------------------------------------------


def piece_name(piece: int) -> str:
    """``P`` for a black pawn, ``p`` for a white one, ``+p`` once it is promoted."""
    kind = piece % WHITE
    letter = LETTERS[kind if kind <= KING else kind - PROMOTED]
    return "+" * (kind > KING) + (letter.lower() if piece >= WHITE else letter)


def format_hand(hand: Array, *, white: bool) -> str:
    """Pieces in hand, ``[8]`` by kind, as SFEN writes them: ``RB2P``."""
    text = "".join((str(hand[kind]) if hand[kind] > 1 else "") + LETTERS[kind] for kind in _HAND_ORDER if hand[kind])
    return text.lower() if white else text


def format_sfen(placement: Placement) -> str:
    """The inverse of ``parse_sfen``."""
    rows = []
    for row in placement.squares.reshape(SIZE, SIZE):
        marks = "".join(piece_name(int(piece)) if piece else "." for piece in row)
        rows.append(re.sub(r"\.+", lambda run: str(len(run[0])), marks))
    hands = format_hand(placement.hands[0], white=False) + format_hand(placement.hands[1], white=True)
    return f"{'/'.join(rows)} {'bw'[placement.seat]} {hands or '-'} {placement.number}"


def parse_sfen(text: str) -> Placement:
    """Reads the pieces, who is to move, the hands and the number of the move (1 where it is left out).

    Raises:
        ParseError: with the reason alone, as part of a sentence: wrong syntax, more pieces than a set has, not one king
            each, two unpromoted pawns of a player on a file, or a piece that could never move.
    """
    fields = text.split()
    if len(fields) not in (3, 4) or fields[1] not in ("b", "w"):
        raise ParseError("give the rows from the top, b or w to move, the pieces in hand or '-', and the move's number")
    number = fields[3] if len(fields) == 4 else "1"
    if not re.fullmatch("[1-9][0-9]{0,4}", number, re.ASCII):
        raise ParseError("the number of the move is not 1 or more")
    squares = _parse_board(fields[0])
    placement = Placement(squares, _parse_hands(fields[2]), "bw".index(fields[1]), int(number))
    _check_pieces(placement)
    return placement


def _parse_board(text: str) -> Array:
    if len(rows := text.split("/")) != SIZE:
        raise ParseError(f"it has {len(rows)} rows instead of {SIZE}")
    squares = []
    for row, rank in zip(rows, "abcdefghi", strict=True):
        if not re.fullmatch(r"(\+?[PLNSBRplnsbr]|[GKgk1-9])+", row, re.ASCII):
            raise ParseError(f"rank {rank} is not made of pieces PLNSGBRK, + before one that promotes, and empty runs")
        line = []
        for mark in re.findall(r"\+?[A-Za-z]|[1-9]", row, re.ASCII):
            if mark.isdigit():
                line += [0] * int(mark)
            else:
                kind = LETTERS.index(mark[-1].upper()) + PROMOTED * (len(mark) == 2)
                line.append(kind + WHITE * mark[-1].islower())
        if len(line) != SIZE:
            raise ParseError(f"rank {rank} has {len(line)} squares instead of {SIZE}")
        squares += line
    return np.array(squares, dtype=np.int8)


def _parse_hands(text: str) -> Array:
    hands = np.zeros((2, 8), dtype=np.int8)
    if text == "-":
        return hands
    if not re.fullmatch("([1-9]?[0-9]?[PLNSBRGplnsbrg])+", text, re.ASCII):
        raise ParseError("the pieces in hand are not letters PLNSGBR with counts before them, or '-' for none")
    for count, letter in re.findall("([0-9]*)([A-Za-z])", text):
        seat, kind = int(letter.islower()), LETTERS.index(letter.upper())
        if hands[seat, kind] or count in ("0", "1"):
            raise ParseError("a kind of piece stands twice in a hand, or with a count below 2")
        if (pieces := int(count or 1)) > IN_THE_SET[kind]:
            raise ParseError(f"there are {pieces} {_NAMES[kind]} in hand, more than the {IN_THE_SET[kind]} of a set")
        hands[seat, kind] = pieces
    return hands


def _check_pieces(placement: Placement) -> None:
    kinds, white = placement.squares % WHITE, placement.squares >= WHITE
    for kind in range(PAWN, GOLD + 1):
        pieces = int((kinds == kind).sum() + placement.hands[:, kind].sum())
        pieces += int((kinds == kind + PROMOTED).sum()) if kind < GOLD else 0
        if pieces > IN_THE_SET[kind]:
            raise ParseError(f"there are {pieces} {_NAMES[kind]}, more than the {IN_THE_SET[kind]} of a set")
    for seat, side in enumerate(_SIDES):
        own = np.where(white == seat, kinds, 0).reshape(SIZE, SIZE)
        if (kings := int((own == KING).sum())) != 1:
            raise ParseError(f"{side} has {kings} kings instead of one")
        if ((own == PAWN).sum(axis=0) > 1).any():
            raise ParseError(f"{side} has two unpromoted pawns on one file")
        ahead = own if seat == 0 else own[::-1]
        if np.isin(ahead[0], (PAWN, LANCE, KNIGHT)).any() or (ahead[1] == KNIGHT).any():
            raise ParseError(f"{side} has a pawn, lance or knight where it could never move")
