"""The games of a tournament as files that other programs read: PGN, SGF, or the arena's own move list."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from arena.records import MatchRecord
from arena.tournament import Tournament
from games import EndReason, Game, records
from games.notation import GTP_NAMES, UCI, family


def transcript_path(tournament: Tournament) -> Path:
    """``games.pgn`` for chess, ``games.sgf`` for the games that SGF is for, ``games.moves`` for all others."""
    name = family(tournament.game)
    suffix = "pgn" if name == UCI.family else "sgf" if name in GTP_NAMES else "moves"
    return tournament.directory / f"games.{suffix}"


def write_transcript(tournament: Tournament) -> Path:
    """Writes the games that count, with what the players expected of each move, and returns the file's path.

    Raises:
        ArenaError: a game that the rules do not allow, or a file that cannot be written.
    """
    path, event = transcript_path(tournament), f"{tournament.settings.format} of {len(tournament.settings.agents)}"
    ordered = sorted(tournament.counted, key=lambda record: (record.number, record.agents))
    records.write(path, (to_game_record(tournament.game, record, event) for record in ordered))
    return path


def to_game_record(game: Game, record: MatchRecord, event: str) -> records.GameRecord:
    """The same game as ``games.records`` has it; why it ended, where that is not by the rules, is its last comment."""
    comments = [""] * len(record.moves) + [record.note]
    return records.GameRecord(
        game=game.spec.name,
        moves=np.array(record.moves, np.int32),
        start=record.start,
        returns=np.array(record.returns, np.float32),
        end=EndReason[record.end_reason.upper()],
        players=record.agents,
        tags={"Event": event, "Round": str(record.number + 1)},
        comments=tuple(comments) if record.note else (),
        evaluations=np.array([math.nan if value is None else value for value in record.values], np.float32),
    )
