"""The console's view of a tournament: a progress bar while it is played, and tables of ratings and results after."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TextIO

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from agents.core import Agent
from arena.formats import SequentialTest
from arena.ratings import RatingTable
from arena.records import MatchRecord
from arena.sprt import PairEstimate, count_pairs, estimate
from arena.tournament import Tournament

PIPE_WIDTH = 160
PAIRS = "LL, LD, DD or WL, WD, WW"
_SECONDS_BETWEEN = {True: 0.5, False: 30.0}  # reports on a terminal, and elsewhere


def console_for(stream: TextIO) -> Console:
    """A console that is as wide as the terminal, or wide enough for any table where there is none."""
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH)


def play_with_progress(tournament: Tournament, players: Sequence[Agent], console: Console, slots: int) -> bool:
    """Plays a tournament with a progress bar, or a line now and then where there is no terminal. Returns whether it was
    played to its end, and not ended by Ctrl-C."""
    is_live, total = console.is_terminal, tournament.format.total
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[score]}", markup=False))
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *times, console=console, transient=True, disable=not is_live) as progress:
        task = progress.add_task("", total=total, completed=len(tournament.records), score="")
        begun = reported = time.monotonic()
        before = len(tournament.records)  # it may be one that goes on

        def report(_: list[MatchRecord]) -> None:
            nonlocal reported
            if time.monotonic() - reported >= _SECONDS_BETWEEN[is_live]:
                reported, played = time.monotonic(), len(tournament.records)
                score = summary(tournament)
                progress.update(task, completed=played, score=score)
                if not is_live:
                    left = timedelta(seconds=round((total - played) * (reported - begun) / (played - before)))
                    line = f"{played} of {total} games; {score}; {left} left"
                    console.print(line, highlight=False, markup=False, soft_wrap=True)

        with contextlib.suppress(KeyboardInterrupt):
            tournament.play(players, slots=slots, on_games=report)
            return True
    return False


def summary(tournament: Tournament) -> str:
    """How it stands, in a few words: the first of two agents by its pairs of games, or the best of several."""
    pairs = pair_estimate(tournament)
    if pairs is not None:
        text = f"{pairs.score:.1%}, {pairs.elo:+.0f} ± {pairs.elo_interval:.0f} Elo"
        if isinstance(tournament.format, SequentialTest) and len(tournament.format.llr_curve(tournament.points)):
            text += f", LLR {tournament.format.llr_curve(tournament.points)[-1]:.2f}"
        return text
    ratings = tournament.ratings()
    best = int(np.argmax(ratings.elo))
    return f"{ratings.names[best]} leads, {ratings.elo[best]:+.0f} ± {ratings.interval[best]:.0f} Elo"


def pair_counts(tournament: Tournament) -> np.ndarray:
    """int64 ``[5]``: the pentanomial of the first agent against the second, of whole pairs that count."""
    first, second = tournament.settings.agents[:2]
    points = {(r.agents[0], r.number): r.points_of(first) for r in tournament.counted if {*r.agents} == {first, second}}
    numbers = [number for name, number in points if name == first and (second, number) in points]
    return count_pairs((points[first, number], points[second, number]) for number in numbers)


def pair_estimate(tournament: Tournament) -> PairEstimate | None:
    """What pairs of games say about the first of two agents; None where there are more, or no pairs."""
    if len(tournament.settings.agents) != 2 or not (counts := pair_counts(tournament)).any():
        return None
    return estimate(counts)


def print_standings(
    tournament: Tournament, console: Console, anchors: Mapping[str, float] | None = None
) -> RatingTable:
    """Rates the agents, prints the tables, strongest first, and returns the ratings."""
    ratings = tournament.ratings(anchors)
    order = np.argsort(-ratings.elo, kind="stable")
    console.print(_rating_table(ratings, order))
    console.print(_crosstable(ratings, order))
    for line in remarks(tournament, ratings):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return ratings


def remarks(tournament: Tournament, ratings: RatingTable) -> list[str]:
    """What else there is to say, a sentence each: the first move, pairs, the test, odd endings, warnings."""
    found = [f"The first move is worth {ratings.advantage:+.0f} ± {ratings.advantage_interval:.0f} Elo."]
    if ratings.draw_share:
        found.append(f"Equals draw {ratings.draw_share:.0%} of their games.")
    pairs = pair_estimate(tournament)
    if pairs is not None:
        found.append(
            f"Pairs of {tournament.settings.agents[0]} ({PAIRS}): {', '.join(map(str, pair_counts(tournament)))}; "
            f"Elo {pairs.elo:+.1f} ± {pairs.elo_interval:.1f}, normalised {pairs.normalized:+.1f} ± "
            f"{pairs.normalized_interval:.1f}, LOS {pairs.superiority:.1%}."
        )
    if isinstance(tournament.format, SequentialTest):
        found.append(_verdict(tournament, tournament.format))
    endings: dict[str, int] = {}
    for record in tournament.counted:
        if record.note:
            kind = record.note if record.note.startswith(("adjudicated", "cut")) else record.end_reason
            endings[kind] = endings.get(kind, 0) + 1
    found += [f"{count} games ended otherwise than by the rules: {kind}." for kind, count in sorted(endings.items())]
    missing = sum(fixture not in tournament.records for fixture in tournament.format.fixtures(tournament.points))
    if missing and not isinstance(tournament.format, SequentialTest):
        found.append(f"{missing} games are still to be played.")
    return found + [f"Warning: {warning}" for warning in ratings.warnings]


def _verdict(tournament: Tournament, test: SequentialTest) -> str:
    sprt, curve, accepted = test.sprt, test.llr_curve(tournament.points), test.verdict(tournament.points)
    elo = f"{sprt.model} Elo"
    answer = {
        "elo0": f"accepted: {test.names[0]} is worth {sprt.elo0:g} {elo} against {test.names[1]}, not {sprt.elo1:g}",
        "elo1": f"accepted: {test.names[0]} is worth {sprt.elo1:g} {elo} against {test.names[1]}, not {sprt.elo0:g}",
        "": "no hypothesis is accepted yet",
    }[accepted]
    last = float(curve[-1]) if len(curve) else 0.0
    return (
        f"Sequential test of {sprt.elo0:g} against {sprt.elo1:g} {elo} (alpha {sprt.alpha:g}, beta {sprt.beta:g}): "
        f"LLR {last:.2f} ({sprt.lower:.2f}, {sprt.upper:.2f}) after {len(curve)} pairs; {answer}."
    )


def _rating_table(ratings: RatingTable, order: np.ndarray) -> Table:
    zero = ", ".join(f"{name} = {elo:g}" for name, elo in ratings.anchors.items()) or "average = 0"
    table = Table(title=f"Elo ({zero}), ± = 95 % interval, LOS = likelihood of being stronger than the next")
    table.add_column("", justify="right")
    table.add_column("agent", overflow="fold")
    for heading in ("Elo", "±", "games", "wins", "draws", "losses", "score", "LOS"):
        table.add_column(heading, justify="right")
    for row in rating_rows(ratings, order):
        table.add_row(*row)
    return table


def rating_rows(ratings: RatingTable, order: np.ndarray) -> list[list[str]]:
    """The cells of the table of ratings, strongest first."""
    rows = []
    for place, row in enumerate(order):
        wins, draws, losses = ratings.results[row].sum(axis=0)
        played = ratings.games[row].sum()
        following = f"{ratings.superiority[row, order[place + 1]]:.1%}" if place + 1 < len(order) else ""
        cells = (f"{ratings.elo[row]:+.0f}", f"{ratings.interval[row]:.0f}", f"{played:.0f}")
        cells += (f"{wins:.0f}", f"{draws:.0f}", f"{losses:.0f}")
        cells += (f"{ratings.scores[row].sum() / max(played, 1):.1%}", following)
        rows.append([str(place + 1), ratings.names[row], *cells])
    return rows


def crosstable_rows(ratings: RatingTable, order: np.ndarray) -> list[list[str]]:
    """The cells of the crosstable: points of each row against each column, and the games they come from."""
    rows = []
    for place, row in enumerate(order):
        cells = [
            f"{ratings.scores[row, column]:g}/{ratings.games[row, column]:g}" if row != column else "–"
            for column in order
        ]
        rows.append([str(place + 1), ratings.names[row], *cells])
    return rows


def _crosstable(ratings: RatingTable, order: np.ndarray) -> Table:
    table = Table(title="Points of the row against the column / games")
    table.add_column("", justify="right")
    table.add_column("agent", overflow="fold")
    for place in range(len(order)):
        table.add_column(str(place + 1), justify="right")
    for row in crosstable_rows(ratings, order):
        table.add_row(*row)
    return table
