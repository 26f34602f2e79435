"""PGN: Portable Game Notation (Edwards, 1994), for chess and, with a tag ``Variant``, for every game of the arena.

White is the seat that moves first. Without the tag the game is ``chess:claim_draws=false``, which is how people play,
and moves are SAN; ``[Variant "othello"]`` holds what ``games.make`` takes and moves are as that game writes them;
``[FEN "…"]`` holds the starting position as the game writes it. What the player of a move expected of it, in [-1, 1],
stands in its comment as ``[%value 0.31]``.

Read: tag pairs, comments in braces and after semicolons, NAGs and suffixes such as ``!?`` (dropped), variations
(skipped, however deep), lines after ``%`` (skipped), bytes in UTF-8 or else Latin-1, with any line ends. A blank line
and then a tag pair begin a new game even where a comment or a variation was left open.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from games.core import ArenaError, Array, EndReason, Game
from games.records.core import (
    NO_RESULT,
    RESULTS,
    GameRecord,
    Parsed,
    RecordError,
    end_of,
    game_of,
    game_text,
    parse_result,
    result_text,
)
from games.records.pgn_text import RawGame, is_chess, raw_games

ROSTER = ("Event", "Site", "Date", "Round", "White", "Black", "Result")
_OWN_TAGS = {"White", "Black", "Result", "Variant", "SetUp", "FEN", "Termination"}  # fields of the record instead
_PEOPLES_CHESS = "chess:claim_draws=false"
_UNKNOWN = {"", "?", "????.??.??", "-"}
_WIDTH = 80
_VALUE = re.compile(r"\[%value\s+([^\]\s]*)\s*\]")
_REASONS = {
    EndReason.RESIGNATION: "resign",
    EndReason.FORFEIT: "forfeit|time|rules|illegal|abandon|disconnect|stall",
    EndReason.TRUNCATED: "adjudicat|unterminated|truncat",
}
_TERMINATIONS = {
    EndReason.RESIGNATION: "resignation",
    EndReason.FORFEIT: "forfeit",
    EndReason.TRUNCATED: "unterminated",
}


# ---- reading -----------------------------------------------------------------------------------------------------


def parse(stream: BinaryIO, source: str, **options: object) -> Parsed:
    """The games of ``stream``, in order; ``options`` are the game's, and override those that a tag gives."""
    for number, raw in enumerate(raw_games(stream), start=1):
        try:
            if isinstance(raw, RecordError):
                raise raw
            yield _record(raw, source, number, options)
        except RecordError as error:
            yield RecordError(error.what, source=source, number=number, ply=error.ply)
        except ArenaError as error:
            yield RecordError(str(error), source=source, number=number)


def loads(text: str, **options: object) -> GameRecord:
    """The first game of ``text``. Raises ArenaError, saying what is wrong with it."""
    for item in parse(io.BytesIO(text.encode(errors="replace")), "", **options):
        if isinstance(item, RecordError):
            raise item
        return item
    raise RecordError("there is no game in it")


def _record(raw: RawGame, source: str, number: int, options: dict[str, object]) -> GameRecord:
    tags = raw.tags
    name = game_text(_variant(tags), **options)
    game = game_of(name)
    states = _start(game, tags)
    start = game.state_to_string(states[0]) if tags.get("FEN") else ""
    moves = _actions(game, states, raw.words)
    comments, evaluations = _annotations(raw.comments, len(moves))
    returns = _returns(raw, game.spec.num_players)
    termination = tags.get("Termination", "")
    players = ("" if tags.get(tag, "") in _UNKNOWN else tags[tag] for tag in ("White", "Black"))
    return GameRecord(
        game=name,
        moves=np.array(moves, np.int32),
        start=start,
        returns=returns,
        end=_end(termination, returns),
        end_text=termination,
        players=tuple(players)[: game.spec.num_players],
        tags={tag: value for tag, value in tags.items() if tag not in _OWN_TAGS and value not in _UNKNOWN},
        comments=comments,
        evaluations=evaluations,
        source=source,
        number=number,
    )


def _variant(tags: dict[str, str]) -> str:
    """The game, as ``game_of`` takes it."""
    variant = tags.get("Variant", "").strip()
    return _PEOPLES_CHESS if is_chess(tags) and not variant.startswith("chess") else variant


def _start(game: Game, tags: dict[str, str]) -> Array:
    """States ``[1]``: the position of the tag FEN, or the game's start."""
    if text := tags.get("FEN"):
        return game.parse_state(text)
    if tags.get("SetUp", "0") == "1":
        raise RecordError("the tag SetUp promises a position, but there is no tag FEN")
    return game.init(1)


def _actions(game: Game, states: Array, words: list[str]) -> list[int]:
    """The actions of a game's moves as written; ``states`` ``[1]`` are played to the end."""
    actions: list[int] = []
    for word in words:
        if states["terminated"][0]:
            how = game.render(states[0]).splitlines()[-1].strip()
            raise RecordError(f"the rules end the game here ({how}), but {word[:20]} follows", ply=len(actions))
        try:
            actions.append(game.parse_action(states[0], word.rstrip("!?") or word))
            game.step_unchecked(states, np.array(actions[-1:]))  # it is legal, for it was understood
        except ArenaError as error:
            raise RecordError(str(error), ply=len(actions)) from error
    return actions


