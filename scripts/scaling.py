"""How training grows with cores, and what a search costs: two tables, docs/scaling.md.

    python -m scripts.scaling --checkpoint runs/c4

**Workers.** The loop of ``arena train`` runs as it is, on Ray, with 1, 2, 4, … workers that are *simulated*: each lies
idle for as long as a real one takes for a portion of games on a core of its own (measured first), then hands over the
same games again. So the driver does all that it would do on a machine with so many cores (fetching, writing, storing,
drawing, learning, publishing), and how far it keeps up is measured and not guessed. The learner is this machine's own,
or simulated as well, taking no time, as a GPU nearly does. What is not simulated: that cores of one machine share its
memory and its clock.

**Search.** Moves chosen in random positions with an empty tree and cache, by simulations a move and games at once.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch start their threads

import dataclasses
import functools
import io
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from agents.files import write_atomically
from agents.network_evaluator import NetworkEvaluator, use_one_thread
from agents.networks.files import find_network, load_network
from agents.search import EvaluationCache, Search
from arena import checkpoint
from arena.config import TrainConfig, preset
from arena.metrics import Reporter
from arena.probes import random_positions
from arena.records import SampleBatch
from arena.session import drive
from arena.train import Training
from arena.worker import Portion, SelfPlayWorker
from games import ArenaError, Game
from scripts.program import start, svg_figure

Array = np.ndarray
DOCS = Path(__file__).resolve().parent.parent / "docs"
PARTS = ("learning", "sampling", "storing", "publishing")


@dataclass(frozen=True)
class Options:
    """Measures how training grows with workers, and what a search costs."""

    checkpoint: Path
    """A run of arena train, or one checkpoint: the network that plays."""
    game: str = "connect_four"
    """The game, with its preset."""
    workers: tuple[int, ...] = (1, 2, 4, 8, 16)
    """How many workers to simulate; each is a process of some 300 MB."""
    seconds: float = 30.0
    """Of training for each number of workers, once they have started."""
    simulations: tuple[int, ...] = (8, 16, 32, 64, 128)
    """Simulations a move of the second table."""
    games_in_flight: tuple[int, ...] = (32, 128, 512, 2048)
    """Games at once of the second table."""
    rounds: int = 3
    """Measurements of each of its cells; the median counts."""
    out: Path = DOCS
    """Where scaling.md and scaling.svg are written."""


class IdleWorker:
    """Stands in for a worker with a core of its own: waits as long as that would take, and hands over ``portion``.

    Args:
        portion: games that a real worker played.
        seconds: how long that took.
    """

    def __init__(self, portion: Portion, seconds: float, *_: object) -> None:
        self._portion, self._seconds = portion, seconds

    def set_weights(self, weights: Mapping[str, Array], version: int) -> None:
        """They came, as they would have."""

    def play(self) -> Portion:
        """The same games again, ``seconds`` later."""
        time.sleep(self._seconds)
        return self._portion

    def state(self) -> dict[str, Any]:
        """Nothing: no run of these is saved to be resumed."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See ``state``."""


def warm_up(workers: int) -> float:
    """Seconds until all have started, which keeps this machine's cores busy, and have handed something over."""
    return 5.0 + 2.0 * workers


