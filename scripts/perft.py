"""Counts the leaves of a game's tree, move by move.

python -m scripts.perft othello 8
python -m scripts.perft connect_four 6 --state "7/7/7/7/3o3/2xxo2 x"
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated

import tyro

import games
from games import ArenaError
from games.perft import divide


@dataclass(frozen=True)
class Options:
    """Perft with divide: how many sequences of legal moves there are, by first move and in all."""

    game: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="GAME")]
    """The game."""
    depth: Annotated[int, tyro.conf.Positional]
    """Length of the sequences, in plies; 1 or more."""
    state: str | None = None
    """The position they begin in, as the game writes it (state_to_string); by default its start."""


def run(options: Options) -> None:
    """Prints one line per first move, then the sum and the speed."""
    if options.depth < 1:
        raise ArenaError(f"The depth is {options.depth}; give 1 or more.")
    game = games.make(options.game)
    state = game.init(1) if options.state is None else game.parse_state(options.state)
    started = time.perf_counter()
    counts = divide(game, state, options.depth)
    elapsed = time.perf_counter() - started
    for move, count in counts.items():
        print(f"{move}: {count}")
    total = sum(counts.values())
    print(f"perft({options.depth}) = {total:,} ({elapsed:.2f} s, {total / elapsed:,.0f} leaves/s)")


if __name__ == "__main__":
    try:
        run(tyro.cli(Options, prog="python -m scripts.perft"))
    except ArenaError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
