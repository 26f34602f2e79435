"""The backbones side by side on the classic Connect Four positions of eight stones: what each learns, and how it plays.

    python -m scripts.backbones --plan     # only says what there is to do, and how long it takes here
    python -m scripts.backbones            # does what is missing, hours in all; writes docs/backbones.md and .svg

Networks with one, two and three hidden layers, a ResNet and the small AlexNet, all with about as many parameters, learn
from the same positions for as many epochs (``arena learn``), several seeds each; then all of them meet in one rated
tournament (``arena tournament``). Stop it whenever you like: the same command goes on.

The set says who wins and not by which move, so what these networks have learned is a value, and they play by that:
``simulations=7`` looks once at what each of the seven moves leads to, and ``c_scale`` makes that decide. The games open
with seven random plies, so that the first look is at positions such as they have learned from.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

import agents
import games
from agents.files import write_atomically
from agents.networks.core import NetworkConfig, build_network
from arena.config import OptimizerConfig
from arena.datasets import open_dataset
from arena.learn_config import LearnConfig, preset
from arena.machine import detect
from arena.metrics import read_last
from arena.ratings import Z_95, RatingTable
from arena.supervised import learn, make_learner
from arena.tournament import SETTINGS, Settings, Tournament
from games import ArenaError
from scripts.program import start, svg_figure

GAME, DATASET = "connect_four", "connect_four_8ply"
DOCS = Path(__file__).resolve().parent.parent / "docs"
ANCHORS = ("mcts:simulations=100", "random")
"""Agents without a network that play along; the first one's rating is 0."""
OPENING_PLIES = 7
PLAYS_BY_VALUE = "simulations=7,c_scale=100"
ARMS: dict[str, tuple[str, Callable[[int], dict[str, Any]]]] = {
    "mlp-1": ("MLP, 1 hidden layer", lambda size: {"backbone": "mlp", "hidden": (size,)}),
    "mlp-2": ("MLP, 2 hidden layers", lambda size: {"backbone": "mlp", "hidden": (size,) * 2}),
    "mlp-3": ("MLP, 3 hidden layers", lambda size: {"backbone": "mlp", "hidden": (size,) * 3}),
    "resnet": ("ResNet, 4 blocks", lambda size: {"backbone": "resnet", "blocks": 4, "channels": size}),
    "alexnet": (
        "AlexNet-small",
        lambda size: {"backbone": "alexnet_small", "channels": -(-size // 8), "hidden": (size,) * 2},
    ),
}
"""By name: how the write-up calls it, and its network settings by a size that decides how many parameters it has."""


@dataclass(frozen=True)
class Options:
    """Trains every backbone on the positions of eight stones, rates them all, and writes it up."""

    plan: bool = False
    """Only say what there is to do, and how long it takes here."""
    parameters: int = 200_000
    """How many parameters each network has, as near as its shape can come."""
    epochs: float = 10.0
    """How often each of them sees every training position."""
    batch_size: int = 512
    """Positions in one training step."""
    seeds: int = 3
    """Seeds of each backbone, from 0."""
    games: int = 20
    """Games of every two networks."""
    workers: int | None = None
    """Processes that prepare the data, as arena learn takes it."""
    threads: int | None = None
    """CPU threads of the learner, as arena learn takes it."""
    data: Path | None = None
    """Another file of outcomes than the one that comes with the package."""
    out: Path = Path("runs/backbones")
    """Where the runs and the tournament lie."""
    docs: Path = DOCS
    """Where the write-up goes."""


@dataclass(frozen=True)
class Run:
    """One training run."""

    arm: str
    seed: int
    config: LearnConfig

    @property
    def path(self) -> Path:
        assert self.config.run is not None
        return self.config.run

    @property
    def agent(self) -> str:
        """What plays the tournament."""
        return f"net:{self.path},{PLAYS_BY_VALUE}"

    @property
    def is_done(self) -> bool:
        return (self.path / "metrics.jsonl").is_file() and self.result() is not None

    def result(self) -> dict[str, Any] | None:
        """What the test split said; None: it has not been asked."""
        try:
            return read_last(self.path, "test")
        except KeyError:
            return None


@cache
def network_of(arm: str, parameters: int) -> NetworkConfig:
    """The network of an arm whose number of parameters is nearest to ``parameters``."""
    base, shape = preset(DATASET).network, ARMS[arm][1]
    low, high = 0, 1
    while count_parameters(dataclasses.replace(base, **shape(high))) < parameters:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        fewer = count_parameters(dataclasses.replace(base, **shape(middle))) < parameters
        low, high = (middle, high) if fewer else (low, middle)
    found = [dataclasses.replace(base, **shape(size)) for size in (low, high) if size]
    return min(found, key=lambda config: abs(count_parameters(config) - parameters))


@cache
def count_parameters(config: NetworkConfig) -> int:
    """Of the network with its heads, for Connect Four."""
    spec = games.make(GAME).spec
    network = build_network(config, spec.observation_shape, spec.num_actions)
    return sum(parameter.numel() for parameter in network.parameters())


def planned(options: Options) -> list[Run]:
    """All runs, the first seed of every arm first."""
    runs = []
    for seed in range(options.seeds):
        for arm in ARMS:
            network = network_of(arm, options.parameters)
            base = preset(DATASET, network.backbone)
            changed = {"batch_size": options.batch_size, "threads": options.threads}
            learner: OptimizerConfig = dataclasses.replace(base.learner, **changed)
            path = options.out / f"{arm}-{seed}"
            changes = {"seed": seed, "epochs": options.epochs, "data": options.data, "workers": options.workers}
            config = dataclasses.replace(base, run=path, network=network, learner=learner, **changes)
            runs.append(Run(arm, seed, config))
    return runs


def estimate(options: Options, runs: list[Run]) -> str:
    """How long the runs that are missing take here, by a few steps of each kind."""
    dataset = open_dataset(runs[0].config.source)
    steps = max(1, math.ceil(options.epochs * dataset.sizes["train"] / options.batch_size))
    batch = dataset.batch("train", np.arange(options.batch_size) % dataset.sizes["train"])
    seconds, lines = 0.0, []
    for arm, (title, _) in ARMS.items():
        missing = [run for run in runs if run.arm == arm and not run.is_done]
        if not missing:
            continue
        learner = make_learner(missing[0].config, dataset.spec, seed=0)
        learner.step(batch, 0.0)
        started, done = time.monotonic(), 0
        while done < 3 or time.monotonic() - started < 1:
            learner.step(batch, 0.0)
            done += 1
        each = steps * (time.monotonic() - started) / done
        seconds += each * len(missing)
        size = count_parameters(missing[0].config.network)
        lines.append(f"  {len(missing)} × {title}, {size} parameters: {steps} steps, about {each / 60:.1f} min each")
    lines.append(f"About {seconds / 3600:.1f} hours of training on {detect().cores} core(s), then the tournament.")
    return "\n".join(lines)


def train_all(runs: list[Run]) -> None:
    """Trains what is missing, one run after the other; each uses all cores.

    Raises:
        ArenaError: among others, somebody stopped a run.
    """
    missing = [run for run in runs if not run.is_done]
    for number, run in enumerate(missing, start=1):
        print(f"\n== run {number} of {len(missing)}: {run.arm}, seed {run.seed}", flush=True)
        learn(dataclasses.replace(run.config, resume=(run.path / "config.toml").is_file()))
        if not run.is_done:
            raise ArenaError(f"{run.path} is not finished; the same command goes on.")


def play_all(options: Options, runs: list[Run]) -> RatingTable:
    """Plays what is missing of the tournament of all networks, and rates it."""
    names = (*ANCHORS, *(run.agent for run in runs))
    directory = options.out / "tournament"
    settings = Settings(GAME, names, games=options.games, opening_plies=(OPENING_PLIES, OPENING_PLIES))
    open_ = Tournament.resume if (directory / SETTINGS).exists() else Tournament.create
    tournament = open_(directory, settings)
    total = len(names) * (len(names) - 1) // 2 * options.games
    print(f"\n== tournament: {len(tournament.records)} of {total} games played", flush=True)
    started = time.monotonic()
    tournament.play([agents.make(name, tournament.game) for name in names])
    print(f"{len(tournament.records)} games; {time.monotonic() - started:.0f} s in this session.")
    return tournament.ratings({ANCHORS[0]: 0.0})


# ---- writing it up ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One arm in the write-up: of each figure the mean over seeds, and how far apart seeds are.

    Attributes:
        accuracy, log_loss, calibration: of the outcome, on the test split.
        minutes: of training.
        elo: mean rating of its networks.
        interval: half the width of the mean's 95 % interval, given these networks.
        elos: of each network.
    """

    title: str
    parameters: int
    accuracy: list[float]
    log_loss: list[float]
    calibration: list[float]
    minutes: list[float]
    elo: float
    interval: float
    elos: list[float]


def summarise(runs: list[Run], ratings: RatingTable) -> list[Row]:
    """One row for each arm."""
    rows = []
    for arm, (title, _) in ARMS.items():
        mine = [run for run in runs if run.arm == arm]
        found = [result for run in mine if (result := run.result()) is not None]
        places = [ratings.names.index(run.agent) for run in mine]
        variance = ratings.covariance[np.ix_(places, places)].mean()
        rows.append(
            Row(
                title,
                count_parameters(mine[0].config.network),
                [record["outcome_top1"] for record in found],
                [record["outcome_log_loss"] for record in found],
                [record["outcome_calibration_error"] for record in found],
                [record["seconds"] / 60 for record in found],
                float(ratings.elo[places].mean()),
                Z_95 * math.sqrt(max(float(variance), 0.0)),
                ratings.elo[places].tolist(),
            )
        )
    return rows


def guess(run: Run) -> tuple[float, float]:
    """Accuracy and log-loss on the test split of whoever only knows how often each outcome is in the training split."""
    dataset = open_dataset(run.config.source)
    values = {split: dataset.batch(split, np.arange(dataset.sizes[split])).value_target for split in ("train", "test")}
    shares = np.array([(values["train"] == outcome).mean() for outcome in (-1, 0, 1)])
    there = np.array([(values["test"] == outcome).mean() for outcome in (-1, 0, 1)])
    return float(there[shares.argmax()]), float(-(there * np.log(shares)).sum())


def write_up(options: Options, runs: list[Run], ratings: RatingTable) -> None:
    """Writes backbones.md and backbones.svg."""
    rows = summarise(runs, ratings)
    text = as_markdown(options, rows, ratings, guess(runs[0]))
    options.docs.mkdir(parents=True, exist_ok=True)
    write_atomically(options.docs / "backbones.md", text.encode())
    draw(rows, options.docs / "backbones.svg")
    print(f"Wrote {options.docs / 'backbones.md'} and {options.docs / 'backbones.svg'}.")


def as_markdown(options: Options, rows: list[Row], ratings: RatingTable, guessed: tuple[float, float]) -> str:
    """The write-up."""
    machine = detect()
    threads = options.threads or machine.cores
    elo = {name: ratings.elo[ratings.names.index(name)] for name in ANCHORS}
    lines = [
        "# Five backbones on the positions of eight stones",
        "",
        "Written by `python -m scripts.backbones`. Every network has about "
        f"{options.parameters:,} parameters, its heads included, and saw the training positions of the classic Connect "
        f"Four set {options.epochs:g} times, as they are or mirrored; {options.seeds} seed(s) each, mean ± standard "
        f"deviation over them. Accuracy, log-loss (nats) and calibration error are of win, draw or loss with perfect "
        f"play, on test positions; whoever only knows the shares of the three is right in {guessed[0]:.1%}, with a "
        f"log-loss of {guessed[1]:.3f}. Minutes are of training with {threads} thread(s) of PyTorch on: "
        f"{machine.processor}.",
        "",
        "| backbone | parameters | test accuracy, % | log-loss | calibration error, % | minutes | Elo |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [
            row.title,
            f"{row.parameters:,}",
            _spread([100 * share for share in row.accuracy], 2),
            _spread(row.log_loss, 4),
            _spread([100 * share for share in row.calibration], 2),
            _spread(row.minutes, 1),
            f"{row.elo:.0f} ± {row.interval:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"Elo: mean of the backbone's networks in one round-robin of all of them, {options.games} games of every two, "
        f"each opening of {OPENING_PLIES} random plies from both seats; ± is a 95 % interval for these networks and "
        "says nothing of other seeds, whose ratings are the dots below. The set says who wins and not by which move, "
        f"so networks play by their value: `{PLAYS_BY_VALUE}` looks once at what each move leads to. Held at 0: "
        f"`{ANCHORS[0]}`; `{ANCHORS[1]}` has {elo[ANCHORS[1]]:.0f}.",
        "",
        "![Elo against log-loss](backbones.svg)",
        "",
    ]
    return "\n".join(lines)


def _spread(values: list[float], digits: int) -> str:
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{spread}"


def draw(rows: list[Row], path: Path) -> None:
    """One dot for each network: how well it plays against how well it knows the test positions."""
    with svg_figure(path, 6.4, 4.0) as axes:
        for row in rows:
            axes.plot(row.log_loss, row.elos, "o", label=row.title)
        axes.set(xlabel="log-loss on the test positions", ylabel=f"Elo over {ANCHORS[0]}")
        axes.grid(alpha=0.3)
        axes.legend()


def main(options: Options) -> None:
    """Does what is missing, and writes up what there is.

    Raises:
        ArenaError: settings that make no sense, or the positions are not solved yet.
    """
    for name in ("parameters", "epochs", "batch_size", "seeds"):
        if not getattr(options, name) > 0:
            raise ArenaError(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be above zero.")
    runs = planned(options)
    if any(not run.is_done for run in runs):
        print(estimate(options, runs), flush=True)
    if options.plan:
        return
    train_all(runs)
    write_up(options, runs, play_all(options, runs))


if __name__ == "__main__":
    start(main, Options, goes_on=True)
