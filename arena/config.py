"""The configuration of a training run: one tree of frozen dataclasses.

The docstring under each field is what ``arena train --help`` prints, ``presets.toml`` holds what is right for each
game, and every run keeps a fully resolved ``config.toml``, from which it resumes.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import inspect
import json
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

import tyro

import games
from agents.histories import as_seen
from agents.network_evaluator import best_device
from agents.networks.core import NetworkConfig
from agents.search import SearchConfig
from arena.machine import Shares, detect, share_out
from arena.replay import ReplayConfig
from arena.self_play import SelfPlayConfig
from games import ArenaError, Game, UnknownNameError
from games.registry import unknown_name

Config = TypeVar("Config")


class RunConfig(Protocol):
    """What every kind of run has in its configuration: where it lies, and what it is about."""

    @property
    def run(self) -> Path | None: ...
    @property
    def resume(self) -> bool: ...
    @property
    def subject(self) -> str:
        """The game, or the set of data, that is learned; what stands behind the command."""
        ...


class ConfigError(ArenaError):
    """A configuration that is not one: an unknown key, a value of the wrong type, settings that contradict."""


@dataclass(frozen=True)
class OptimizerConfig:
    """How a network learns: a warm-up, then the highest rate, then a cosine, with an exponential moving average that
    plays."""

    batch_size: int = 512
    """Positions in one training step."""
    learning_rate: float = 2e-3
    """The highest learning rate, reached after the warm-up."""
    final_learning_rate: float = 0.02
    """Where the cosine ends, as a fraction of the highest learning rate."""
    decay_from: float = 0.0
    """Where the cosine begins, as a share of the run; before that the rate stays the highest."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """Muon (Jordan et al., 2024) for the weights of hidden layers and AdamW for the others, or AdamW for all."""
    muon_scale: float = 10.0
    """Muon: its learning rate, as a multiple of that of AdamW."""
    warmup_steps: int = 50
    """Steps over which the learning rate rises from zero."""
    weight_decay: float = 1e-4
    """Decoupled weight decay of matrices and filters; biases and normalisation have none."""
    gradient_clip: float = 2.0
    """The longest gradient (Euclidean norm) that is taken as it is; longer ones are shortened to it."""
    value_loss_weight: float = 1.0
    """How much the loss of the value counts beside the cross-entropy of the policy."""
    ema: float = 0.997
    """Decay per step of the moving average of the weights, which is what plays; 0 = the newest weights play."""
    threads: int | None = None
    """CPU threads of the learner; by default a quarter of the cores, and at least one."""

    def check(self) -> None:
        """Raises ConfigError where a setting makes no sense."""
        for name, value, lowest in (
            ("batch-size", self.batch_size, 1),
            ("threads", 1 if self.threads is None else self.threads, 1),
        ):
            if value < lowest:
                raise ConfigError(f"--learner.{name} is {value}; it must be at least {lowest}.")
        for name, number in (("learning-rate", self.learning_rate), ("muon-scale", self.muon_scale)):
            if not number > 0:
                raise ConfigError(f"--learner.{name} is {number}; it must be above zero.")
        for name, share in (("ema", self.ema), ("decay-from", self.decay_from)):
            if not 0 <= share < 1:
                raise ConfigError(f"--learner.{name} is {share}; it must be at least 0 and below 1.")


@dataclass(frozen=True)
class LearnerConfig(OptimizerConfig):
    """How the network learns from self-play, with a moving average that plays."""

    samples_per_position: float = 2.0
    """How often each new position is trained on, on average: self-play and learning wait for each other."""
    minimum_positions: int = 8192
    """Positions in the replay before the first training step."""
    publish_steps: int = 40
    """Training steps between two publications of new weights to the self-play workers."""


@dataclass(frozen=True)
class JudgeConfig:
    """How the newest checkpoint is measured as the run goes: by matches and, in solved games, by accuracy."""

    enabled: bool = True
    """Whether to measure at all."""
    share: float = 0.05
    """The largest part of the machine's processor time that the judge may take; to keep it, it skips checkpoints."""
    games: int = 32
    """Games against the previous snapshot and against each anchor; even, since seats are swapped."""
    simulations: int = 32
    """Simulations per move of the network in those games."""
    anchors: tuple[str, ...] = ("mcts:simulations=100", "random")
    """Opponents that never change, as arena play --opponent takes them; one that is clearly beaten is met no more."""
    accuracy_simulations: int = 64
    """In solved games: simulations of the second accuracy figure, beside that of the raw policy; 0 = leave it out."""
    accuracy_every: int = 3
    """In solved games: the second figure is measured at every this many examinations, and at the end."""
    accuracy_positions: int = 100
    """In solved games: positions per class of the second figure."""


