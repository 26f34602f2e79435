"""Chess as text: FEN, and moves in standard algebraic notation (SAN) or as engines write them (UCI).

``games.chess`` puts it together with the rules. Squares are ``8 * rank + file`` as white sees them, a1 being 0; a board
is a string of its 64 squares from a1, pieces as in FEN and ``.`` where empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from games.chess_bitboards import KING, PAWN, SQUARES, checkers_of
from games.core import Array, ParseError

LETTERS = ".PBNRKQ"  # by code
START = f"RNBQKBNR{'P' * 8}{'.' * 32}{'p' * 8}rnbqkbnr"
MOST_CLOCK = 150  # plies without a capture or a pawn's move, after which FIDE ends every game
CASTLES = 7  # beside the codes of pieces: a king that castles
ALL_SQUARES = 0xFFFFFFFFFFFFFFFF
_RIGHTS = (
    ("K", "e1", "h1"),
    ("Q", "e1", "a1"),
    ("k", "e8", "h8"),
    ("q", "e8", "a8"),
)  # by bit; king's and rook's square
_FILE, _RANK = 0x0101010101010101, 0xFF
_SAN = re.compile(
    r"([KQRBN]?)([a-h]?)([1-8]?)[-x:]?([a-h])([1-8])(?:[=/]?\(?([QRBNqrbn])\)?)?(?: ?e\.?p\.?)?[+#!?]*", re.ASCII
)
_SAN_CASTLES = re.compile(r"[Oo0]-?[Oo0](-?[Oo0])?[+#!?]*", re.ASCII)


def square_name(square: int) -> str:
    """Such as ``e4``."""
    return f"{'abcdefgh'[square % 8]}{square // 8 + 1}"


def square_number(name: str) -> int:
    """The inverse of ``square_name``."""
    return "abcdefgh".index(name[0]) + 8 * (int(name[1]) - 1)


def board_text(boards: Array) -> str:
    """The board of ``boards``, uint64 ``[4]`` as states hold them."""
    white, low, middle, high = (int(board) for board in boards)
    codes = [(low >> s & 1) | (middle >> s & 1) << 1 | (high >> s & 1) << 2 for s in range(SQUARES)]
    return "".join(LETTERS[code] if white >> s & 1 else LETTERS[code].lower() for s, code in enumerate(codes))


def board_bits(board: str) -> Array:
    """The inverse of ``board_text``: white's pieces, then all by the three bits of their codes."""
    codes = [LETTERS.index(letter.upper()) for letter in board]
    planes = [[letter.isupper() for letter in board], *([code >> i & 1 for code in codes] for i in range(3))]
    return np.array([sum(1 << s for s, is_set in enumerate(plane) if is_set) for plane in planes], dtype=np.uint64)


# ---- FEN -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fen:
    """What FEN tells.

    Attributes:
        board: the 64 squares.
        to_play: 0, white, or 1.
        castling: 1, 2: white's right, king's and queen's side; 4, 8: black's.
        en_passant: the square that a pawn just passed; 0: none.
        clock: plies since the last capture or pawn's move.
        ply: plies since the start of the game.
    """

    board: str
    to_play: int
    castling: int
    en_passant: int
    clock: int
    ply: int

    def __str__(self) -> str:
        rows = "/".join(self.board[start : start + 8] for start in range(56, -1, -8))
        rights = "".join(letter for i, (letter, _, _) in enumerate(_RIGHTS) if self.castling >> i & 1)
        square = square_name(self.en_passant) if self.en_passant else "-"
        board = re.sub(r"\.+", lambda run: str(len(run[0])), rows)
        return f"{board} {'wb'[self.to_play]} {rights or '-'} {square} {self.clock} {self.ply // 2 + 1}"


def read_fen(text: str, max_plies: int) -> Fen:
    """Reads FEN, also without the count of plies or the number of the move, or both.

    Raises:
        ParseError: its message is the reason alone, such as "white has 2 kings".
    """
    fields = text.split()
    if not 4 <= len(fields) <= 6:
        raise ParseError("a FEN has board, side to move, castling, en passant and two counts, such as '… w KQkq - 0 1'")
    rows, side, rights, en_passant, clock, number = [*fields, *"01"[len(fields) - 4 :]]
    board = _read_rows(rows)
    if side not in ("w", "b"):
        raise ParseError(f"the side to move is {side[:20]!r}, not w or b")
    if not re.fullmatch(r"-|(?!.*(.).*\1)[KQkq]{1,4}", rights):
        raise ParseError(f"the castling rights are {rights[:20]!r}, not '-' or some of KQkq")
    if not re.fullmatch("-|[a-h][36]", en_passant):
        raise ParseError(f"the en passant square is {en_passant[:20]!r}, not '-' or one on rank 3 or 6")
    if not re.fullmatch("[0-9]{1,3}", clock, re.ASCII) or int(clock) > MOST_CLOCK:
        raise ParseError(f"the count of plies without progress is {clock[:20]!r}, not 0 to {MOST_CLOCK}")
    to_play = "wb".index(side)
    most = (max_plies - to_play) // 2 + 1
    if not re.fullmatch("[0-9]{1,5}", number, re.ASCII) or int(number) > most:
        raise ParseError(f"the number of the move is {number[:20]!r}, not 1 to {most}")
    passed = 0 if en_passant == "-" else square_number(en_passant)
    castling = sum(1 << i for i, (letter, _, _) in enumerate(_RIGHTS) if letter in rights)
    fen = Fen(board, to_play, castling, passed, int(clock), 2 * (max(int(number), 1) - 1) + to_play)
    if problem := _pieces_problem(fen) or _turn_problem(fen):
        raise ParseError(problem)
    return fen