def _annotations(texts: dict[int, list[str]], plies: int) -> tuple[tuple[str, ...], Array | None]:
    """Comments ``[T + 1]`` and evaluations ``[T]``, each empty where there is none."""
    if not texts:
        return (), None
    comments, values = [""] * (plies + 1), np.full(plies, np.nan, np.float32)
    for ply, parts in texts.items():
        comment = " ".join(parts)
        if ply and (value := _VALUE.search(comment)) and (number := _in_unit_range(value[1])) is not None:
            values[ply - 1] = number
            comment = f"{comment[: value.start()].rstrip()} {comment[value.end() :].lstrip()}".strip()
        comments[ply] = comment
    return tuple(comments) if any(comments) else (), None if np.isnan(values).all() else values


def _in_unit_range(text: str) -> float | None:
    try:
        return number if abs(number := float(text)) <= 1 else None
    except ValueError:
        return None


def _returns(raw: RawGame, num_players: int) -> Array | None:
    """What the end of the moves says; the tag, where they say nothing. Both must not say different things."""
    if "Returns" in raw.tags:  # our own tag, for results that PGN has no word for
        return parse_result(raw.tags.pop("Returns"), num_players)
    tag = raw.tags.get("Result", "")
    said = [_full(text) for text in (raw.result, NO_RESULT if tag in _UNKNOWN else tag) if text != NO_RESULT]
    if len(set(said)) > 1:
        raise RecordError(f"the moves end with {said[0]}, but the tag Result says {said[1][:80]!r}")
    return parse_result(said[0], num_players) if said else None


def _full(result: str) -> str:
    return "1/2-1/2" if result == "1/2" else result


def _end(termination: str, returns: Array | None) -> EndReason | None:
    for reason, words in _REASONS.items():
        if re.search(words, termination.lower()):
            return reason
    return end_of(returns)


# ---- writing -----------------------------------------------------------------------------------------------------


def to_bytes(records: Iterable[GameRecord]) -> Iterator[bytes]:
    """The records as a PGN file, one piece of it per game."""
    for record in records:
        yield f"{dumps(record)}\n".encode(errors="replace")


def dumps(record: GameRecord) -> str:
    """One game as PGN. What PGN cannot hold is put in other words: line ends and ``}`` in comments.

    Raises:
        RecordError: a move is illegal or its text, or the name of a tag, is none that PGN can hold.
    """
    game = game_of(record.game)
    states = game.init(1) if not record.start else game.parse_state(record.start)
    result = result_text(record.returns)
    lines = [f'[{name} "{_quoted(value)}"]' for name, value in _tags(record, result).items()]
    return "\n".join([*lines, "", *_wrapped(_movetext(record, game, states)), ""])


def _tags(record: GameRecord, result: str) -> dict[str, str]:
    white, black = (*record.players, "", "")[:2]
    own = {"White": white, "Black": black, "Result": result if result in RESULTS else NO_RESULT}
    tags = {name: own.get(name) or record.tags.get(name) or "?" for name in ROSTER}
    tags["Date"] = record.tags.get("Date", "????.??.??")
    for name, value in record.tags.items():
        if not re.fullmatch(r"\w+", name, re.ASCII):
            raise record.error(f"{name!r} is not the name of a tag in PGN; use letters, digits and _")
        tags.setdefault(name, value)
    if record.game != _PEOPLES_CHESS:
        tags["Variant"] = record.game
    if record.start:
        tags |= {"SetUp": "1", "FEN": record.start}
    if termination := record.end_text or _TERMINATIONS.get(record.end or EndReason.ONGOING, ""):
        tags["Termination"] = termination
    if result not in RESULTS and record.returns is not None:
        tags["Returns"] = result
    return tags


def _quoted(value: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", " ".join(value.split()))


def _movetext(record: GameRecord, game: Game, states: Array) -> Iterator[str]:
    """The words of the moves, comments and numbers, and the result."""
    numbered = True  # whether black's move needs its number too: at the start and after a comment
    for text in _comment(record, 0):
        yield text
    for ply, action in enumerate(record.moves.tolist()):
        turn, seat = int(states["ply"][0]) // game.spec.num_players + 1, int(states["to_play"][0])
        try:
            word = game.action_to_string(states[0], action) if 0 <= action < game.spec.num_actions else str(action)
            game.step(states, [action])
        except ArenaError as error:
            raise record.error(str(error), ply) from error
        if not re.fullmatch(r"[^\s{}();$]+", word) or word in (*RESULTS, NO_RESULT) or re.match(r"\d*\.", word):
            raise record.error(f"PGN cannot hold the move {word!r}", ply)
        if seat == 0 or numbered:
            yield f"{turn}." if seat == 0 else f"{turn}..."
        yield word
        numbered = False
        for text in _comment(record, ply + 1):
            yield text
            numbered = True
    result = result_text(record.returns)
    yield result if result in RESULTS else NO_RESULT


def _comment(record: GameRecord, number: int) -> Iterator[str]:
    text = record.comments[number] if record.comments else ""
    if number and record.evaluations is not None and not np.isnan(value := record.evaluations[number - 1]):
        text = f"[%value {value!s}] {text}"
    if text := " ".join(text.replace("}", ")").split()):
        yield f"{{{text}}}"


def _wrapped(words: Iterable[str]) -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = ""
        line += f" {word}" if line else word
    yield line