@dataclass(frozen=True)
class TrainConfig:
    """Trains a network from scratch by self-play.

    Examples:

      arena train connect_four

      arena train connect_four --run runs/c4 --minutes 60 --network.blocks 4 --network.channels 48

      arena train connect_four --run runs/c4 --resume

    Stop it with Ctrl-C at any moment; the last of these commands goes on where it stopped. The defaults below are the
    preset of the game: name the game before --help.
    """

    game: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="GAME")]
    """The game to learn."""
    run: Annotated[Path | None, tyro.conf.arg(aliases=["-r"])] = None
    """Directory of the run: configuration, metrics, shards and checkpoints. By default runs/GAME-DATE-TIME; with
    --resume, the newest run of the game under runs/."""
    resume: bool = False
    """Go on with a run that stopped, however it stopped."""
    minutes: float = 10.0
    """Minutes of training in all, those before a resume included."""
    max_steps: int | None = None
    """Stop after this many training steps instead; schedules then follow the steps and not the clock."""
    seed: int = 0
    """What every random choice of the run is drawn from."""
    workers: int | None = None
    """Self-play processes; by default one for each core that the learner leaves over."""
    device: str = "auto"
    """Where networks play and learn: auto, cpu, cuda, cuda:1."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """What networks compute in; auto is bf16 where the hardware has it natively."""
    address: str | None = None
    """A Ray cluster to join (auto = the one of this machine); by default the run starts a Ray of its own."""
    synchronous: bool = False
    """Self-play and learning take turns in one process, so that a run is exactly repeatable; needs --max-steps."""
    memory_gb: float | None = None
    """Cap on the memory of all processes of the run together: beyond it the run saves and stops. By default 3 GB and
    1 GB more per worker."""
    report_seconds: float = 10.0
    """Seconds between two lines of report."""
    checkpoint_minutes: float = 2.0
    """Minutes between two checkpoints; the judge examines them."""
    init: Path | None = None
    """A run or a checkpoint whose weights to start from, such as one of arena learn; its network settings are used."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    self_play: SelfPlayConfig = field(default_factory=SelfPlayConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)

    @property
    def subject(self) -> str:
        return self.game

    def make_game(self) -> Game:
        """The game as the network of this run sees it."""
        return as_seen(games.make(self.game), self.network.reads, self.network.context)

    @property
    def shares(self) -> Shares:
        """How the run shares out the machine that it is on."""
        workers = 1 if self.synchronous else self.workers
        return share_out(detect(), workers=workers, threads=self.learner.threads, memory_gb=self.memory_gb)

    def check(self) -> None:
        """Raises ConfigError where settings contradict each other or make no sense."""
        for name, value, lowest in (
            ("workers", 1 if self.workers is None else self.workers, 1),
            ("max-steps", 1 if self.max_steps is None else self.max_steps, 1),
            ("learner.publish-steps", self.learner.publish_steps, 1),
            ("judge.games", self.judge.games, 2),
            ("judge.accuracy-every", self.judge.accuracy_every, 1),
        ):
            if value < lowest:
                raise ConfigError(f"--{name} is {value}; it must be at least {lowest}.")
        for name, value in (
            ("minutes", self.minutes),
            ("learner.samples-per-position", self.learner.samples_per_position),
            ("memory-gb", 1.0 if self.memory_gb is None else self.memory_gb),
            ("checkpoint-minutes", self.checkpoint_minutes),
            ("report-seconds", self.report_seconds),
            ("judge.share", self.judge.share),
        ):
            if not value > 0:
                raise ConfigError(f"--{name} is {value}; it must be above zero.")
        if self.judge.games % 2:
            raise ConfigError(f"--judge.games is {self.judge.games}; it must be even, since seats are swapped.")
        self.learner.check()
        if self.synchronous and self.max_steps is None:
            raise ConfigError("--synchronous needs --max-steps, because a schedule by the clock is never repeatable.")
        if self.synchronous and self.workers not in (None, 1):
            raise ConfigError(f"--synchronous has one worker, not {self.workers}; leave --workers out.")