class Rehearsal(Training):
    """Training with idle workers, which counts what came in after a while of warming up.

    Args:
        config, run, reporter: as ``Training`` takes them.
        portion, seconds: of each worker, see ``IdleWorker``.
        learns: whether the learner computes; otherwise its steps take no time.

    Attributes:
        found: in the end, since it was warm: positions a second that came in and were learned from, and the driver's
            shares of the time in percent.
    """

    def __init__(
        self, config: TrainConfig, run: Path, reporter: Reporter, portion: Portion, seconds: float, *, learns: bool
    ) -> None:
        super().__init__(config, run, reporter, functools.partial(IdleWorker, portion, seconds))
        self.found: dict[str, float] = {}
        self._warm_since, self._warm = 0.0, (0.0, 0.0)
        self._learns = learns
        if not learns:
            self.learner.step = self._step_for_nothing

    def _step_for_nothing(self, batch: SampleBatch, progress: float) -> None:
        self.learner.steps += 1

    def round(self) -> None:
        super().round()
        # The replay's first positions are not learned from at once.
        if not self._warm_since and self.samples > 0 and self.seconds > warm_up(self.shares.workers):
            self._warm_since, self._warm = time.monotonic(), self._positions()
            self.stopwatch.take()

    def loop(self) -> None:
        super().loop()
        if not self._warm_since:
            raise ArenaError("The time was over before there was enough to learn from; give more --seconds.")
        elapsed, spent = time.monotonic() - self._warm_since, self.stopwatch.take()
        if not self._learns:
            spent.pop("learning", None)  # another process had the core in the middle of a step that takes no time
        self.found = {part: 100 * spent.get(part, 0.0) / elapsed for part in PARTS}
        # Workers run ahead of a slow learner for a while before they are told to wait; a fast one catches up at first.
        self.found["positions"] = (
            min(now - then for now, then in zip(self._positions(), self._warm, strict=True)) / elapsed
        )

    def _positions(self) -> tuple[float, float]:
        """How many came in so far, and for how many the learner has drawn its samples."""
        return self.replay.total_positions, self.samples / self.config.learner.samples_per_position

    def finish(self, path: Path) -> None:
        """There is no network to measure or to play against."""
        assert self.pool is not None
        self.pool.close()


def real_portion(config: TrainConfig, weights: dict[str, Array]) -> tuple[Portion, float]:
    """A portion of games of a real worker, and the seconds that it took on one core: the median of five."""
    worker = SelfPlayWorker(config, 0, 0, 0)
    worker.set_weights(weights, 1)
    ended = 0
    while ended < config.self_play.slots:  # until games of all lengths end
        ended += worker.play().shard.num_games
    portions = sorted((worker.play() for _ in range(5)), key=lambda portion: portion.stats.seconds)
    return portions[2], portions[2].stats.seconds


def rehearse(config: TrainConfig, workers: int, portion: Portion, seconds: float, *, learns: bool) -> dict[str, float]:
    """Trains with ``workers`` idle workers; what it ``found``."""
    sessions: list[Rehearsal] = []
    with tempfile.TemporaryDirectory() as scratch:
        minutes = config.minutes + warm_up(workers) / 60
        config = dataclasses.replace(config, run=Path(scratch) / "run", workers=workers, minutes=minutes)
        run, reporter = checkpoint.open_run(config), Reporter("scaling", Console(file=io.StringIO()))

        def make() -> Rehearsal:
            sessions.append(Rehearsal(config, run, reporter, portion, seconds, learns=learns))
            return sessions[0]

        drive(make, run, reporter, resume="")
    return sessions[0].found


def search_cost(game: Game, evaluator: NetworkEvaluator, config: TrainConfig, options: Options) -> list[list[float]]:
    """Simulations a second: a row for each number of games at once, a column for each number of simulations."""
    rng = np.random.default_rng(0)
    cells = [(number, count) for number in options.games_in_flight for count in options.simulations]
    found: dict[tuple[int, int], list[float]] = {cell: [] for cell in cells}
    for _ in range(options.rounds):
        for number, count in track(cells, "searching", console=Console(stderr=True), transient=True):
            search_config = dataclasses.replace(config.search, simulations=count)
            search = Search(game, evaluator, search_config, cache=EvaluationCache(megabytes=128))
            states = random_positions(game, number, np.random.default_rng(1))
            started = time.perf_counter()
            search.act(states, rng)
            found[number, count].append(number * count / (time.perf_counter() - started))
    return [[median(found[number, count]) for count in options.simulations] for number in options.games_in_flight]


