"""Supervised learning: ``arena learn``. The trainers for pictures and for whole games, and a session that feeds them.

The optimizer, the loop, the checkpoints and the files are those of self-play (``arena.learner``, ``arena.session``);
single positions are even learned by the same ``Learner``.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from agents.networks.core import Classifier, build_classifier
from agents.networks.files import find_network, load_classifier, load_network
from agents.pictures import PictureSpec
from arena import checkpoint
from arena.checkpoint import RunError
from arena.config import ConfigError
from arena.datasets import Dataset, PictureBatch, SequenceBatch, open_dataset
from arena.datasets.stream import Stream
from arena.examination import describe, measure
from arena.learn_config import LearnConfig, from_toml
from arena.learner import Learner, PlayerTrainer, Trainer
from arena.metrics import MetricsLog, Reporter, read_last
from arena.session import Session, drive, seeds
from games import GameSpec


class SequenceLearner(PlayerTrainer[SequenceBatch]):
    """Learns from whole games: at every ply the move that was played, among all moves, and what the game came to.

    Nobody tells it which moves are legal.
    """

    parts = ("policy", "value", "top1")

    def _loss(self, batch: SequenceBatch) -> tuple[torch.Tensor, list[torch.Tensor]]:
        action, value = self._tensor(batch.action), self._tensor(batch.value)
        there = action >= 0
        with self._autocast():
            features = self.network.sequences.every_ply(self._tensor(batch.inputs))[there]
            logits = self.network.policy(features).float()
        policy_loss = F.cross_entropy(logits, action[there])
        known = ~value[there].isnan()
        value_loss = self._value_losses(features[known], value[there][known]).sum() / known.sum().clamp(min=1)
        top1 = (logits.argmax(dim=1) == action[there]).float().mean()
        return policy_loss + self.config.value_loss_weight * value_loss, [
            policy_loss.detach(),
            value_loss.detach(),
            top1,
        ]


class PictureLearner(Trainer[Classifier, PictureBatch]):
    """Learns what is on pictures.

    Args:
        spec, config, seed: as ``Trainer`` takes them.
        settings: of the run.
    """

    parts = ("class", "top1")

    def __init__(self, spec: PictureSpec, settings: LearnConfig, seed: int) -> None:
        network = settings.network

        def build() -> Classifier:
            return build_classifier(network, spec.observation_shape, len(spec.classes))

        options = {"device": settings.device, "precision": settings.precision}
        super().__init__(spec, network, build, settings.learner, seed, threads=settings.num_threads, **options)
        self._smoothing = settings.label_smoothing

    def _loss(self, batch: PictureBatch) -> tuple[torch.Tensor, list[torch.Tensor]]:
        observation = self._tensor(batch.observation).contiguous(memory_format=torch.channels_last)
        label = self._tensor(batch.label)
        with self._autocast():
            logits = self.network(observation)
        loss = F.cross_entropy(logits.float(), label, label_smoothing=self._smoothing)
        return loss, [loss.detach(), (logits.argmax(dim=1) == label).float().mean()]


def make_learner(config: LearnConfig, spec: GameSpec | PictureSpec, seed: int) -> Trainer[Any, Any]:
    """The trainer that a run needs, with the weights that ``--init`` names."""
    options = {"device": config.device, "precision": config.precision, "threads": config.num_threads}
    if config.label_smoothing and not isinstance(spec, PictureSpec):
        raise ConfigError(f"--label-smoothing is for pictures; leave it out for {config.dataset}.")
    if isinstance(spec, PictureSpec):
        learner: Trainer[Any, Any] = PictureLearner(spec, config, seed)
    elif config.network.reads == "planes":
        learner = Learner(spec, config.network, config.learner, seed, **options)
    else:
        learner = SequenceLearner(spec, config.network, config.learner, seed, **options)
    if config.init is not None and not config.resume:
        load = load_classifier if isinstance(spec, PictureSpec) else load_network
        learner.start_from(load(find_network(config.init))[0].state_dict())
    return learner


def learn(config: LearnConfig, reporter: Reporter | None = None) -> Path:
    """Learns, or goes on learning, until the time or the steps are up or a signal comes; returns the run directory.

    Raises:
        ArenaError: one sentence: no such data, not a run directory, nothing left to do, the disk is full, …
    """
    config.check()
    reporter = reporter or Reporter(f"arena learn {config.dataset}")
    dataset = open_dataset(config.source)
    learner_seed, order_seed = seeds(config.seed, 0, 2)
    learner = make_learner(config, dataset.spec, learner_seed)
    run = checkpoint.open_run(config, from_toml)  # last: what goes wrong before leaves no empty directory behind
    resume = f"arena learn {config.dataset} --run {run} --resume"
    drive(lambda: Learning(config, dataset, learner, order_seed, run, reporter), run, reporter, resume)
    return run


class Learning(Session[LearnConfig, Trainer[Any, Any]]):
    """One session of a run of supervised learning.

    Args:
        config: of the run.
        dataset: what it learns from.
        learner: what learns, as at the start of the run.
        order_seed: what the order of the examples is drawn from.
        run: its directory, which exists.
        reporter: where it tells how it goes.
    """

    def __init__(
        self,
        config: LearnConfig,
        dataset: Dataset[Any],
        learner: Trainer[Any, Any],
        order_seed: int,
        run: Path,
        reporter: Reporter,
    ) -> None:
        super().__init__(config, run, reporter, config.memory_cap)
        self.dataset, self.learner, self._order_seed = dataset, learner, order_seed
        self._examined: dict[str, str] = {}
        if config.resume:
            self._resume()
        if self.progress >= 1 and self._is_tested():
            raise RunError(f"{run} has had all of its training; give it more with --minutes, --max-steps or --epochs.")
        self._stream: Stream | None = None
        self.log = MetricsLog(run)

    def _resume(self) -> None:
        path = checkpoint.latest(self.run)
        if path is not None:
            self.seconds_before = checkpoint.load(path, self.learner).progress["seconds"]
        self.reporter.say(
            f"Going on with {self.run}: step {self.learner.steps}, {self.seconds_before / 60:.1f} minutes so far."
        )

    def _is_tested(self) -> bool:
        """Whether the last session came as far as the test at its end, which may take minutes."""
        try:
            return read_last(self.run, "test")["step"] >= self.learner.steps
        except (KeyError, OSError):
            return False

    @property
    def total_steps(self) -> int | None:
        """How many steps the run has, where it does not go by the clock."""
        if self.config.epochs is None:
            return self.config.max_steps
        return max(1, math.ceil(self.config.epochs * self.dataset.sizes["train"] / self.config.learner.batch_size))

    @property
    def progress(self) -> float:
        total = self.total_steps
        return super().progress if total is None else self.learner.steps / total

    def start(self) -> None:
        config, learner = self.config, self.learner
        self.reporter.say(
            f"Learning {config.dataset} in {self.run}: a {config.network.backbone} of {learner.num_parameters:,} "
            f"parameters, {learner.device} in {str(learner.precision).removeprefix('torch.')}, "
            f"{config.num_threads} learner thread(s), {config.num_workers} data process(es)."
        )
        for note in self.dataset.notes:
            self.reporter.say(note)
        self.log.write("data", learner.steps, {**self.dataset.facts(), "parameters": learner.num_parameters})
        self._stream = Stream(
            config.source, config.learner.batch_size, self._order_seed, learner.steps, config.num_workers
        )
        with self.stopwatch.measure("starting"):
            self._batch = next(self._stream)
        self.start_clock()

    def round(self) -> None:
        assert self._stream is not None
        with self.stopwatch.measure("learning"):
            self.learner.step(self._batch, self.progress)
        with self.stopwatch.measure("waiting"):
            self._batch = next(self._stream)

    # ---- housekeeping ------------------------------------------------------------------------------------------------

    def facts(self, interval: float, memory: int) -> tuple[dict[str, Any], dict[str, str]]:
        means, steps = self.learner.means()
        shares = self.stopwatch.take()
        size, batch = self.dataset.sizes["train"], self.config.learner.batch_size
        record: dict[str, Any] = {
            "seconds": self.seconds,
            "progress": self.progress,
            "epoch": self.learner.steps * batch / size,
            "examples_per_second": steps * batch / interval,
            "steps_per_second": steps / interval,
            **{f"{name}_loss" if name in _LOSSES else name: value for name, value in means.items()},
            "learning_rate": self.learner.learning_rate(self.progress),
            "memory_gb": memory / 2**30,
            **{f"{name}_share": spent / interval for name, spent in shares.items()},
        }
        minutes, seconds = divmod(int(self.seconds), 60)
        shown = {
            "time": f"{minutes}:{seconds:02d} ({self.progress:.0%})",
            "step": f"{self.learner.steps} ({steps / interval:.1f}/s)",
            "epoch": f"{record['epoch']:.2f}",
            "examples/s": f"{record['examples_per_second']:.0f}",
            **{_SHOWN.get(name, name): _number(value) for name, value in means.items() if name in (*_LOSSES, "top1")},
            "lr": f"{record['learning_rate']:.1e}",
            "waiting for data": f"{shares.get('waiting', 0.0) / interval:.0%}",
            "memory": f"{record['memory_gb']:.2f} GB",
        }
        return record, shown | self._examined

    def save(self) -> Path:
        """Writes a checkpoint of everything."""
        progress = {"seconds": self.seconds, "positions": self.learner.steps * self.config.learner.batch_size}
        return checkpoint.save(self.run, self.learner, progress)

    def saved(self, path: Path) -> None:
        with self.stopwatch.measure("examining"):
            found = self.examine("validation", self.config.validation_examples)
        self._examined = {f"held-out {name}": value for name, value in describe(found).items()}
        self.reporter.say(f"step {self.learner.steps}: {', '.join(f'{k} {v}' for k, v in self._examined.items())}")

    def examine(self, split: str, limit: int | None = None) -> dict[str, Any]:
        """Measures the network that plays on ``limit`` examples of a split (all of them by default), spread evenly, and
        writes down what was found."""
        started = time.monotonic()
        size = self.dataset.sizes[split]
        count = size if limit is None else min(limit, size)
        chosen = np.arange(count) * size // max(count, 1)
        found = measure(self.learner.playing_network(), self.dataset, [(split, chosen)], self.learner.device)
        found |= {"examples": count, "examination_seconds": time.monotonic() - started, "seconds": self.seconds}
        self.log.write(split, self.learner.steps, found)
        return found

    def finish(self, path: Path) -> None:
        """Measures the final network on the test split and tells what to do with it."""
        self.report()
        self.reporter.close()
        self._close_stream()
        self.reporter.say(f"Learned for {self.learner.steps} steps in {self.seconds / 60:.1f} minutes. Test split:")
        for name, value in describe(self.examine("test")).items():
            self.reporter.say(f"  {name}: {value}")
        spec = self.learner.spec
        if isinstance(spec, GameSpec):
            self.reporter.say(f"Play against it with: arena play {spec.name} --opponent net:{self.run},simulations=0")

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        self._close_stream()
        super().close()


_LOSSES = ("policy", "value", "class")
_SHOWN = {"policy": "policy loss", "value": "value loss", "class": "loss"}


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
