"""The driver's side of the judge: when to examine which checkpoint, what was found so far, and how it is told."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arena.config import TrainConfig
from arena.distributed import Background
from arena.judge import Examination, Score, elo_curve
from arena.metrics import MetricsLog, Reporter
from arena.pools import LocalBackground

FINAL_SECONDS = 300.0
"""The longest that the last examination is waited for."""


class Examiner:
    """Has checkpoints examined in the background and keeps the score.

    Args:
        config: of the run.
        reporter: where results are told.
    """

    def __init__(self, config: TrainConfig, reporter: Reporter) -> None:
        self._config, self._reporter = config, reporter
        self._judge: Background | LocalBackground | None = None
        self._scores: tuple[Score, ...] = ()
        self._examined = 0
        self._previous: Path | None = None
        self._current: Path | None = None
        self._not_before = 0.0
        self._last: Examination | None = None

    def start(self, judge: Background | LocalBackground) -> None:
        """Takes the judge, which lives in a process of its own."""
        self._judge = judge if self._config.judge.enabled else None

    def offer(self, checkpoint: Path, *, final: bool = False) -> None:
        """Has ``checkpoint`` examined, unless the judge is busy or has had its share of the machine."""
        if self._judge is None or self._judge.busy or (time.monotonic() < self._not_before and not final):
            return
        full = final or self._examined % self._config.judge.accuracy_every == self._config.judge.accuracy_every - 1
        self._current = checkpoint
        self._judge.start("examine", checkpoint, self._frozen(), self._scores, full)

    def _frozen(self) -> Path | None:
        """The snapshot that was examined last, if it is still on the disk."""
        return self._previous if self._previous is not None and (self._previous / "network.json").is_file() else None

    def poll(self, log: MetricsLog, timeout: float = 0.0) -> None:
        """Takes in an examination that is done, and tells what it found."""
        if self._judge is None or not self._judge.busy:
            return
        found = self._judge.result(timeout)
        if found is None:
            return
        self._examined += 1
        self._previous, self._last = self._current, found
        self._scores += found.scores
        pause = found.cpu_seconds / (self._config.judge.share * (os.cpu_count() or 1))
        self._not_before = time.monotonic() + pause
        log.write("judge", found.step, self._record(found))
        self._reporter.say(f"step {found.step}: " + ", ".join(f"{k} {v}" for k, v in self.columns().items()))

    def conclude(self, checkpoint: Path, log: MetricsLog) -> None:
        """Waits for the examination under way, then has the final checkpoint examined in full."""
        if self._judge is None:
            return
        self._reporter.say("Measuring the final network.")
        self.poll(log, FINAL_SECONDS)
        self.offer(checkpoint, final=True)
        self.poll(log, FINAL_SECONDS)

    def _record(self, found: Examination) -> dict[str, Any]:
        record: dict[str, Any] = {"cpu_seconds": found.cpu_seconds}
        for simulations, (keeps, best) in found.accuracy.items():
            record[f"keeps_outcome_{simulations}"] = keeps
            record[f"best_move_{simulations}"] = best
        curve = elo_curve(self._scores, self._config.judge.anchors)
        if found.step in curve:
            record["elo"], record["elo_interval"] = curve[found.step]
        record["scores"] = [dataclasses.asdict(score) for score in found.scores]
        return record

    def columns(self) -> dict[str, str]:
        """What the last examination found, as a person reads it."""
        if self._last is None:
            return {}
        shown: dict[str, str] = {}
        curve = elo_curve(self._scores, self._config.judge.anchors)
        if self._last.step in curve:
            elo, interval = curve[self._last.step]
            shown["Elo"] = f"{elo:+.0f} ± {interval:.0f}"
        for simulations, (keeps, best) in self._last.accuracy.items():
            name = f"{simulations} simulations" if simulations else "raw policy"
            shown[name] = f"keeps outcome {keeps:.1%}, best move {best:.1%}"
        for score in self._last.scores:
            shown[f"against {score.opponent}"] = f"+{score.wins} ={score.draws} -{score.losses}"
        return shown

    def state(self) -> dict[str, Any]:
        """What a resume needs; JSON-able."""
        return {
            "examined": self._examined,
            "previous": None if self._previous is None else str(self._previous),
            "scores": [dataclasses.asdict(score) for score in self._scores],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a ``state``."""
        self._examined = state["examined"]
        self._previous = None if state["previous"] is None else Path(state["previous"])
        self._scores = tuple(Score(**score) for score in state["scores"])