def _read_rows(text: str) -> str:
    rows = text.split("/")
    if len(rows) != 8:
        raise ParseError(f"the board has {len(rows)} rows instead of 8")
    for rank, row in zip(range(8, 0, -1), rows, strict=True):
        if not re.fullmatch("[PBNRQKpbnrqk1-8]+", row) or re.search("[1-8]{2}", row):
            raise ParseError(f"rank {rank} is not made of PNBRQK, pnbrqk and runs of 1 to 8 empty squares")
        if (width := sum(int(mark) if mark.isdigit() else 1 for mark in row)) != 8:
            raise ParseError(f"rank {rank} has {width} squares instead of 8")
    return re.sub("[1-8]", lambda run: "." * int(run[0]), "".join(reversed(rows)))


def _pieces_problem(fen: Fen) -> str:
    """What is wrong with the pieces or the castling rights; empty if nothing is."""
    board = fen.board
    for side, letters in (("white", "PNBRQK"), ("black", "pnbrqk")):
        if (kings := board.count(letters[-1])) != 1:
            return f"{side} has {kings} kings"
        if board.count(letters[0]) > 8 or sum(board.count(letter) for letter in letters) > 16:
            return f"{side} has more than 8 pawns or more than 16 pieces"
    white, black = board.index("K"), board.index("k")
    if abs(white % 8 - black % 8) <= 1 and abs(white // 8 - black // 8) <= 1:
        return "the kings stand side by side"
    if {"P", "p"} & set(board[:8] + board[56:]):
        return "a pawn stands on the first or the last rank"
    for i, (right, king, rook) in enumerate(_RIGHTS):
        pieces = board[square_number(king)] + board[square_number(rook)]
        if fen.castling >> i & 1 and pieces != ("KR" if right.isupper() else "kr"):
            return f"castling right {right} needs its king on {king} and its rook on {rook}"
    return ""


def _turn_problem(fen: Fen) -> str:
    """What is wrong with the side to move or the en passant square; empty if nothing is. Checks that no move can have
    given are let through: suites that test move generators have them."""
    board, seat = fen.board, fen.to_play
    if int(checkers_of(board_bits(board), 1 - seat)):
        return "the side that is not to move is in check"
    if square := fen.en_passant:
        back = -8 if seat else 8  # to where the pawn came from
        around = board[square - back] + board[square] + board[square + back]
        if square // 8 != (2 if seat else 5) or around != "pP"[seat] + "..":
            return f"no pawn can just have passed {square_name(square)}"
    return ""


# ---- moves -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MoveText:
    """What a written move tells.

    Attributes:
        code: the piece that moves; ``CASTLES``; 0 if any may.
        sources: bits of the squares that it may come from, as white sees them.
        target: the square that it reaches, as white sees it; of castling, its file.
        promotion: the code of the piece that it becomes; 0: none.
    """

    code: int
    sources: int
    target: int
    promotion: int


def read_move(text: str) -> MoveText | None:
    """Reads a move in SAN, strict or not (``0-0``, ``e8Q``, ``Ng1-f3``, no check mark), or in UCI; None: in neither."""
    if match := _SAN.fullmatch(text):
        letter, file, rank, to_file, to_rank, promotion = match.groups()
        code = LETTERS.index(letter) if letter else 0 if file and rank else PAWN
        if code == PAWN and not file:
            file = to_file  # a pawn that captures names its file
        sources = _FILE << "abcdefgh".index(file) if file else ALL_SQUARES
        if rank:
            sources &= _RANK << 8 * (int(rank) - 1)
        promoted = LETTERS.index(promotion.upper()) if promotion else 0
        return MoveText(code, sources, square_number(to_file + to_rank), promoted)
    if match := _SAN_CASTLES.fullmatch(text):
        return MoveText(CASTLES, ALL_SQUARES, 2 if match[1] else 6, 0)
    return None


def write_uci(source: int, target: int, promotion: int) -> str:
    """Such as ``e7e8q``; ``promotion`` is a code, or 0."""
    return square_name(source) + square_name(target) + (LETTERS[promotion].lower() if promotion else "")


def write_san(code: int, source: int, target: int, promotion: int, captures: bool, rivals: list[int]) -> str:
    """SAN without check marks; ``rivals`` are the squares of other pieces of the same kind that may go there too."""
    if code == KING and abs(target - source) == 2:
        return "O-O" if target > source else "O-O-O"
    where, takes = square_name(source), "x" if captures else ""
    if code == PAWN:
        return f"{where[0] if captures else ''}{takes}{square_name(target)}" + (
            f"={LETTERS[promotion]}" * bool(promotion)
        )
    if all(rival % 8 != source % 8 for rival in rivals):
        where = where[0] if rivals else ""
    elif all(rival // 8 != source // 8 for rival in rivals):
        where = where[1]
    return f"{LETTERS[code]}{where}{takes}{square_name(target)}"
