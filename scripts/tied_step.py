"""How long a training step of Othello's transformer takes: its weights free, tied, and tied in the basis.

    python -m scripts.tied_step                       # on one thread, in float32
    python -m scripts.tied_step --threads 2 --precision auto

The networks are those of ``arena learn wthor``, the games are noise. Each makes a step in turn; the table has medians,
and what they come to beside the free one. What is tied, and in what basis, is told in agents/networks/equivariant.py
and agents/networks/factored.py.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import games
from agents.histories import FIRST_ACTION, START, as_seen
from agents.networks.factored import unfactor
from arena.datasets import SequenceBatch
from arena.learn_config import preset
from arena.supervised import SequenceLearner
from scripts.program import start


@dataclass(frozen=True)
class Options:
    """Measures training steps of a transformer with free and with tied weights."""

    width: int | None = None
    """Features of a ply; by default those of the preset."""
    batch: int | None = None
    """Games in a step; by default those of the preset."""
    threads: int = 1
    """CPU threads."""
    precision: str = "fp32"
    """fp32, bf16, or auto: bf16 where it is native. In bf16 what is tied is multiplied as if it were free."""
    steps: int = 7
    """Steps of each, after one that is not counted."""


def run(options: Options) -> None:
    """Prints the table."""
    config, game = preset("wthor", "transformer"), games.make("othello")
    tied = replace(config.network, width=options.width or config.network.width)
    seen, batch_size = as_seen(game, "moves", tied.context).spec, options.batch or config.learner.batch_size
    arms = {"free": replace(tied, equivariant=False), "tied": tied, "tied, in the basis": tied}
    learners = {
        name: SequenceLearner(seen, network, config.learner, 0, threads=options.threads, precision=options.precision)
        for name, network in arms.items()
    }
    unfactor(learners["tied"].network)
    rng, plies = np.random.default_rng(0), min(60, tied.context)
    moves = rng.integers(0, seen.num_actions, (batch_size, plies))
    inputs = np.concatenate([np.full((batch_size, 1), START), moves[:, :-1] + FIRST_ACTION], axis=1)
    batch = SequenceBatch(inputs, moves, np.zeros(moves.shape, np.float32))
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    console = Console()
    for step in track(range(options.steps + 1), "Learning", console=console, disable=not console.is_terminal):
        for name, learner in learners.items():
            started = time.perf_counter()
            learner.step(batch, 0.5)
            if step:
                seconds[name].append(time.perf_counter() - started)
    table = Table("weights", "learned numbers", "a step, ms", "beside free")
    free = statistics.median(seconds["free"])
    for name, learner in learners.items():
        median = statistics.median(seconds[name])
        table.add_row(name, f"{learner.num_parameters:,}", f"{1000 * median:,.0f}", f"{median / free:.2f}")
    console.print(table)


if __name__ == "__main__":
    start(run, Options)
