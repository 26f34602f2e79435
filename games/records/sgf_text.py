"""The grammar of SGF: from bytes to the main line of each game. ``games.records.sgf`` understands it.

sgfmill reads the trees; what stands here cuts a stream into games, so that a file of any length is never held whole.
"""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from sgfmill import sgf_grammar

from games.records.core import RecordError
from games.records.files import MAX_GAME_BYTES

COLORS = ("B", "W")
"""The properties of the two seats' moves."""

_CODECS = re.compile(r"utf-8|ascii|iso8859-\d+|cp125\d|gb2312|gbk|gb18030|big5|cp9\d\d|shift_jis|euc_(jp|kr)|koi8-[ru]")
_CA = re.compile(rb"CA\s*\[([^\]]{1,40})\]")
_ROOT = re.compile(rb"^[ \t]*\(\s*;\s*(?:FF|GM|CA|AP|SZ|EV|PB|PW)\s*\[", re.MULTILINE)  # how no variation begins
_START = re.compile(rb"\(\s*;")
_DELIMITER = re.compile(rb"[\[()]")
_VALUE_END = re.compile(rb"[^\\\]]*+(?:\\.[^\\\]]*+)*+\]", re.DOTALL)
_CHUNK = 1 << 16
# So that no file makes more objects of a game than memory has room for.
_MOST = {b";": (1 << 18, "nodes"), b"[": (1 << 20, "values"), b"(": (1 << 16, "variations")}


@dataclass
class MainLine:
    """The main line of one game.

    Attributes:
        root: the properties of the root.
        setup: the stones set up before the first move: the seat by point, -1 where one is taken off again.
        to_play: the seat that PL puts on the move; None = it does not.
        moves: each move's seat and value as written.
        comments: by how many moves stand before.
        values: V by how many moves stand before.
    """

    root: dict[str, list[bytes]]
    setup: dict[bytes, int] = field(default_factory=dict)
    to_play: int | None = None
    moves: list[tuple[int, bytes]] = field(default_factory=list)
    comments: dict[int, str] = field(default_factory=dict)
    values: dict[int, bytes] = field(default_factory=dict)


def main_lines(stream: BinaryIO) -> Iterator[MainLine | RecordError]:
    """The main line of each game in ``stream``, in order, an error in the place of a broken game."""
    for piece in _pieces(stream):
        try:
            yield piece if isinstance(piece, RecordError) else parse_game(piece)
        except RecordError as error:
            yield error


def parse_game(data: bytes) -> MainLine:
    """The main line of the first game in ``data``. Raises RecordError."""
    for mark, (most, things) in _MOST.items():
        if data.count(mark) > most:
            raise RecordError(f"the game has more than {most:,} {things}")
    try:
        tree = sgf_grammar.parse_sgf_game(data)
    except ValueError as error:
        raise RecordError(f"it is not SGF: {error}") from error
    return _main_line(tree)


def text_of(value: bytes) -> str:
    """A value as text, in UTF-8 or else Latin-1, without SGF's escapes."""
    value = sgf_grammar.text_value(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _pieces(stream: BinaryIO) -> Iterator[bytes | RecordError]:
    """The bytes of each game; where CA names another encoding, in UTF-8."""
    buffer, start, at, depth = b"", 0, 0, 0  # the game being read begins at start, and is understood up to at
    decoder: codecs.IncrementalDecoder | None = None
    is_first = True
    while True:
        try:
            chunk = stream.read(max(_CHUNK, len(buffer) - start))  # twice as much, not to look at long values often
            if is_first and (charset := _CA.search(chunk[:4096])):
                decoder = _decoder(charset[1])
        except RecordError as error:
            yield error
            return
        is_first = False
        at_end = not chunk
        chunk = decoder.decode(chunk, at_end).encode() if decoder else chunk
        buffer, start, at = buffer[start:] + chunk, 0, at - start
        while match := _DELIMITER.search(buffer, at):
            if match[0] == b"[" and depth:
                if not (end := _VALUE_END.match(buffer, match.end())):
                    at = match.start()
                    break
                at = end.end()
            elif match[0] == b"(":
                start, depth, at = start if depth else match.start(), depth + 1, match.end()
            else:
                at = match.end()
                if match[0] == b")" and depth:
                    depth -= 1
                    if not depth:
                        if _START.search(buffer, start, at):
                            yield buffer[start:at]
                        start = at
        else:
            at = len(buffer)
            start = start if depth else at
        if at_end or len(buffer) - start > MAX_GAME_BYTES:
            # The game has no end: then it ends where something looks like the root of the next.
            if depth:
                yield from _cut(buffer[start:])
            if at_end:
                return
            buffer, start, at, depth = b"", 0, 0, 0


def _cut(data: bytes) -> Iterator[bytes]:
    """``data``, in which some game has no end, cut before everything that looks like the root of one."""
    roots = [0, *(match.start() for match in _ROOT.finditer(data) if match.start()), len(data)]
    for start, end in itertools.pairwise(roots):
        yield data[start:end]


def _decoder(charset: bytes) -> codecs.IncrementalDecoder | None:
    """What turns the bytes of that encoding into text; None for UTF-8, which needs none."""
    name = charset.decode("latin-1").strip()
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        codec = None
    if codec is None or not _CODECS.fullmatch(codec.name):
        raise RecordError(f"its encoding CA[{name}] is none that is known, such as UTF-8 or GB18030")
    return None if codec.name in ("utf-8", "ascii") else codec.incrementaldecoder("replace")


def _main_line(tree: sgf_grammar.Coarse_game_tree) -> MainLine:
    nodes = sgf_grammar.main_sequence_iter(tree)
    line = MainLine(tree.sequence[0])
    for node in nodes:
        for key, values in node.items():
            if key in COLORS:
                if len(values) != 1 or ("B" in node and "W" in node):
                    raise RecordError("there are several moves in one node", ply=len(line.moves))
                line.moves.append((COLORS.index(key), values[0].strip()))
            elif key in ("AB", "AW", "AE", "PL"):
                if line.moves:
                    raise RecordError(f"{key} changes the board or the turn after the first move", ply=len(line.moves))
                _set_up(line, key, values)
        # Comments and values speak of the position after the node's move.
        if "C" in node and (comment := "\n".join(map(text_of, node["C"]))):
            line.comments[len(line.moves)] = comment
        if "V" in node:
            line.values[len(line.moves)] = node["V"][0]
    return line


def _set_up(line: MainLine, key: str, values: list[bytes]) -> None:
    if key == "PL":
        letter = values[0].strip().upper()[:1].decode("latin-1")
        if letter not in COLORS:
            raise RecordError(f"PL[{text_of(values[0])[:80]}] names no player; it is B or W")
        line.to_play = COLORS.index(letter)
        return
    for value in values:
        for point in _rectangle(value.strip()):
            line.setup[point] = {"AB": 0, "AW": 1, "AE": -1}[key]


def _rectangle(value: bytes) -> list[bytes]:
    """The points of ``aa`` or of the rectangle ``aa:cc``."""
    corners = value.split(b":")
    if len(corners) == 1:
        return corners
    if len(corners) != 2 or any(len(corner) != 2 or not corner.isalpha() for corner in corners):
        raise RecordError(f"{text_of(value)[:80]!r} is neither a point nor a rectangle of points")
    (left, top), (right, bottom) = corners
    return [bytes((column, row)) for row in range(top, bottom + 1) for column in range(left, right + 1)]
