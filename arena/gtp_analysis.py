"""What ``lz-analyze`` and ``kata-analyze`` ask for, and what they are told.

``lz-analyze`` and ``kata-analyze`` (``[color] [interval] [maxmoves n] [allow|avoid color vertices plies]``) tell of the
search, every ``interval`` hundredths of a second, until the next command; ``lz-genmove_analyze`` and
``kata-genmove_analyze`` do until there is a move. There is no estimate of the score or of ownership, so words that ask
for such things are passed over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agents.search import Line
from arena.engine import Position
from games import Game, ParseError
from games.notation import parse_vertex, vertex

COLOR_WORDS = {"b": 0, "black": 0, "w": 1, "white": 1}
"""GTP's colours, in small letters, and their seats."""

_Z = 1.96


@dataclass(frozen=True)
class Request:
    """What an analysis is to tell.

    Attributes:
        seat: whose move is looked for.
        interval: seconds between two reports.
        most: how many moves.
        allowed: the only ones to look at; None = all.
    """

    seat: int
    interval: float = math.inf
    most: int = 64
    allowed: tuple[int, ...] | None = None


def read_request(game: Game, position: Position, seat: int, words: list[str]) -> Request:
    """Reads what follows the colour of an analysis command for ``position``, where ``seat`` is to move.

    Raises:
        ArenaError: a number or a vertex that is none, or no legal move is left to look at.
    """
    numbers = {"interval": 100, "maxmoves": 64}
    legal = set(map(int, game.legal_action_mask(position.states)[0].nonzero()[0]))
    allowed: set[int] | None = None
    if words and words[0].isdecimal():
        words = ["interval", *words]
    while words:
        word = words[0].lower()
        if word in ("allow", "avoid") and len(words) >= 4:
            points = {parse_vertex(game, position.state, point) for point in words[2].split(",")}
            if read_color(words[1:]) == seat:
                allowed = (allowed or set()) | points if word == "allow" else (allowed or legal) - points
            words = words[4:]
            continue
        if word in numbers:
            numbers[word] = read_integer(words, 1, f"{word} needs a whole number")
        words = words[2:]  # a name and its value, whether we know it or not
    if allowed is not None and not allowed & legal:
        raise ParseError("no legal move is left to look at")
    only = None if allowed is None else tuple(sorted(allowed & legal))
    return Request(seat, max(numbers["interval"] / 100, 0.01), max(numbers["maxmoves"], 1), only)


def analysis_line(game: Game, position: Position, lines: Sequence[Line], style: str) -> str:
    """One line about the best moves, in Leela Zero's way (``lz``) or KataGo's (``kata``)."""
    parts = []
    for order, line in enumerate(lines):
        rate = (1 + (0.0 if math.isnan(line.value) else line.value)) / 2
        low = max(rate - _Z * math.sqrt(max(rate * (1 - rate), 0.01) / max(line.visits, 1)), 0.0)
        numbers = {"visits": str(line.visits)}
        if style == "lz":
            shown = {"winrate": rate, "prior": line.prior, "lcb": low}
            numbers |= {name: str(round(10_000 * share)) for name, share in shown.items()}
        else:
            shown = {"utility": 2 * rate - 1, "winrate": rate, "prior": line.prior, "lcb": low}
            numbers |= {name: f"{share:.6f}" for name, share in shown.items()}
        numbers["order"] = str(order)
        words, at = [], position
        for action in line.moves:
            words.append(vertex(game, at.state, action))
            at = at.after(game, action)
        facts = " ".join(f"{name} {number}" for name, number in numbers.items())
        parts.append(f"info move {words[0]} {facts} pv {' '.join(words)}")
    return " ".join(parts)


def read_color(words: list[str]) -> int:
    """The seat that the first of ``words`` names. Raises ParseError."""
    if not words or words[0].lower() not in COLOR_WORDS:
        raise ParseError("a colour is black or white")
    return COLOR_WORDS[words[0].lower()]


def read_integer(words: list[str], at: int, complaint: str) -> int:
    """A whole number, also written with a point. Raises ParseError, with this complaint."""
    try:
        return int(float(words[at]))
    except (IndexError, ValueError, OverflowError):
        raise ParseError(complaint) from None
