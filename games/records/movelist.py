"""The arena's own move list: any game, one per line, easy to read, to search and to write by hand.

    # game | result | moves | more, as JSON
    connect_four | 1-0 | 4 4 4 4 4 2 3 3 5 2 6
    hex_11x11:swap=true | 0-1 | c2 swap f6 e7 | {"end": "resignation", "players": ["Ada", "Bob"]}

The game is what ``games.make`` takes; the result is ``1-0`` (the first seat won), ``0-1``, ``1/2-1/2``,
``*`` (not known) or the returns by seat with commas between; moves are as the game writes them. The JSON object, which
may be missing, has the other fields of ``GameRecord`` by their names. Empty lines and those that begin with ``#`` are
skipped. Files end in ``.moves``.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from games.core import ArenaError, EndReason, UnknownNameError
from games.records.core import (
    GameRecord,
    Parsed,
    RecordError,
    end_of,
    game_of,
    game_text,
    parse_result,
    result_text,
)
from games.records.files import MAX_GAME_BYTES
from games.registry import unknown_name

HEADER = "# game | result | moves | more, as JSON\n"
_SEPARATOR = " | "


def parse(stream: BinaryIO, source: str, **options: object) -> Parsed:
    """The games of ``stream``, in order; ``options`` are the game's, and override those of the lines."""
    number = 0
    while True:
        try:
            line = stream.readline(MAX_GAME_BYTES)
        except RecordError as error:
            yield RecordError(error.what, source=source)
            return
        if not line:
            return
        line = line.removeprefix(codecs.BOM_UTF8)
        if not line.endswith(b"\n") and len(line) == MAX_GAME_BYTES:
            yield RecordError(f"a line is longer than {MAX_GAME_BYTES:,} bytes", source=source, number=number + 1)
            return
        if not line.strip() or line.startswith(b"#"):
            continue
        number += 1
        try:
            yield _record(line.decode(), source, number, options)
        except UnicodeDecodeError:
            yield RecordError("it is not text in UTF-8", source=source, number=number)
        except RecordError as error:
            yield RecordError(error.what, source=source, number=number, ply=error.ply)
        except ArenaError as error:
            yield RecordError(str(error), source=source, number=number)


def loads(line: str) -> GameRecord:
    """The game of one line. Raises ArenaError, saying what is wrong with it."""
    return _record(line, "", 0, {})


def _record(line: str, source: str, number: int, options: dict[str, object]) -> GameRecord:
    name, *parts = (part.strip() for part in line.split("|", 3))
    if len(parts) < 2:
        raise RecordError(f"{line.strip()[:80]!r} is no game; a line is 'game | result | moves', perhaps '| {{JSON}}'")
    name = game_text(name, **options)
    game = game_of(name)
    more = _more(parts[2]) if len(parts) == 3 else {}
    states = game.parse_state(more["start"]) if more.get("start") else game.init(1)
    moves: list[int] = []
    for word in parts[1].split():
        try:
            moves.append(game.parse_action(states[0], word))
            game.step_unchecked(states, np.array(moves[-1:]))  # it is legal, for it was understood
        except ArenaError as error:
            raise RecordError(str(error), ply=len(moves)) from error
    returns = parse_result(parts[0], game.spec.num_players)
    more.setdefault("end", end_of(returns))
    more.setdefault("players", ("",) * game.spec.num_players)
    if len(more["players"]) != game.spec.num_players:
        raise RecordError(f"there are {len(more['players'])} players, but {game.spec.name} has {game.spec.num_players}")
    return GameRecord(game=name, moves=np.array(moves, np.int32), returns=returns, source=source, number=number, **more)


def _more(text: str) -> dict[str, Any]:
    """The fields that the JSON object gives, each checked to be what it should."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"what follows the moves is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise RecordError("what follows the moves is not a JSON object, {…}")
    for key, value in given.items():
        if key not in _FIELDS:
            raise UnknownNameError(unknown_name("field", key[:80], _FIELDS))
        if not _FIELDS[key](value):
            raise RecordError(f"the field {key} is {json.dumps(value)[:80]}; {_EXPECTED[key]}")
    if given.get("end"):
        given["end"] = EndReason[given["end"].upper()]
    if "evaluations" in given:
        values = [math.nan if value is None else value for value in given["evaluations"]]
        given["evaluations"] = np.array(values, np.float32)
    for key in ("comments", "players"):
        if key in given:
            given[key] = tuple(given[key])
    return given


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_evaluations(value: object) -> bool:
    return isinstance(value, list) and all(
        item is None or (type(item) in (int, float) and abs(item) <= 1) for item in value
    )


_ENDS = tuple(reason.name.lower() for reason in EndReason)
_FIELDS: dict[str, Callable[[object], bool]] = {
    "start": _is_text,
    "end": lambda value: value is None or value in _ENDS,
    "end_text": _is_text,
    "players": _are_texts,
    "tags": lambda value: isinstance(value, dict) and all(map(_is_text, value.values())),
    "comments": _are_texts,
    "evaluations": _are_evaluations,
}
_EXPECTED = {
    "start": "give a position as the game writes it",
    "end": f"give {', '.join(_ENDS)} or null",
    "end_text": "give a text",
    "players": "give a list of names by seat",
    "tags": "give an object of texts",
    "comments": "give a list of texts, one before the first move and one after each",
    "evaluations": "give a list of numbers from -1 to 1, or null, one for each move",
}


# ---- writing -----------------------------------------------------------------------------------------------------


def to_bytes(records: Iterable[GameRecord]) -> Iterator[bytes]:
    """The records as a move list, one piece of it per game."""
    yield HEADER.encode()
    for record in records:
        yield f"{dumps(record)}\n".encode(errors="replace")


def dumps(record: GameRecord) -> str:
    """One game as one line. Raises RecordError where a move is illegal."""
    game = game_of(record.game)
    states = game.init(1) if not record.start else game.parse_state(record.start)
    words: list[str] = []
    for ply, action in enumerate(record.moves.tolist()):
        try:
            words.append(game.action_to_string(states[0], action) if 0 <= action < game.spec.num_actions else "")
            game.step(states, [action])
        except ArenaError as error:
            raise record.error(str(error), ply) from error
        if len(words[-1].split()) != 1 or "|" in words[-1]:
            raise record.error(f"a move list cannot hold the move {words[-1]!r}", ply)
    evaluations = [] if record.evaluations is None else record.evaluations
    fields = {
        "start": record.start,
        "end": record.end and record.end.name.lower(),
        "end_text": record.end_text,
        "players": list(record.players) if any(record.players) else [],
        "tags": record.tags,
        "comments": list(record.comments),
        "evaluations": [None if np.isnan(value) else float(str(value)) for value in evaluations],
    }
    more = {key: value for key, value in fields.items() if value}
    if record.end is end_of(record.returns):
        more.pop("end", None)
    elif record.end is None:
        more["end"] = None
    parts = [record.game, result_text(record.returns), " ".join(words)]
    return _SEPARATOR.join([*parts, json.dumps(more, ensure_ascii=False)] if more else parts)
