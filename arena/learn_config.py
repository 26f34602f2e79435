"""The configuration of supervised learning: ``arena learn``. See ``arena.config`` for how such a tree is used."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from agents.networks.core import NetworkConfig
from arena.config import ConfigError, OptimizerConfig, merge, network_of, read_toml
from arena.datasets import DATASETS, SETS, Source, kind_of
from arena.machine import GIGABYTE, detect

PRESETS = "learn_presets.toml"
MOST_WORKERS = 16


@dataclass(frozen=True)
class LearnConfig:
    """Trains a network on data: pictures, solved positions, or games that people played.

    Examples:

      arena learn cifar10 --data data --minutes 60

      arena learn wthor --data data --run runs/othello --network.blocks 6

      arena learn wthor --data data --network.backbone transformer --run runs/gpt

      arena learn wthor --run runs/gpt --resume

    What is learned from games plays at once (arena play othello --opponent net:runs/othello), and arena train --init
    goes on from it. Stop it with Ctrl-C at any moment. The defaults below are the preset of the dataset and backbone:
    name them before --help.
    """

    dataset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """What to learn from."""
    run: Annotated[Path | None, tyro.conf.arg(aliases=["-r"])] = None
    """Directory of the run: configuration, metrics and checkpoints. By default runs/DATASET-DATE-TIME; with --resume,
    the newest run of the dataset under runs/."""
    resume: bool = False
    """Go on with a run that stopped, however it stopped."""
    data: Path | None = None
    """Where the data lies: a folder that is searched, or the one file; by default $ARENA_DATA, or ./data."""
    read_as: str = ""
    """Games of people: their game with options, if it is to be played with them; go_19x19:history=3 lets a network see
    the last three positions, and so the last two moves."""
    minutes: float = 10.0
    """Minutes of training in all, those before a resume included."""
    max_steps: int | None = None
    """Stop after this many training steps instead; such a run is exactly repeatable."""
    epochs: float | None = None
    """Stop after having seen the training examples this many times instead; also exactly repeatable."""
    seed: int = 0
    """What every random choice of the run is drawn from."""
    augment: bool = True
    """Show training examples as the symmetries of the game, or shifts and mirror images of a picture, change them."""
    random_tails: float = 0.0
    """Games of people, as moves: share of the training games that go on with random moves from a random ply, which
    shows a network that is told no rules more of what is legal."""
    random_branches: float = 0.0
    """Games of people, as moves: share of people's moves in whose place a random one is to be foreseen, as if the game
    branched off there. It makes for fewer illegal moves, and for chances that are less sure of what people play."""
    label_smoothing: float = 0.0
    """Pictures: how much of each label is spread over all classes."""
    workers: int | None = None
    """Processes that prepare the data; by default one for every core but one, and at most sixteen (they wait once they
    are ahead of the network); 0 = the learner's own."""
    device: str = "auto"
    """Where the network learns: auto, cpu, cuda, cuda:1."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """What networks compute in; auto is bf16 where the hardware has it natively."""
    memory_gb: float = 16.0
    """Cap on the memory of all processes of the run together: beyond it the run saves and stops."""
    report_seconds: float = 10.0
    """Seconds between two lines of report."""
    checkpoint_minutes: float = 2.0
    """Minutes between two checkpoints; at each the network is measured on held-out examples."""
    validation_examples: int = 2000
    """How many held-out examples that takes; the test at the end takes all."""
    init: Path | None = None
    """A run or a checkpoint whose weights to start from; its network settings are used."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    learner: OptimizerConfig = field(default_factory=OptimizerConfig)

    @property
    def subject(self) -> str:
        return self.dataset

    @property
    def source(self) -> Source:
        """The data as the network of this run reads it."""
        network = self.network
        options = self.augment, self.read_as, self.random_tails, self.random_branches
        return Source(self.dataset, self.data, network.reads, network.context, *options)

    @property
    def num_workers(self) -> int:
        """Processes that prepare the data on this machine."""
        return min(MOST_WORKERS, max(1, detect().cores - 1)) if self.workers is None else self.workers

    @property
    def num_threads(self) -> int:
        """CPU threads of the learner: the network is nearly all of the work, so by default every core."""
        return self.learner.threads or detect().cores

    @property
    def memory_cap(self) -> float:
        """In bytes."""
        return self.memory_gb * GIGABYTE

    def check(self) -> None:
        """Raises ConfigError where settings contradict each other or make no sense."""
        kind_of(self.dataset)
        for name, value in (
            ("minutes", self.minutes),
            ("max-steps", 1 if self.max_steps is None else self.max_steps),
            ("epochs", 1 if self.epochs is None else self.epochs),
            ("memory-gb", self.memory_gb),
            ("report-seconds", self.report_seconds),
            ("checkpoint-minutes", self.checkpoint_minutes),
            ("validation-examples", self.validation_examples),
        ):
            if not value > 0:
                raise ConfigError(f"--{name} is {value}; it must be above zero.")
        if self.read_as and self.dataset not in SETS:
            raise ConfigError(f"--read-as is {self.read_as}; {self.dataset} has no games of people: leave it out.")
        for name, share in (("tails", self.random_tails), ("branches", self.random_branches)):
            if not 0 <= share <= 1:
                raise ConfigError(f"--random-{name} is {share}; it must be from 0 to 1.")
            if share and (self.dataset not in SETS or self.network.reads != "moves"):
                raise ConfigError(
                    f"--random-{name} is for networks that read the moves of games of people; leave it out here."
                )
        if self.max_steps is not None and self.epochs is not None:
            raise ConfigError("--max-steps and --epochs both say when to stop; give one of them.")
        if self.workers is not None and self.workers < 0:
            raise ConfigError(f"--workers is {self.workers}; it must be 0 or more.")
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"--label-smoothing is {self.label_smoothing}; it must be at least 0 and below 1.")
        self.learner.check()


