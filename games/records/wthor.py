"""WTHOR: the French Othello federation's files of human games (Quin and Nicolet, "Format de la base Wthor").

``WTH_YEAR.wtb`` has a header of 16 bytes and 68 bytes a game: the numbers of the tournament and the two players, the
real score, the score that perfect play would have brought, and 60 moves, ``10 * row + column`` from 11 (a1) to 88 (h8),
then zeros. Numbers are little-endian. The names stand beside it in ``WTHOR.JOU`` and ``WTHOR.TRN``.

Passes are not written, so the reader puts them in and the writer leaves them out. Both scores count black's discs, and
the winner is given the empty squares. Games that break off are scored all the same; nothing says why they did.

A record's tags: ``Event`` (the tournament), ``Date`` (the year), ``BlackDiscs`` (the real score), ``TheoreticalScore``
and ``Depth`` (at how many empty squares that perfect play begins).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from games.core import Array, Game
from games.othello import PASS, SQUARES
from games.records.core import GameRecord, Parsed, RecordError, end_of, game_of, result_text
from games.records.replay import replay

HEADER = np.dtype(
    [
        ("century", "u1"),
        ("year", "u1"),
        ("month", "u1"),
        ("day", "u1"),
        ("games", "<u4"),
        ("names", "<u2"),  # of players or tournaments, in files of those
        ("played_in", "<u2"),
        ("board", "u1"),  # 0 or 8; 10 is 10 × 10
        ("solitaires", "u1"),
        ("depth", "u1"),  # 0 means 22
        ("reserved", "u1"),
    ]
)
RECORD = np.dtype(
    [
        ("tournament", "<u2"),
        ("black", "<u2"),
        ("white", "<u2"),
        ("score", "u1"),
        ("theoretical", "u1"),
        ("moves", "u1", 60),
    ]
)
NAME_BYTES = {".JOU": 20, ".TRN": 26}
_BATCH = 4096


# ---- reading -----------------------------------------------------------------------------------------------------


def parse(stream: BinaryIO, source: str, **options: object) -> Parsed:
    """The games of ``stream``, in order. Names are looked for in the folder of ``source``; failing that they are the
    numbers that stand for them, such as ``player 17``."""
    try:
        yield from _parse(stream, source, options)
    except RecordError as error:
        yield RecordError(error.what, source=source)


def _parse(stream: BinaryIO, source: str, options: dict[str, object]) -> Parsed:
    if options:
        raise RecordError(f"Othello takes no options, but was given {', '.join(options)}")
    header = np.frombuffer(_read(stream, HEADER.itemsize), HEADER)[0]
    if header["board"] not in (0, 8) or header["solitaires"]:
        kind = "solitaires" if header["solitaires"] else f"games on a board of {header['board']}"
        raise RecordError(f"it holds {kind}, not games of Othello on 8 × 8 squares")
    players, tournaments = (read_names(_beside(Path(source), suffix)) for suffix in (".JOU", ".TRN"))
    for first in range(0, int(header["games"]), _BATCH):
        wanted = min(_BATCH, int(header["games"]) - first)
        data = stream.read(wanted * RECORD.itemsize)
        rows = np.frombuffer(data[: len(data) // RECORD.itemsize * RECORD.itemsize], RECORD)
        yield from _records(rows, header, first, (players, tournaments), source)
        if len(rows) < wanted:
            raise RecordError(f"it is cut off: {header['games']} games are announced, {first + len(rows)} are there")


def _records(rows: Array, header: np.void, first: int, names: tuple[list[str], list[str]], source: str) -> Parsed:
    """The records of ``rows``, ``RECORD`` ``[B]``, the first of which is game ``first + 1`` of the file."""
    players, tournaments = names
    played = with_passes(rows["moves"])
    for i, row in enumerate(rows):
        actions = played.actions[i, : played.lengths[i]]
        if problem := played.problems.get(i):
            yield RecordError(problem, source=source, number=first + i + 1, ply=len(actions))
            continue
        returns = np.array([1, -1], np.float32) * np.sign(int(row["score"]) - SQUARES // 2)
        yield GameRecord(
            game="othello",
            moves=actions,
            returns=returns,
            end=end_of(returns) if played.over[i] else None,
            players=tuple(_name(players, int(row[seat]), "player") for seat in ("black", "white")),
            tags={
                "Event": _name(tournaments, int(row["tournament"]), "tournament"),
                "Date": str(header["played_in"]),
                "BlackDiscs": str(row["score"]),
                "TheoreticalScore": str(row["theoretical"]),
                "Depth": str(header["depth"] or 22),
            },
            source=source,
            number=first + i + 1,
        )


def _read(stream: BinaryIO, size: int) -> bytes:
    if len(data := stream.read(size)) < size:
        raise RecordError(f"it is too short to be a file of WTHOR, whose header has {size} bytes")
    return data


@dataclass(frozen=True)
class Played:
    """What ``with_passes`` makes of ``B`` games.

    Attributes:
        actions: int32 ``[B, T]``, passes included; -1 after the end of each game.
        lengths: int64 ``[B]``, how many actions each game has.
        over: bool ``[B]``, whether neither player can move any more.
        problems: why a game could not be played to its end, by its row.
    """

    actions: Array
    lengths: Array
    over: Array
    problems: dict[int, str]


def with_passes(moves: Array) -> Played:
    """Plays uint8 ``[B, 60]`` moves as the file has them, all games side by side, and passes where a player must."""
    game = game_of("othello")
    rows, columns = np.divmod(moves.astype(np.int64), 10)
    squares = np.where((rows >= 1) & (rows <= 8) & (columns >= 1) & (columns <= 8), 8 * rows + columns - 9, -1)
    counts = np.where((moves == 0).any(axis=1), np.argmax(moves == 0, axis=1), moves.shape[1])
    problems = dict.fromkeys(np.flatnonzero((moves != 0).sum(axis=1) != counts).tolist(), "moves stand after the last")
    states = game.init(len(moves))
    actions = np.full((len(moves), game.spec.max_plies), -1, np.int32)
    played, lengths = np.zeros(len(moves), np.int64), np.zeros(len(moves), np.int64)
    live = np.array([row for row in range(len(moves)) if counts[row] and row not in problems], np.int64)
    while len(live):
        current = states[live]
        mask = game.legal_action_mask(current)
        passes = mask[:, PASS]
        chosen = np.where(passes, PASS, squares[live, np.minimum(played[live], moves.shape[1] - 1)])
        legal = (chosen >= 0) & mask[np.arange(len(live)), chosen]
        for at in np.flatnonzero(~legal):
            row = int(live[at])
            problems[row] = _explain(game, current[at], int(moves[row, played[row]]), int(chosen[at]))
        current, live, chosen = current[legal], live[legal], chosen[legal]
        game.step_unchecked(current, chosen)
        states[live] = current
        actions[live, lengths[live]] = chosen
        lengths[live] += 1
        played[live] += chosen != PASS
        live = live[played[live] < counts[live]]
    return Played(actions, lengths, states["terminated"].copy(), problems)


def _explain(game: Game, state: np.void, move: int, square: int) -> str:
    if square < 0:
        return f"move {move} is not a square; they are 11 (a1) to 88 (h8)"
    board = f"the position is {game.state_to_string(state)}"
    why = "the game is over" if state["terminated"] else "no disc would turn over, or the square is taken"
    return f"{game.action_to_string(state, square)} is illegal because {why}; {board}"


def black_score(state: np.void) -> int:
    """Black's discs as WTHOR counts them: the winner is given the empty squares, a draw halves them."""
    black, white = (int(count) for count in np.bitwise_count(state["discs"]))
    empty = SQUARES - black - white
    return black + (empty if black > white else 0 if black < white else empty // 2)


# ---- names -------------------------------------------------------------------------------------------------------


def read_names(path: Path | None) -> list[str]:
    """The names of a ``.JOU`` or ``.TRN`` file by number; none if there is no such file."""
    if path is None:
        return []
    width = NAME_BYTES[path.suffix.upper()]
    with path.open("rb") as file:
        header = np.frombuffer(_read(file, HEADER.itemsize), HEADER)[0]
        data = file.read(int(header["names"]) * width)
    if len(data) < int(header["names"]) * width:
        raise RecordError(f"{header['names']} names are announced, {len(data) // width} are there", source=str(path))
    return [data[at : at + width].split(b"\0")[0].decode("latin-1").strip() for at in range(0, len(data), width)]


def _beside(path: Path, suffix: str) -> Path | None:
    """The file of names in the same folder, in upper or lower case; None if there is none."""
    if not path.parent.is_dir():
        return None
    return next((other for other in sorted(path.parent.iterdir()) if other.name.upper() == f"WTHOR{suffix}"), None)


def _name(names: list[str], number: int, kind: str) -> str:
    return names[number] if number < len(names) else f"{kind} {number}"


# ---- writing -----------------------------------------------------------------------------------------------------


def to_bytes(records: Iterable[GameRecord], path: Path) -> dict[Path, bytes]:
    """What the ``.wtb`` file ``path`` and the two files of names in its folder are to hold.

    Files of names that are there keep the numbers that they give, and are made longer by the names that they lack.

    Raises:
        RecordError: a record that is not a game of Othello from its start, whose score or year is not known, or which
            has illegal moves; or files of names that are full.
    """
    tables = {suffix: _Names(path, suffix) for suffix in NAME_BYTES}
    rows, years, depths = [], set(), set()
    for record in records:
        if record.game != "othello" or record.start:
            raise record.error("WTHOR holds games of Othello from their start and nothing else")
        row = np.zeros((), RECORD)
        row["tournament"] = tables[".TRN"].number(record, record.tags.get("Event", ""))
        row["black"], row["white"] = (tables[".JOU"].number(record, name) for name in record.players)
        row["score"] = score = _score(record)
        row["theoretical"] = _tag(record, "TheoreticalScore", SQUARES, score)
        squares = record.moves[record.moves != PASS]
        row["moves"][: len(squares)] = 10 * (squares // 8) + squares % 8 + 11
        years.add(_tag(record, "Date", 9999, 0, length=4))
        depths.add(_tag(record, "Depth", SQUARES, 22))
        rows.append(row.tobytes())
    header = _header(games=len(rows), board=8)
    for name, found in (("played_in", years), ("depth", depths)):
        if len(found) > 1:
            raise RecordError(f"one file of WTHOR has one {name}, not {sorted(found)}", source=str(path))
        header[name] = found.pop() if found else 0
    return {path: header.tobytes() + b"".join(rows)} | {table.path: table.to_bytes() for table in tables.values()}


class _Names:
    """The names of one file, to which new ones may be added."""

    def __init__(self, path: Path, suffix: str) -> None:
        found = _beside(path, suffix)
        self.path, self.width = found or path.with_name(f"WTHOR{suffix}"), NAME_BYTES[suffix]
        self.names = read_names(found)
        self._numbers = {name: number for number, name in reversed(list(enumerate(self.names)))}

    def number(self, record: GameRecord, name: str) -> int:
        """The number of ``name``, cut to the bytes that there are for it."""
        name = name.encode("latin-1", "replace")[: self.width - 1].split(b"\0")[0].decode("latin-1").strip() or "?"
        if name not in self._numbers:
            if len(self.names) == 1 << 16:
                raise record.error(f"{self.path.name} is full; it numbers no more than {1 << 16:,} names")
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]

    def to_bytes(self) -> bytes:
        cells = (name.encode("latin-1").ljust(self.width, b"\0") for name in self.names)
        return _header(names=len(self.names) % (1 << 16)).tobytes() + b"".join(cells)


def _header(**fields: int) -> Array:
    today = dt.date.today()
    header = np.zeros((), HEADER)
    header["century"], header["year"] = divmod(today.year, 100)
    header["month"], header["day"] = today.month, today.day
    for name, value in fields.items():
        header[name] = value
    return header


def _score(record: GameRecord) -> int:
    """Black's discs: as the record has them, or as the board has them if they go with the result."""
    state = replay(record)[-1]
    score = _tag(record, "BlackDiscs", SQUARES, black_score(state))
    returns = record.returns
    if returns is None or float(np.sign(score - SQUARES // 2)) != float(returns[0]):
        raise record.error(f"its result is {result_text(returns)}, which {score} discs of black do not say")
    return score


def _tag(record: GameRecord, name: str, most: int, default: int, length: int | None = None) -> int:
    """The number that a tag holds, in its first ``length`` characters."""
    text = record.tags.get(name, "")[:length]
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 4 or int(text) > most:
        raise record.error(f"the tag {name} is {text[:80]!r}; WTHOR takes a number from 0 to {most}")
    return int(text)