def main(options: Options) -> None:
    """Measures both, and writes docs/scaling.md and docs/scaling.svg.

    Raises:
        ArenaError: no such game, no network for it, or numbers that are not above zero.
    """
    for name in ("workers", "seconds", "simulations", "games_in_flight", "rounds"):
        values = np.atleast_1d(getattr(options, name))
        if not len(values) or not (values > 0).all():
            raise ArenaError(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be above zero.")
    use_one_thread()
    config = preset(options.game)
    config = dataclasses.replace(
        config,
        minutes=options.seconds / 60,
        checkpoint_minutes=1e6,
        report_seconds=1e6,
        judge=dataclasses.replace(config.judge, enabled=False),
    )
    game = config.make_game()
    network, metadata = load_network(find_network(options.checkpoint), game)
    config = dataclasses.replace(config, network=metadata.config)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    portion, seconds = real_portion(config, weights)
    positions = portion.shard.num_positions
    print(f"A worker on one core takes {seconds:.2f} s for {positions} positions: {positions / seconds:.0f}/s.")
    runs = {}
    for learns in (True, False):
        for number in options.workers:
            found = runs[learns, number] = rehearse(config, number, portion, seconds, learns=learns)
            shares = ", ".join(f"{part} {found[part]:.0f} %" for part in PARTS)
            print(f"{number} workers, learner {'real' if learns else 'free'}: {found['positions']:.0f}/s; {shares}")
    costs = search_cost(game, NetworkEvaluator(game, network, device="cpu"), config, options)
    write_atomically(options.out / "scaling.md", report(options, config, positions / seconds, runs, costs).encode())
    draw(options, positions / seconds, runs, costs)
    print(f"Wrote {options.out / 'scaling.md'} and scaling.svg.")


def report(
    options: Options,
    config: TrainConfig,
    one: float,
    runs: dict[tuple[bool, int], dict[str, float]],
    costs: list[list[float]],
) -> str:
    """The tables in words."""
    lines = [
        f"# How training grows with workers: {options.game}",
        "",
        "Written by `python -m scripts.scaling`. **The workers are simulated**: each is a process that waits as long "
        f"as a real worker takes on a core of its own ({one:.0f} positions/s) and hands over games that one played. "
        "Everything else is the loop of `arena train`, at work for real: how many positions a second came in and were "
        f"learned from, each in {config.learner.samples_per_position:g} samples, what share that is of those that so "
        "many workers can make, and where the driver's time went. A learner that is free takes no time for its steps; "
        "a real one has the threads that this machine gives it, and self-play waits for it when it is behind.",
        "",
        "| learner | workers | positions/s | of what they can make | " + " | ".join(PARTS) + " |",
        "|---|---:|---:|---:|" + "---:|" * len(PARTS),
    ]
    for (learns, number), found in runs.items():
        cells = [f"{found['positions']:,.0f}", f"{found['positions'] / (number * one):.0%}"]
        cells += [f"{found[part]:.0f} %" for part in PARTS]
        lines.append(f"| {'real' if learns else 'free'} | {number} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "# What a search costs",
        "",
        f"Thousands of simulations a second on one core, with an empty tree and cache, medians of {options.rounds}.",
        "",
        "| games at once | " + " | ".join(f"{count} simulations" for count in options.simulations) + " |",
        "|---:|" + "---:|" * len(options.simulations),
    ]
    for number, row in zip(options.games_in_flight, costs, strict=True):
        lines.append(f"| {number} | " + " | ".join(f"{cell / 1000:.1f}" for cell in row) + " |")
    return "\n".join([*lines, "", "![both](scaling.svg)", ""])


def draw(
    options: Options, one: float, runs: dict[tuple[bool, int], dict[str, float]], costs: list[list[float]]
) -> None:
    """Positions against workers, and simulations a second against simulations a move."""
    with svg_figure(options.out / "scaling.svg", 10, 4, ncols=2) as (left, right):
        for learns, name in ((False, "learner free"), (True, "learner of this machine")):
            heights = [runs[learns, number]["positions"] for number in options.workers]
            left.plot(options.workers, heights, marker="o", label=name)
        left.plot(options.workers, [one * number for number in options.workers], "k:", label="what they can make")
        left.set(xscale="log", yscale="log", xlabel="simulated workers", ylabel="positions a second")
        left.set_xticks(options.workers, [str(number) for number in options.workers])
        for number, row in zip(options.games_in_flight, costs, strict=True):
            right.plot(options.simulations, [cell / 1000 for cell in row], marker="o", label=f"{number} games at once")
        right.set(xscale="log", xlabel="simulations a move", ylabel="thousand simulations a second")
        right.set_xticks(options.simulations, [str(count) for count in options.simulations])
        for axis in (left, right):
            axis.minorticks_off()
            axis.grid(alpha=0.3)
            axis.legend()


if __name__ == "__main__":
    start(main, Options)
