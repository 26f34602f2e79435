"""Prints the result of a tournament: ratings with their intervals, and who scored what against whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

import numpy as np
from rich.console import Console
from rich.table import Table

from arena.ratings import RatingTable
from arena.records import MatchRecord
from arena.tournament import rate_records

PIPE_WIDTH = 160


def console_for(stream: TextIO) -> Console:
    """A console that is as wide as the terminal, or wide enough for any table where there is none."""
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH)


def print_standings(
    names: Sequence[str], records: Sequence[MatchRecord], console: Console, *, anchor: str | None = None
) -> RatingTable:
    """Rates the agents by ``records``, prints both tables, strongest first, and returns the ratings."""
    ratings = rate_records(names, records, anchor)
    order = np.argsort(-ratings.elo, kind="stable")
    console.print(_rating_table(ratings, records, order))
    console.print(_crosstable(ratings, order))
    if ratings.warning:
        console.print(f"Warning: {ratings.warning}", highlight=False)
    return ratings


def _rating_table(ratings: RatingTable, records: Sequence[MatchRecord], order: np.ndarray) -> Table:
    zero = f"{ratings.anchor} = 0" if ratings.anchor else "average = 0"
    table = Table(title=f"Elo ({zero}), ± = 95 % interval, LOS = likelihood of being stronger than the next")
    table.add_column("", justify="right")
    table.add_column("agent", overflow="fold")
    for heading in ("Elo", "±", "games", "wins", "draws", "losses", "score", "LOS"):
        table.add_column(heading, justify="right")
    for place, row in enumerate(order):
        name = ratings.names[row]
        results = [record.returns[record.agents.index(name)] for record in records if name in record.agents]
        wins, losses = sum(value > 0 for value in results), sum(value < 0 for value in results)
        played = ratings.games[row].sum()
        following = f"{ratings.superiority[row, order[place + 1]]:.1%}" if place + 1 < len(order) else ""
        table.add_row(
            str(place + 1),
            name,
            f"{ratings.elo[row]:+.0f}",
            f"{ratings.interval[row]:.0f}",
            f"{played:.0f}",
            str(wins),
            str(len(results) - wins - losses),
            str(losses),
            f"{ratings.scores[row].sum() / max(played, 1):.1%}",
            following,
        )
    return table


def _crosstable(ratings: RatingTable, order: np.ndarray) -> Table:
    """Points of each row against each column, and the games they come from."""
    table = Table(title="Points of the row against the column / games")
    table.add_column("", justify="right")
    table.add_column("agent", overflow="fold")
    for place in range(len(order)):
        table.add_column(str(place + 1), justify="right")
    for place, row in enumerate(order):
        cells = [
            f"{ratings.scores[row, column]:g}/{ratings.games[row, column]:g}" if row != column else "–"
            for column in order
        ]
        table.add_row(str(place + 1), ratings.names[row], *cells)
    return table
