"""The games of a tournament as lines of JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from arena.formats import Fixture
from arena.records import MatchRecord, Trajectory
from games import ArenaError


class ResultsError(ArenaError):
    """A file that does not hold the games of a tournament."""


def fixture_of(record: MatchRecord) -> Fixture:
    """What the record is the game of."""
    first, second = record.agents
    return Fixture(first, second, record.number)


def to_record(trajectory: Trajectory, fixture: Fixture) -> MatchRecord:
    """What a results file keeps of a finished game."""
    pairing = trajectory.pairing
    return MatchRecord(
        agents=(fixture.first, fixture.second),
        number=fixture.number,
        start=pairing.start,
        opening=pairing.opening,
        moves=tuple(trajectory.moves.tolist()),
        values=tuple(None if np.isnan(v) else round(v, 4) for v in trajectory.root_values.tolist()),
        returns=tuple(trajectory.returns.tolist()),
        end_reason=trajectory.end_reason.name.lower(),
        note=trajectory.note,
        seed=pairing.seed,
    )


def to_json_line(record: MatchRecord) -> str:
    """The line of a results file that ``read_records`` reads back."""
    return json.dumps(vars(record), ensure_ascii=False) + "\n"


def read_records(path: Path) -> list[MatchRecord]:
    """The games of a results file. A last line without an end is of a game that was cut off while it was written.

    Raises:
        ResultsError: names the file and the line that is not a game.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise ResultsError(f"{path} cannot be read as results of a tournament: {error}.") from None
    return [_from_json(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def _from_json(line: bytes, where: str) -> MatchRecord:
    fields = {field.name for field in dataclasses.fields(MatchRecord)}
    try:
        entry: dict[str, Any] = json.loads(line)
        if not isinstance(entry, dict) or set(entry) != fields:
            raise ValueError(f"it needs the keys {', '.join(sorted(fields))} and no other")
        record = MatchRecord(
            agents=tuple(str(name) for name in entry["agents"]),
            number=int(entry["number"]),
            start=str(entry["start"]),
            opening=tuple(int(move) for move in entry["opening"]),
            moves=tuple(int(move) for move in entry["moves"]),
            values=tuple(None if value is None else float(value) for value in entry["values"]),
            returns=tuple(float(value) for value in entry["returns"]),
            end_reason=str(entry["end_reason"]),
            note=str(entry["note"]),
            seed=int(entry["seed"]),
        )
        if not len(record.agents) == len(record.returns) == 2:
            raise ValueError("it needs two agents and a result for each")
        if len(record.values) != len(record.moves):
            raise ValueError("it needs a value for each move, which may be null")
    except (ValueError, TypeError, RecursionError) as error:
        raise ResultsError(f"{where} is not a game: {error}.") from None
    return record
