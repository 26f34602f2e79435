"""Boards of two colours as text and as symmetries: what most games on a grid write, read, draw and turn alike."""

from __future__ import annotations

import re

import numpy as np

from games.core import Array, Symmetry

STONES = "xo"
"""The marks of the two seats."""


def write_board(board: Array) -> str:
    """Rows from the top, as in FEN: ``board`` int8 ``[H, W]`` holds seats, -1 being empty; ``3xo3/8`` for one of two
    rows. Numbers are runs of empty cells."""
    rows = ("".join("." if seat < 0 else STONES[seat] for seat in row) for row in board)
    return "/".join(re.sub(r"\.+", lambda run: str(len(run[0])), row) for row in rows)


def read_board(text: str, height: int, width: int) -> Array:
    """The inverse of ``write_board``: int8 ``[height, width]``.

    Raises:
        ValueError: says what is wrong.
    """
    rows = text.split("/")
    if len(rows) != height:
        raise ValueError(f"it has {len(rows)} rows instead of {height}")
    board = np.full((height, width), -1, dtype=np.int8)
    for number, row in enumerate(rows, start=1):
        parts = re.findall("[1-9][0-9]?|.", row, re.ASCII)
        for part in parts:
            if part not in STONES and not (re.fullmatch("[1-9][0-9]?", part, re.ASCII) and int(part) <= width):
                raise ValueError(f"{part!r} is neither x nor o nor a run of 1 to {width} empty cells")
        cells = "".join(part if part in STONES else "." * int(part) for part in parts)
        if len(cells) != width:
            raise ValueError(f"row {number} from the top has {len(cells)} cells instead of {width}")
        board[number - 1] = [STONES.find(cell) for cell in cells]
    return board


def draw_board(board: Array, last_cell: int, marks: tuple[str, str] | str) -> list[str]:
    """One line per row of ``board`` ``[H, W]``, three characters a cell, ``last_cell`` (``W * row + column``; -1: none)
    standing in brackets. ``marks`` are how the two seats' stones look."""
    lines = []
    for first, row in zip(range(0, board.size, board.shape[1]), board, strict=True):
        cells = enumerate(("." if seat < 0 else marks[seat] for seat in row), start=first)
        lines.append("".join(f"[{mark}]" if cell == last_cell else f" {mark} " for cell, mark in cells))
    return lines


def column_letters(width: int) -> str:
    """The heading that fits ``draw_board``."""
    return "".join(f" {chr(ord('a') + column)} " for column in range(width))


def read_point(text: str) -> tuple[int, int] | None:
    """A letter and a number, as in ``h8``, as (column from 0, number as written); None if it is anything else."""
    point = re.fullmatch("([a-z])([1-9][0-9]?)", text.strip().lower(), re.ASCII)
    return (ord(point[1]) - ord("a"), int(point[2])) if point else None


def square_symmetries(size: int, other_actions: int = 0) -> tuple[Symmetry, ...]:
    """The eight turns and mirror images of a square board whose actions are its cells, row by row, and after them
    ``other_actions``, such as a pass, that stay what they are."""
    cells = np.arange(size**2).reshape(size, size)
    others = np.arange(size**2, size**2 + other_actions)
    images = [np.rot90(board, turns).ravel() for board in (cells, cells.T) for turns in range(4)]
    return tuple(Symmetry(image, np.concatenate([image, others])) for image in images)