def preset(dataset: str, backbone: str | None = None) -> LearnConfig:
    """What ``arena learn DATASET`` does when nothing else is said, with this backbone or that of the preset.

    Raises:
        UnknownNameError: no such dataset or backbone.
    """
    kind_of(dataset)
    tables = tomllib.loads(resources.files("arena").joinpath(PRESETS).read_text(encoding="utf-8"))
    config = LearnConfig(dataset=dataset)
    for name in ("default", dataset):
        config = merge(config, tables.get(name, {}), where=f"arena/{PRESETS} [{name}]")
    if backbone is not None:
        config = dataclasses.replace(config, network=dataclasses.replace(config.network, backbone=backbone))
    for name in (config.network.backbone, f"{dataset}/{config.network.backbone}"):
        config = merge(config, tables.get(name, {}), where=f"arena/{PRESETS} [{name}]")
    return config


def parse(arguments: Sequence[str], prog: str = "arena learn") -> LearnConfig:
    """The configuration that a command line asks for: the preset of the dataset and backbone, or with ``--resume`` that
    of the run, with the options of the command line on top. Prints the help and exits on ``--help``."""
    from arena.checkpoint import newest_run, read_config

    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--run", "-r", type=Path)
    peek.add_argument("--resume", action="store_true")
    peek.add_argument("--init", type=Path)
    peek.add_argument("--network.backbone", dest="backbone")
    known, rest = peek.parse_known_args(list(arguments))
    dataset = next((word for word in rest if word in DATASETS), None)
    if dataset is None and rest and not rest[0].startswith("-"):
        dataset = rest[0]  # no dataset, and ``preset`` says so
    base: Any = LearnConfig(dataset=tyro.MISSING)
    if dataset is not None and known.resume:
        run = known.run if known.run is not None else newest_run(dataset, read=from_toml)
        base = dataclasses.replace(read_config(run, from_toml), run=run)
    elif dataset is not None:
        base = preset(dataset, known.backbone)
        if known.init is not None:
            base = dataclasses.replace(base, network=network_of(known.init))
    description = inspect.getdoc(LearnConfig)
    config = tyro.cli(LearnConfig, prog=prog, description=description, args=list(arguments), default=base)
    config.check()
    return config


def from_toml(text: str, where: str) -> LearnConfig:
    """The inverse of ``arena.config.to_toml``; ``where`` is the file's name, for the errors.

    Raises:
        ConfigError: not TOML, not that of supervised learning, an unknown key or a value of the wrong type.
    """
    table = read_toml(text, where)
    if not isinstance(table.get("dataset"), str):
        raise ConfigError(f"{where} is not the configuration of a run of supervised learning: it names no dataset.")
    return merge(LearnConfig(dataset=table["dataset"]), table, where)
