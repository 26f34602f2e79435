"""Measures a run as it goes: matches against frozen networks and fixed anchors, and accuracy in solved games."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import agents
import games
from agents.network_evaluator import use_one_thread
from arena.accuracy import measure_accuracy
from arena.config import TrainConfig
from arena.match import match
from arena.ratings import rate
from games import UnsupportedError, solved

BEATEN = 0.97
"""Against an anchor that took less than the rest of the points the last time, more games say nothing."""


@dataclass(frozen=True)
class Score:
    """The result of one match between a snapshot and an opponent.

    Attributes:
        step: the snapshot's training step.
        opponent: an anchor's spec, or the name of an earlier snapshot.
        wins, draws, losses: games, seen from the snapshot.
    """

    step: int
    opponent: str
    wins: int
    draws: int
    losses: int

    @property
    def points(self) -> float:
        """Wins and half the draws."""
        return self.wins + self.draws / 2

    @property
    def games(self) -> int:
        """Games played."""
        return self.wins + self.draws + self.losses


@dataclass(frozen=True)
class Examination:
    """What was found about one snapshot.

    Attributes:
        step: the snapshot's training step.
        scores: its matches.
        accuracy: by number of simulations (0 = the raw policy): the share of positions where the move keeps the
            outcome, and where it is a best-scoring one, as means over the classes; empty in games without a solution.
        cpu_seconds: processor time that it took.
    """

    step: int
    scores: tuple[Score, ...] = ()
    accuracy: dict[int, tuple[float, float]] = field(default_factory=dict)
    cpu_seconds: float = 0.0


def snapshot_name(step: int) -> str:
    """What a snapshot is called among the rated players."""
    return f"step {step}"


class Judge:
    """Examines one checkpoint after the other.

    Args:
        config: of the run.
        seed: of the openings and the opponents' choices.
    """

    def __init__(self, config: TrainConfig, seed: int) -> None:
        use_one_thread()
        self._config = config
        self._game = games.make(config.game)
        self._rng = np.random.default_rng(seed)
        try:  # solved positions come without the moves before them, which a network that reads sequences needs
            self._has_solution = config.network.reads == "planes" and bool(len(solved.load(config.game).states))
        except UnsupportedError:
            self._has_solution = False

    def examine(self, checkpoint: Path, previous: Path | None, history: tuple[Score, ...], full: bool) -> Examination:
        """Measures ``checkpoint``.

        Args:
            checkpoint: its directory, called by its step.
            previous: an earlier one to play against.
            history: earlier matches; they tell which anchors are still worth meeting.
            full: also the costlier accuracy figure.
        """
        started = time.process_time()
        step = int(checkpoint.name)
        scores = self._matches(checkpoint, step, previous, history) if self._game.spec.num_players == 2 else ()
        accuracy = self._accuracy(checkpoint, full) if self._has_solution else {}
        return Examination(step, scores, accuracy, time.process_time() - started)

    def _matches(
        self, checkpoint: Path, step: int, previous: Path | None, history: tuple[Score, ...]
    ) -> tuple[Score, ...]:
        settings = self._config.judge
        player = agents.make(f"net:{checkpoint},simulations={settings.simulations}", self._game)
        opponents = {anchor: anchor for anchor in settings.anchors if not _is_beaten(anchor, history)}
        if previous is not None and previous != checkpoint:
            name = snapshot_name(int(previous.name))
            opponents[name] = f"net:{previous},simulations={settings.simulations}"
        scores = []
        for name, spec in opponents.items():
            result = match(self._game, player, agents.make(spec, self._game), settings.games, self._rng)
            scores.append(Score(step, name, result.wins, result.draws, result.losses))
        return tuple(scores)

    def _accuracy(self, checkpoint: Path, full: bool) -> dict[int, tuple[float, float]]:
        settings = self._config.judge
        wanted: dict[int, int | None] = {0: None}  # simulations → positions per class
        if full and settings.accuracy_simulations:
            wanted[settings.accuracy_simulations] = settings.accuracy_positions
        found = {}
        for simulations, positions in wanted.items():
            agent = agents.make(f"net:{checkpoint},simulations={simulations}", self._game)
            found[simulations] = measure_accuracy(self._game, agent, positions, self._rng)
        return found


def _is_beaten(anchor: str, history: tuple[Score, ...]) -> bool:
    last = next((score for score in reversed(history) if score.opponent == anchor), None)
    return last is not None and last.points >= BEATEN * last.games


def elo_curve(history: tuple[Score, ...], anchors: tuple[str, ...]) -> dict[int, tuple[float, float]]:
    """Elo of every snapshot by step, with half the width of its 95 % interval, from all matches together.

    The first anchor that was met is 0; the curve is empty where there is nothing to rate.
    """
    if not history:
        return {}
    steps = sorted({score.step for score in history})
    names = sorted({snapshot_name(step) for step in steps} | {score.opponent for score in history})
    row = {name: index for index, name in enumerate(names)}
    counts = np.zeros((len(names), len(names), 3))
    for score in history:
        counts[row[snapshot_name(score.step)], row[score.opponent]] += score.wins, score.draws, score.losses
    zero = next(({anchor: 0.0} for anchor in anchors if anchor in row), None)
    table = rate(names, counts, anchors=zero, seats=False)
    interval = table.interval
    return {step: (float(table.elo[i]), float(interval[i])) for step in steps for i in [row[snapshot_name(step)]]}
