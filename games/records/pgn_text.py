"""The grammar of PGN: from bytes to games whose moves are still words. ``games.records.pgn`` understands them."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from games.records.core import NO_RESULT, RecordError
from games.records.files import MAX_GAME_BYTES

# So that no file makes more objects of a game than memory has room for.
_MOST_TAGS, _MOST_MOVES = 1000, 1 << 15

_CHESS = {"", "chess", "standard", "normal", "orthodox", "classical", "from position"}
_TAG = re.compile(r'\s*\[\s*(\w+)\s*"((?:[^"\\\n]|\\.)*)"\s*\]', re.ASCII)
_LOOSE_TAG = re.compile(r'\s*\[\s*(\w+)\s+"(.*)"\s*\][ \t]*$', re.ASCII | re.MULTILINE)  # quotes in quotes
_TOKEN = re.compile(
    r"""  \{ ([^}]*) \}                                # 1: a comment
        | ; ([^\n]*)                                   # 2: a comment to the end of the line
        | ([()])                                       # 3: a variation begins or ends
        | (1-0 | 0-1 | 1/2(?:-1/2)? | \*) (?![^\s;{(]) # 4: a result
        | (\$ \d+ | \d+ \s* \.+ | \.+)                 # 5: a NAG, the number of a move
        | ([^\s{}();$]+)                               # 6: a move
        | (\S)                                         # 7: nothing that belongs here
    """,
    re.VERBOSE | re.ASCII,
)
_COMMENT, _LINE_COMMENT, _BRACKET, _RESULT, _NUMBER, _MOVE, _NOTHING = range(1, 8)


@dataclass
class RawGame:
    """One game as its text has it.

    Attributes:
        tags: the tag pairs.
        words: the moves of the main line.
        comments: to the main line, by how many moves stand before.
        result: what ends the moves; ``*`` also where nothing does.
    """

    tags: dict[str, str]
    words: list[str] = field(default_factory=list)
    comments: dict[int, list[str]] = field(default_factory=dict)
    result: str = NO_RESULT


def raw_games(stream: BinaryIO) -> Iterator[RawGame | RecordError]:
    """The games of ``stream``, in order, an error in the place of a broken one."""
    for block in _blocks(stream):
        if isinstance(block, RecordError):
            yield block
        else:
            yield from _games(block)


def is_chess(tags: dict[str, str]) -> bool:
    """Whether the tags speak of chess, or of no game at all."""
    return tags.get("Variant", "").strip().lower().partition(":")[0] in _CHESS


def _blocks(stream: BinaryIO) -> Iterator[str | RecordError]:
    """The text cut where a tag section follows moves or a blank line, so that each piece is one game or a few."""
    # Latin-1 maps bytes to characters one to one: what the text really is encoded in is asked of each piece.
    text = io.TextIOWrapper(stream, encoding="latin-1", newline=None)
    lines: list[str] = []
    size, has_moves, in_comment, after_blank, is_start = 0, False, False, True, True
    while True:
        try:
            line = text.readline(MAX_GAME_BYTES)
        except RecordError as error:  # the file breaks off, and the game with it
            yield error
            return
        if is_start and (line.startswith(("\xff\xfe", "\xfe\xff")) or "\0" in line):
            yield RecordError("this is not text in UTF-8 or Latin-1 (perhaps UTF-16); save it as UTF-8")
            return
        line = line.replace("\0", " ")  # programs in C leave some behind
        line = line.removeprefix("\xef\xbb\xbf") if is_start else line
        is_start = False
        if not line:
            yield from _block(lines)
            return
        if not in_comment and line.startswith("%"):
            continue
        opens_tag = line.lstrip().startswith("[")
        if opens_tag and (after_blank or (has_moves and not in_comment)) and (not in_comment or _TAG.match(line)):
            yield from _block(lines)
            lines, size, has_moves, in_comment = [], 0, False, False
        after_blank = not line.strip()
        size += len(line)
        if size > MAX_GAME_BYTES:
            if lines:
                yield RecordError(f"the game is longer than {MAX_GAME_BYTES:,} bytes")
            lines = []
            continue
        lines.append(line)
        if not opens_tag or in_comment:
            has_moves = has_moves or not after_blank
            in_comment = _ends_in_comment(line, in_comment)


def _block(lines: list[str]) -> Iterator[str]:
    if any(line.strip() for line in lines):
        text = "".join(lines)
        with contextlib.suppress(UnicodeDecodeError):  # then Latin-1 it is, as the standard says
            text = text.encode("latin-1").decode("utf-8")
        yield text


def _ends_in_comment(line: str, inside: bool) -> bool:
    at = 0
    while True:
        if inside:
            at = line.find("}", at) + 1
            if not at:
                return True
        brace, semicolon = line.find("{", at), line.find(";", at)
        if brace < 0 or 0 <= semicolon < brace:
            return False
        at, inside = brace + 1, True


def _games(block: str) -> Iterator[RawGame | RecordError]:
    """The games of a piece: one with its tags, and those that follow it without any; an error in the place of a broken
    one is the last."""
    try:
        tags, at = _tags_of(block)
        yield from _games_after(block, at, tags)
    except RecordError as error:
        yield error


def _tags_of(block: str) -> tuple[dict[str, str], int]:
    """The tags, and where the moves begin."""
    tags: dict[str, str] = {}
    at = 0
    while tag := _TAG.match(block, at) or _LOOSE_TAG.match(block, at):
        name, value = tag[1], re.sub(r"\\(.)", r"\1", tag[2])
        if tags.setdefault(name, value) != value:
            raise RecordError(f"the tag {name} stands there twice, {tags[name][:80]!r} and {value[:80]!r}")
        if len(tags) > _MOST_TAGS:
            raise RecordError(f"it has more than {_MOST_TAGS:,} tags")
        at = tag.end()
    return tags, at


def _games_after(block: str, at: int, tags: dict[str, str]) -> Iterator[RawGame]:
    raw, depth, ended, in_chess = RawGame(tags), 0, not tags, is_chess(tags)
    for token in _TOKEN.finditer(block, at):
        kind = token.lastindex or 0
        if kind == _BRACKET:
            depth += 1 if token[_BRACKET] == "(" else -1
            if depth < 0:
                raise RecordError("a variation ends that never began", ply=len(raw.words))
        elif kind == _NOTHING:
            what = {"{": "a comment begins that never ends", "}": "a comment ends that never began"}
            raise RecordError(what.get(token[0], f"{token[0]!r} does not belong there"), ply=len(raw.words))
        elif depth:
            continue
        elif kind == _MOVE:
            if in_chess and (token[_MOVE].isdecimal() or token[_MOVE] == "e.p."):
                continue  # the number of a move without its dot
            raw.words.append(token[_MOVE])
            ended = False
            if len(raw.words) > _MOST_MOVES:
                raise RecordError(f"it has more than {_MOST_MOVES:,} moves")
        elif kind == _RESULT:
            raw.result = token[_RESULT]
            yield raw
            raw, ended, in_chess = RawGame({}), True, True
        elif kind != _NUMBER and (comment := " ".join(token[kind].split())):
            raw.comments.setdefault(len(raw.words), []).append(comment)
    if depth:
        raise RecordError("a variation begins that never ends", ply=len(raw.words))
    if not ended:
        yield raw