def preset(game: str) -> TrainConfig:
    """What ``arena train GAME`` does on this machine when nothing else is said; ``game`` may have options, as for
    ``games.make``.

    Raises:
        UnknownNameError: no such game.
    """
    base = game.partition(":")[0]
    if base not in games.available():
        raise UnknownNameError(unknown_name("game", base, games.available()))
    tables = tomllib.loads(resources.files("arena").joinpath("presets.toml").read_text(encoding="utf-8"))
    config = TrainConfig(game=game)
    for name in ("default", best_device().type, base):
        config = merge(config, tables.get(name, {}), where=f"arena/presets.toml [{name}]")
    return config


def parse(arguments: Sequence[str], prog: str = "arena train") -> TrainConfig:
    """The configuration that a command line asks for: the game's preset, or with ``--resume`` that of the run, with
    the options of the command line on top. Prints the help and exits on ``--help``."""
    from arena.checkpoint import newest_run, read_config

    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    peek.add_argument("--run", "-r", type=Path)
    peek.add_argument("--resume", action="store_true")
    peek.add_argument("--init", type=Path)
    known, rest = peek.parse_known_args(list(arguments))
    game = next((word for word in rest if word.partition(":")[0] in games.available()), None)
    if game is None and rest and not rest[0].startswith("-"):
        game = rest[0]  # no game, and ``preset`` says so
    base: Any = TrainConfig(game=tyro.MISSING)
    if game is not None and known.resume:
        run = known.run if known.run is not None else newest_run(game)
        base = dataclasses.replace(read_config(run), run=run)
    elif game is not None:
        base = preset(game)
        if known.init is not None:
            base = dataclasses.replace(base, network=network_of(known.init))
    description = inspect.getdoc(TrainConfig)
    config = tyro.cli(TrainConfig, prog=prog, description=description, args=list(arguments), default=base)
    preset(config.game)
    config.check()
    return config


def network_of(path: Path) -> NetworkConfig:
    """The settings of the network in a run or a checkpoint.

    Raises:
        CheckpointError: there is none.
    """
    from agents.networks.description import read_description
    from agents.networks.files import find_network

    return read_description(find_network(path))[0].config


# ---- TOML ------------------------------------------------------------------------------------------------------------


def to_toml(config: Any) -> str:
    """A nested dataclass as TOML; fields that are None are left out, since TOML has no null."""
    lines, tables = [], []
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        if dataclasses.is_dataclass(value):
            tables.append(f"\n[{entry.name}]\n{to_toml(value)}")
        elif value is not None:
            lines.append(f"{entry.name} = {_toml_value(value)}\n")
    return "".join(lines + tables)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)


def from_toml(text: str, where: str) -> TrainConfig:
    """The inverse of ``to_toml``; ``where`` is the file's name, for the errors.

    Raises:
        ConfigError: not TOML, an unknown key or a value of the wrong type.
    """
    table = read_toml(text, where)
    if not isinstance(table.get("game"), str):
        raise ConfigError(f"{where} is not the configuration of a run of self-play: it does not name a game.")
    return merge(TrainConfig(game=table["game"]), table, where)


def read_toml(text: str, where: str) -> dict[str, Any]:
    """The table that ``text`` is. Raises ConfigError, naming the file ``where``."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}.") from None


def merge(config: Config, table: Mapping[str, Any], where: str) -> Config:
    """``config`` with the values of ``table`` in place of its own, level by level.

    Raises:
        ConfigError: names the key and the nearest one that exists, or the value and the type that is accepted.
    """
    hints = typing.get_type_hints(type(config))
    changes: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise ConfigError(f"{where}: unknown key {key!r}{hint} Accepted: {', '.join(sorted(hints))}.")
        current = getattr(config, key)
        if dataclasses.is_dataclass(current):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: {key} is a table, not {value!r}.")
            changes[key] = merge(current, value, f"{where} [{key}]")
        else:
            changes[key] = _convert(value, hints[key], f"{where}: {key}")
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def _convert(value: Any, hint: Any, where: str) -> Any:
    """``value`` from TOML as the type that ``hint`` asks for."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(item, arguments[0], where) for item in value)
    if origin is typing.Literal and value in arguments:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    accepted = arguments if origin is typing.Literal else getattr(hint, "__name__", hint)
    raise ConfigError(f"{where} is {value!r}; accepted: {accepted}.")
