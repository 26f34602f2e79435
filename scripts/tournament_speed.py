"""How much faster a tournament is than its games one after the other, each network asked about one position at a time.

    python -m scripts.tournament_speed runs/a runs/b                # 1,000 games of Connect Four at 64 simulations

Both ways play by the same code on one core, in one run: first all games with many in flight, then some of the same
games again with one in flight, from empty caches. Times are of the processor, so that other work counts less.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch start their threads

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

import agents
import games
from arena.benchmark import one_core
from arena.formats import Fixture, RoundRobin
from arena.match import default_opening_plies, play_fixtures
from arena.opening_book import RandomOpeningBook
from arena.records import MatchRecord
from scripts.program import start


@dataclass(frozen=True)
class Options:
    """Plays a match of two networks both ways and compares the time a game takes."""

    runs: tyro.conf.Positional[tuple[Path, Path]]
    """Two runs, or checkpoints, of the same game."""
    game: str = "connect_four"
    """What they play."""
    games: int = 1000
    """Games with many in flight."""
    simulations: int = 64
    """Of every move."""
    in_flight: Annotated[int, tyro.conf.arg(metavar="INT")] = 1000
    """Games in flight."""
    single_games: int = 24
    """How many of the games are played one after the other, spread evenly over all."""


def timed(options: Options, fixtures: Sequence[Fixture], slots: int) -> tuple[float, float, dict[Fixture, MatchRecord]]:
    """Games per second of the processor and of the wall, and the games."""
    game = games.make(options.game)
    players = {f"{run}": agents.make(f"net:{run},simulations={options.simulations}", game) for run in options.runs}
    for agent in players.values():  # what is compiled is compiled before the clock starts
        agent.act(game.init(2), np.random.default_rng(0))
        agent.reset()
    book = RandomOpeningBook(game, default_opening_plies(game), seed=0)
    cpu, wall = time.process_time(), time.perf_counter()
    played = [r for batch in play_fixtures(game, players, fixtures, book, seed=0, slots=slots) for r in batch]
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    records = {Fixture(record.agents[0], record.agents[1], record.number): record for record in played}
    print(f"{len(played)} games, {slots} in flight: {cpu:.1f} s of the processor, {wall:.1f} s in all", flush=True)
    return len(played) / cpu, len(played) / wall, records


def run(options: Options) -> None:
    """Prints the times of both ways and their ratio."""
    print(f"{options.game}, {options.simulations} simulations a move; {one_core()}")
    fixtures = list(RoundRobin([str(run) for run in options.runs], options.games).fixtures({}))
    many_cpu, many_wall, many = timed(options, fixtures, options.in_flight)
    gc.collect()  # the agents, and with them their caches, are gone
    some = fixtures[:: max(1, len(fixtures) // options.single_games)][: options.single_games]
    one_cpu, one_wall, one = timed(options, some, slots=1)
    differ = sum(many[fixture] != record for fixture, record in one.items())
    print(
        f"{many_cpu / one_cpu:.1f} times as many games per second of the processor, {many_wall / one_wall:.1f} in all;"
    )
    print(f"{differ} of the {len(one)} games played both ways differ.")


if __name__ == "__main__":
    start(run, Options)
