"""What each game costs: bytes per state, memory of a game in flight, and seconds of compiling.

    python -m scripts.game_costs                    # every game, some two minutes
    python -m scripts.game_costs chess shogi

A game is started twice, in processes of their own: the first time with no compiled kernels, the second time with those
that the first one left. Seconds are CPU time from the start of Python until every rule of the game has been used once
and random games were played. The search's memory is that of the preset's simulations, with sparse trees that have grown
as far as they do in ``--plies`` plies of 16 games.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

import games
from games import sample_legal
from scripts.program import start

GAMES_IN_FLIGHT = 16


@dataclass(frozen=True)
class Options:
    """Measures bytes per state, search memory per game in flight, and the time of the first and of later starts."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="GAME…")] = ()
    """Which games; by default one of each family."""
    plies: int = 60
    """How far the search plays before its memory is read."""


def use_every_rule(name: str) -> None:
    """Plays random games with every method of the rules."""
    game, rng = games.make(name), np.random.default_rng(0)
    states = game.init(GAMES_IN_FLIGHT)
    for _ in range(40):
        game.observe(states)
        game.hash(states)
        game.step(states, sample_legal(game.legal_action_mask(states), rng))
        states[states["terminated"]] = game.init(1)[0]
    game.returns(states)
    game.parse_state(game.state_to_string(states[0]))
    game.render(states[0])


def search_bytes(name: str, plies: int) -> float:
    """Bytes of search per game in flight, after ``plies`` plies."""
    from agents.search import Search
    from arena.config import preset
    from arena.probes import UniformEvaluator

    game, rng = games.make(name), np.random.default_rng(0)
    search = Search(game, UniformEvaluator(), preset(name).search)
    states, slots = game.init(GAMES_IN_FLIGHT), np.arange(GAMES_IN_FLIGHT)
    for _ in range(plies):
        game.step(states, search.act(states, rng, slots).action)
        states[states["terminated"]] = game.init(1)[0]
    return search.nbytes / GAMES_IN_FLIGHT


def child(task: str, name: str, plies: int) -> None:
    """What a process of its own does; prints one figure."""
    if task == "rules":
        use_every_rule(name)
        print(json.dumps(time.process_time()))
    else:
        print(json.dumps(search_bytes(name, plies)))


def ask(task: str, name: str, plies: int, cache: str | None = None) -> float:
    """Runs ``child`` and returns its figure."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    command = [sys.executable, "-m", "scripts.game_costs", "--child", task, name, str(plies)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout))


def run(options: Options) -> None:
    """Prints the table."""
    console, table = (
        Console(),
        Table("game", "bytes per state", "search, kB per game", "first start, s", "later starts, s"),
    )
    names = options.names or tuple(games.families())
    for name in names:
        games.make(name)
    for name in track(names, "Compiling", console=console, transient=True, disable=not console.is_terminal):
        with tempfile.TemporaryDirectory() as cache:
            first, later = (ask("rules", name, options.plies, cache) for _ in range(2))
        kilobytes = ask("search", name, options.plies) / 1000
        size = games.make(name).dtype.itemsize
        table.add_row(name, f"{size:,}", f"{kilobytes:,.0f}", f"{first:.1f}", f"{later:.1f}")
    console.print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        start(run, Options)
