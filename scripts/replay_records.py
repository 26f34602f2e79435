"""Replays files of game records: is every move legal, and do the rules come to the result that the record has?

python -m scripts.replay_records games.pgn.gz masters.tar.gz
python -m scripts.replay_records ../shared/data/othello/wthor
python -m scripts.replay_records kgs.tar.gz --rules ko=positional

The table has, for each game: how many games and plies; how many with an illegal move; how many the rules ended, and in
how many of those the result agrees with the record or differs; in how many WTHOR gives another number of discs. In Go
results differ where people took dead stones off the board before they counted, which no rule does for them.

Files end in .pgn, .sgf, .wtb or .moves, perhaps gzipped, or are .zip and .tar.gz archives of those; of a folder, all
such files are read. Games are read one at a time and played a thousand side by side, so memory stays small.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from games import ArenaError
from games.records import READABLE, GameRecord, Reader, Replay, read, replay_all, result_text
from games.records.wthor import black_score
from scripts.program import start


@dataclass(frozen=True)
class Options:
    """Replays game records and counts: games, plies, illegal moves and results, each with the reasons."""

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH…")]
    """Files of records, or folders of them."""
    rules: tuple[str, ...] = ()
    """Options of the game on top of those that the records give, such as ko=positional for Go."""
    examples: int = 10
    """How many games of each kind of trouble are shown; 0 = none."""


@dataclass
class Tally:
    """What was found in the records of one game.

    Attributes:
        counts: by name of a column below.
        troubles: lines about games, by kind of trouble; the first thousand of each.
    """

    counts: Counter[str] = field(default_factory=Counter)
    troubles: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, line: str) -> None:
        """Counts one trouble and keeps its line."""
        self.counts[kind] += 1
        if len(lines := self.troubles.setdefault(kind, [])) < _MOST_LINES:
            lines.append(line)


MEANINGS = {
    "unread": "games that could not be read",
    "illegal": "a move or the start breaks the rules",
    "differ": "the rules ended the game, with another result than the record has",
    "discs": "the board has another number of black's discs than WTHOR says",
}
_MOST_LINES = 1000
COLUMNS = ("games", "plies", "illegal", "over", "agree", "differ", "discs")


def files_of(paths: tuple[Path, ...]) -> list[Path]:
    """The files themselves, and those of records in folders. Raises ArenaError where there are none."""
    found: list[Path] = []
    for path in paths:
        inside = [file for file in sorted(path.rglob("*")) if file.name.lower().endswith(READABLE)]
        if path.is_dir() and not inside:
            raise ArenaError(f"{path} holds no file that ends in one of {', '.join(READABLE)}.")
        found += inside if path.is_dir() else [path]
    if not found:
        raise ArenaError("Give at least one file or folder of records.")
    return found


def look_at(replay: Replay, tally: Tally) -> None:
    """Counts one replayed game."""
    record = replay.record
    where = f"{record.source}, game {record.number}"
    tally.counts["games"] += 1
    tally.counts["plies"] += replay.plies
    if replay.problem:
        tally.note("illegal", f"{where}, ply {replay.plies}: {replay.problem}")
        return
    tally.counts["over"] += replay.over
    tally.counts["agree"] += replay.agrees is True
    by_rules = result_text(replay.returns)
    if replay.agrees is False:
        said = record.end_text or result_text(record.returns)
        tally.note("differ", f"{where}: the record says {said}, the rules {by_rules}")
    discs = record.tags.get("BlackDiscs", "")
    if replay.over and record.game == "othello" and discs:
        score = black_score(replay.states[0])
        if discs != str(score):
            tally.note("discs", f"{where}: the record says {discs[:20]} discs for black, the board {score}")


def run(options: Options) -> int:
    """Prints the table and the troubles; returns how many games could not be read or played."""
    console = Console()
    if wrong := [item for item in options.rules if not item.partition("=")[2]]:
        raise ArenaError(f"{wrong[0]!r} is not an option of a game; write name=value, such as ko=positional.")
    rules = {key: value for key, _, value in (item.partition("=") for item in options.rules)}
    files, tallies, unread = files_of(options.paths), {}, Tally()
    started = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("files", total=len(files))

        def records() -> Iterator[GameRecord]:
            for path in files:
                reader = read(path, errors="skip", **rules)
                for record in reader:
                    yield record
                    if reader.read % 1000 == 0:
                        progress.update(task, description=f"{path.name}, game {reader.read:,}")
                note_unread(reader, unread)
                progress.advance(task)

        for replay in replay_all(records()):
            name = replay.record.game.partition(":")[0]  # with whatever komi
            look_at(replay, tallies.setdefault(name, Tally()))
    show(console, tallies, unread, options.examples, time.perf_counter() - started)
    return unread.counts["unread"] + sum(tally.counts["illegal"] for tally in tallies.values())


def note_unread(reader: Reader, unread: Tally) -> None:
    """Counts the games that a reader could not read."""
    for problem in reader.problems:
        unread.note("unread", str(problem))
    unread.counts["unread"] += reader.broken - len(reader.problems)


def show(console: Console, tallies: dict[str, Tally], unread: Tally, examples: int, seconds: float) -> None:
    """Prints the table, then examples of each kind of trouble."""
    table = Table(*("game", *COLUMNS))
    total: Counter[str] = Counter()
    for name, tally in sorted(tallies.items(), key=lambda item: -item[1].counts["games"]):
        total.update(tally.counts)
        table.add_row(name, *(f"{tally.counts[column]:,}" for column in COLUMNS))
    if len(tallies) > 1:
        table.add_row("all", *(f"{total[column]:,}" for column in COLUMNS), style="bold")
    console.print(table)
    speed = f"{total['games'] / seconds:,.0f} games/s, {total['plies'] / seconds:,.0f} plies/s"
    console.print(f"{unread.counts['unread']:,} games could not be read; {seconds:.1f} s, {speed}")
    for kind in ("unread", "illegal", "differ", "discs"):
        lines = [line for tally in (unread, *tallies.values()) for line in tally.troubles.get(kind, ())]
        if lines and examples:
            console.print(f"\n{kind}: {MEANINGS[kind]} ({unread.counts[kind] + total[kind]:,}):")
            for line in lines[:examples]:
                console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    start(run, Options)
