"""The loop of a run: rounds of work, and between them the housekeeping. Self-play and supervised learning share it.

A run is one directory; a session is one process's share of it, from the start or the last checkpoint until the run is
done or somebody stops it.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from arena.checkpoint import RunError
from arena.learner import Trainer
from arena.metrics import MetricsLog, Reporter, Stopwatch, memory_bytes
from arena.signals import calling_on_signals


class Schedule(Protocol):
    """What a session needs of a run's configuration."""

    @property
    def minutes(self) -> float: ...
    @property
    def max_steps(self) -> int | None: ...
    @property
    def report_seconds(self) -> float: ...
    @property
    def checkpoint_minutes(self) -> float: ...


ScheduleT = TypeVar("ScheduleT", bound=Schedule)
TrainerT = TypeVar("TrainerT", bound=Trainer[Any, Any])


class Session(abc.ABC, Generic[ScheduleT, TrainerT]):
    """Subclasses build ``learner`` and say what a round is, what to report and what to save.

    Args:
        config: of the run.
        run: its directory, which exists.
        reporter: where it tells how it goes.
        memory_cap: bytes that all processes of the run may hold; beyond it the run saves and stops.
    """

    learner: TrainerT
    log: MetricsLog

    def __init__(self, config: ScheduleT, run: Path, reporter: Reporter, memory_cap: float) -> None:
        self.config, self.run, self.reporter, self.memory_cap = config, run, reporter, memory_cap
        self.seconds_before = 0.0  # of training in earlier sessions
        self.started = self._reported = self._saved = time.monotonic()
        self._ended: float | None = None
        self.stopped_by: str | None = None
        self.stopwatch = Stopwatch()

    # ---- what a subclass says ----------------------------------------------------------------------------------------

    @abc.abstractmethod
    def start(self) -> None:
        """Starts what else there is to start, and then the clock (``start_clock``)."""

    @abc.abstractmethod
    def round(self) -> None:
        """A little work. Before and after it everything is consistent."""

    @abc.abstractmethod
    def facts(self, interval: float, memory: int) -> tuple[dict[str, Any], dict[str, str]]:
        """What a report says after ``interval`` seconds: numbers for the files, and the same as a person reads it."""

    @abc.abstractmethod
    def save(self) -> Path:
        """Writes a checkpoint of everything."""

    @abc.abstractmethod
    def finish(self, path: Path) -> None:
        """What is done once the run has had all of its training; ``path`` is its last checkpoint."""

    def saved(self, path: Path) -> None:
        """A checkpoint was written because it was time."""

    def close(self) -> None:
        """Ends every process of the session."""
        self.reporter.close()
        self.log.close()

    # ---- the loop ----------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Of training so far, earlier sessions included."""
        return self.seconds_before + (self._ended or time.monotonic()) - self.started

    @property
    def progress(self) -> float:
        """How much of the run is done, 0 to 1. By steps it is the same in every repetition; by the clock it is not."""
        if self.config.max_steps is not None:
            return self.learner.steps / self.config.max_steps
        return self.seconds / (60 * self.config.minutes)

    def start_clock(self) -> None:
        """Training begins now."""
        self.started = self._reported = self._saved = time.monotonic()

    def loop(self) -> None:
        """Runs until ``progress`` is 1 or ``stopped_by`` is set. Between two rounds everything is consistent."""
        while self.progress < 1 and self.stopped_by is None:
            self.round()
            self.housekeep()
        self._ended = time.monotonic()

    def stop(self, reason: str) -> None:
        """Ends the loop after its current round."""
        self.stopped_by = reason

    # ---- housekeeping ------------------------------------------------------------------------------------------------

    def housekeep(self) -> None:
        """Reports and saves, each when it is time."""
        now = time.monotonic()
        if now - self._reported >= self.config.report_seconds:
            self.report()
        if now - self._saved >= 60 * self.config.checkpoint_minutes:
            with self.stopwatch.measure("saving"):
                path = self.save()
            self._saved = time.monotonic()
            self.saved(path)

    def report(self) -> None:
        """Tells the console, ``metrics.jsonl`` and TensorBoard how it goes, and stops the run above its memory cap."""
        interval = time.monotonic() - self._reported
        self._reported = time.monotonic()
        memory = memory_bytes()
        record, shown = self.facts(interval, memory)
        self.log.write("train", self.learner.steps, record)
        self.reporter.show(shown)
        if memory > self.memory_cap:
            self.stop(
                f"its memory cap of {self.memory_cap / 2**30:.1f} GB (raise --memory-gb, or give fewer --workers)"
            )


def drive(make: Callable[[], Session[Any, Any]], run: Path, reporter: Reporter, resume: str) -> None:
    """Runs a session until the time or the steps are up or a signal comes.

    Args:
        make: the session; it may fail.
        run: the directory of the run.
        reporter: where it is told how it ended.
        resume: the command that goes on with the run.

    Raises:
        ArenaError: one sentence: nothing left to do, the disk is full, …
    """
    session = None
    try:
        session = make()
        session.start()
        with calling_on_signals(session.stop):
            session.loop()
        path = session.save()
        if session.stopped_by is not None:
            reporter.say(f"Stopped by {session.stopped_by} and saved. Go on with: {resume}")
        else:
            session.finish(path)
    except OSError as error:
        raise RunError(
            f"{str(error).rstrip('.')}; {run} keeps all that was written before; once that is mended: {resume}"
        ) from None
    finally:
        if session is not None:
            session.close()


def seeds(seed: int, purpose: int, count: int) -> list[int]:
    """``count`` independent seeds, different for every purpose."""
    return [int(word) for word in np.random.SeedSequence([seed, purpose]).generate_state(count)]
