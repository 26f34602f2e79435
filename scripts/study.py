"""What each setting of Connect Four's training is worth: one factor at a time, equal time on one core each.

    python -m scripts.study                          # runs what docs/study.jsonl does not hold yet, hours in all
    python -m scripts.study --only "simulations 16" --seeds 3
    python -m scripts.study --report                 # writes docs/study.md and docs/study.svg from docs/study.jsonl

Every run is one self-play worker and the learner on one core for the same number of minutes, as many runs at a time as
there are cores; then its network is held against the solved positions. Arms change one thing of the base, which is the
preset as it was before the study changed it. The base is run over and over among them, since how far its runs lie
apart is the error of all of them: what chance does, and what a shared machine does. Stop it whenever you like: what is
finished is in docs/study.jsonl, and the same command goes on.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch start their threads

import json
import math
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from queue import SimpleQueue
from statistics import mean
from typing import Any

import numpy as np

import agents
import games
from agents.files import write_atomically
from agents.network_evaluator import best_precision, use_one_thread
from arena import accuracy
from arena.datasets import connect_four as eight_stones
from arena.machine import detect
from games import ArenaError, Game, solved
from scripts.program import start, svg_figure

GAME = "connect_four"
BASELINE = "the base"
BASE = (
    *("--search.simulations", "32", "--replay.value-lambda", "0.95"),
    *("--learner.ema", "0.997", "--learner.decay-from", "0.0"),
    *("--network.activation", "relu", "--learner.weight-decay", "0.0001"),
    *("--search.c-backup", "0.0", "--self-play.start-simulations", "0"),
    *("--self-play.opening-fraction", "0.5", "--self-play.branch-fraction", "0.45"),
)
"""The preset as it was before the study changed it: what every arm changes one thing of."""
ARMS_PER_BASE = 6
RESULTS = Path(__file__).resolve().parent.parent / "docs" / "study.jsonl"
MEASURES = ("raw_kept", "raw_best", "kept", "best", "value", "eight")
SIMULATIONS = 64
FACTORS: dict[str, dict[str, tuple[str, ...]]] = {
    "search": {
        "PUCT, 32 simulations": ("--search.policy", "puct"),
        "simulations 16": ("--search.simulations", "16"),
        "simulations 8": ("--search.simulations", "8"),
        "simulations 64": ("--search.simulations", "64"),
        "playout cap: 64, else 8": ("--search.simulations", "64", "--search.fast-simulations", "8"),
        "noise throughout": ("--search.noise-plies", "None"),
        "PUCT, 32 simulations, forced playouts": ("--search.policy", "puct", "--search.forced-playouts", "2.0"),
        "c_scale 1": ("--search.c-scale", "1.0"),
        "no tree reuse": ("--search.no-reuse-tree",),
        "c_scale 0.1": ("--search.c-scale", "0.1"),
        "c_backup 0.5": ("--search.c-backup", "0.5"),
        "games from the start with 200": ("--self-play.start-simulations", "200", "--self-play.start-plies", "42"),
    },
    "targets": {
        "no length weight": ("--search.length-weight", "0.0"),
        "length weight 0.1": ("--search.length-weight", "0.1"),
        "the game's result alone": ("--replay.value-lambda", "1.0"),
        "repeated positions as often": ("--replay.no-distinct",),
        "late positions as often": ("--replay.late-weight", "1.0"),
        "lambda 0.6": ("--replay.value-lambda", "0.6"),
        "lambda 0.8": ("--replay.value-lambda", "0.8"),
        "the root's value alone": ("--replay.value-lambda", "0.0"),
        "a quarter of all positions": ("--replay.window-fraction", "0.25"),
        "no symmetries": ("--replay.no-symmetries",),
        "four fifths of all positions": ("--replay.window-fraction", "0.8"),
    },
    "openings": {
        "all games from the start": ("--self-play.opening-fraction", "0.0", "--self-play.branch-fraction", "0.0"),
        "no games are cut": ("--self-play.cut-fraction", "0.0"),
        "95 % random, none branch": ("--self-play.opening-fraction", "0.95", "--self-play.branch-fraction", "0.0"),
        "none random, 95 % branch": ("--self-play.opening-fraction", "0.0", "--self-play.branch-fraction", "0.95"),
        "lost games are given up": ("--self-play.resign-value", "0.9"),
        "branches anywhere alike": ("--self-play.no-branch-regret",),
        "four of five games are cut": ("--self-play.cut-fraction", "0.8"),
        "random openings up to 4 plies": ("--self-play.opening-plies", "4"),
        "up to 4 random plies after a branch": ("--self-play.branch-plies", "4"),
        "a fifth from the start": ("--self-play.opening-fraction", "0.4", "--self-play.branch-fraction", "0.4"),
        "15 % from the start": ("--self-play.opening-fraction", "0.45", "--self-play.branch-fraction", "0.4"),
    },
    "network": {
        "equivariant": ("--network.equivariant",),
        "SiLU in the tower": ("--network.activation", "silu"),
        "2x32": ("--network.blocks", "2", "--network.channels", "32"),
        "4x48": ("--network.blocks", "4", "--network.channels", "48"),
        "batch normalisation": ("--network.normalisation", "batch"),
        "small value head": ("--network.value-channels", "8", "--network.value-hidden", "64"),
        "6x32": ("--network.blocks", "6", "--network.channels", "32"),
        "MLP, 512 and 512 units": ("--network.backbone", "mlp", "--network.hidden", "512", "512"),
    },
    "learning": {
        "AdamW": ("--learner.optimizer", "adamw"),
        "4 samples a position": ("--learner.samples-per-position", "4.0"),
        "1.5 samples a position": ("--learner.samples-per-position", "1.5"),
        "no moving average": ("--learner.ema", "0.0"),
        "moving average of 10 steps": ("--learner.ema", "0.9"),
        "twice the learning rate": ("--learner.learning-rate", "0.004"),
        "half the learning rate": ("--learner.learning-rate", "0.001"),
        "no decay of the learning rate": ("--learner.final-learning-rate", "1.0"),
        "the rate falls in the last three tenths": ("--learner.decay-from", "0.7"),
        "weight decay 0.1": ("--learner.weight-decay", "0.1"),
        "batches of 256": ("--learner.batch-size", "256"),
        "value loss counts 2": ("--learner.value-loss-weight", "2.0"),
        "new weights every 160 steps": ("--learner.publish-steps", "160"),
    },
}


@dataclass(frozen=True)
class Options:
    """Runs the study of the settings of Connect Four, or writes it up."""

    report: bool = False
    """Only write study.md and study.svg, beside the results, from those there are."""
    minutes: float = 6.0
    """Minutes of training of each run, on one core."""
    seeds: int = 1
    """Seeds of each arm, from 0."""
    only: tuple[str, ...] = ()
    """Arms to run, by name; by default all."""
    results: Path = RESULTS
    """The file that results are added to."""


@dataclass(frozen=True)
class Run:
    """One arm with one seed; the base is run several times with each."""

    arm: str
    flags: tuple[str, ...]
    seed: int
    minutes: float
    repeat: int = 0

    @property
    def key(self) -> tuple[str, int, float, int]:
        return self.arm, self.seed, self.minutes, self.repeat


def planned(options: Options) -> list[Run]:
    """All runs of the study: the first seed of every arm first, the factors by turns, and the base after every
    ``ARMS_PER_BASE`` of them.

    Raises:
        ArenaError: an arm that does not exist.
    """
    by_turns = [entry for row in zip_longest(*(arms.items() for arms in FACTORS.values())) for entry in row if entry]
    for name in options.only:
        if name not in dict(by_turns):
            raise ArenaError(f"There is no arm {name!r}; there are: {', '.join(dict(by_turns))}.")
    wanted = [(name, flags) for name, flags in by_turns if not options.only or name in options.only]
    runs = []
    for seed in range(options.seeds):
        for number, (name, flags) in enumerate(wanted):
            if number % ARMS_PER_BASE == 0:
                runs.append(Run(BASELINE, (), seed, options.minutes, number // ARMS_PER_BASE))
            runs.append(Run(name, flags, seed, options.minutes))
    return runs


def read_results(path: Path) -> list[dict[str, Any]]:
    """All results so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def perform(run: Run, core: int) -> dict[str, Any]:
    """Trains on ``core``, measures the final network and returns what came of it as one record."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "run"
        command = [sys.executable, "-m", "scripts.study_run", str(core), GAME, "--run", str(directory)]
        command += ["--judge.no-enabled", "--workers", "1", "--minutes", str(run.minutes), "--seed", str(run.seed)]
        done = subprocess.run([*command, *BASE, *run.flags], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ArenaError(f"The run {run.arm!r} ended with exit code {done.returncode}: {done.stderr[-500:]}")
        return asdict(run) | {"processor": _processor(), "found": json.loads(done.stdout)}


def _processor() -> str:
    """The processor's name and, since some share one, the precision that networks compute in."""
    precision = str(best_precision("cpu")).removeprefix("torch.")
    return f"{detect().processor}, {precision}"


def run_all(options: Options) -> None:
    """Runs what is missing, one run on every core, and adds each result to the file as it comes."""
    have = {(row["arm"], row["seed"], row["minutes"], row["repeat"]) for row in read_results(options.results)}
    missing = [run for run in planned(options) if run.key not in have]
    available = sorted(os.sched_getaffinity(0))
    while len(missing) % len(available):  # no run has the machine for itself
        missing.append(Run(BASELINE, (), 0, options.minutes, repeat=len(have) + len(missing)))
    free: SimpleQueue[int] = SimpleQueue()
    for core in available:
        free.put(core)
    hours = len(missing) * (options.minutes + 1) / len(available) / 60
    print(f"{len(missing)} runs to go, {len(have)} done; about {hours:.1f} hours on {len(available)} core(s).")

    def work(run: Run) -> None:
        core = free.get()
        try:
            record = perform(run, core)
        finally:
            free.put(core)
        with options.results.open("a") as file:
            file.write(json.dumps(record) + "\n")
        figures = ", ".join(f"{m} {100 * record['found'][m]:.1f}" for m in MEASURES)
        print(f"{run.arm}, seed {run.seed}: {figures}", flush=True)

    with ThreadPoolExecutor(len(available)) as executor:
        for _ in executor.map(work, missing):
            pass


# ---- writing it up ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arm:
    """What the runs of one arm say, in percent: the mean of each measure, and its difference to the base's mean on
    the same kind of processor."""

    factor: str
    name: str
    runs: int
    steps: float
    means: dict[str, float]
    difference: dict[str, float]
    error: dict[str, float | None]
    """Standard error of the difference, by how far the base's runs lie apart; None where it ran once."""


def summarise(rows: list[dict[str, Any]]) -> list[Arm]:
    """The base, and all arms that have results on a processor where the base has, in the order of ``FACTORS``."""
    bases = {p: [row for row in rows if (row["processor"], row["arm"]) == (p, BASELINE)] for p in _processors(rows)}
    spread = {m: _pooled_deviation([_percent(runs, m) for runs in bases.values()]) for m in MEASURES}
    arms = []
    for factor, name in [("", BASELINE), *((factor, name) for factor, names in FACTORS.items() for name in names)]:
        found = [row for row in rows if row["arm"] == name and bases[row["processor"]]]
        if not found:
            continue
        beside = [bases[row["processor"]] for row in found]
        means = {m: mean(_percent(found, m)) for m in MEASURES}
        difference = {m: means[m] - mean(mean(_percent(runs, m)) for runs in beside) for m in MEASURES}
        part = math.sqrt(1 / len(found) + mean(1 / len(runs) for runs in beside))
        error = {m: None if d is None else d * part for m, d in spread.items()}
        steps = mean(row["found"]["steps"] for row in found)
        arms.append(Arm(factor, name, len(found), steps, means, difference, spread if name == BASELINE else error))
    return arms


def _processors(rows: list[dict[str, Any]]) -> list[str]:
    return sorted({row["processor"] for row in rows})


def _percent(rows: list[dict[str, Any]], measure: str) -> list[float]:
    return [100 * row["found"][measure] for row in rows]


def _pooled_deviation(groups: list[list[float]]) -> float | None:
    """The standard deviation within ``groups``; None where none has two values."""
    freedom = sum(len(group) - 1 for group in groups if group)
    squares = sum((value - mean(group)) ** 2 for group in groups if group for value in group)
    return math.sqrt(squares / freedom) if freedom else None


def largest_series(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of one length of run: the one that has most."""
    minutes = max({row["minutes"] for row in rows}, key=lambda m: sum(row["minutes"] == m for row in rows))
    return [row for row in rows if row["minutes"] == minutes]


def report(path: Path) -> None:
    """Writes study.md and study.svg beside the results at ``path``."""
    rows = read_results(path)
    if not rows:
        raise ArenaError(f"{path} holds no results yet; run python -m scripts.study first.")
    rows = largest_series(rows)
    arms = summarise(rows)
    if not arms:
        raise ArenaError(f"{path} holds no run of the base of {rows[0]['minutes']:g} minutes to compare others with.")
    table, plot = path.with_name("study.md"), path.with_name("study.svg")
    write_atomically(table, as_markdown(arms, rows).encode())
    draw(arms, plot)
    print(f"Wrote {table} and {plot}.")


def as_markdown(arms: list[Arm], rows: list[dict[str, Any]]) -> str:
    """The write-up."""
    lines = [
        "# What each setting of Connect Four's training is worth",
        "",
        "Written by `python -m scripts.study --report` from [study.jsonl](study.jsonl), which holds every run with "
        "its settings and figures. One factor at a time: each arm is the base with the change that its name says, and "
        f"the base is the preset as it was before: `{' '.join(BASE)}`. Each was "
        f"trained for {rows[0]['minutes']:g} minutes on one core (one worker and the learner), with another run on "
        f"every other core ({'; '.join(_processors(rows))}); then it is held against the solved positions. "
        "Kept / best: share of moves that keep the outcome, and of best-scoring moves, mean over six classes, in "
        f"percent; for the raw policy and with {SIMULATIONS} simulations. Value: share of those positions whose result "
        "the search's value calls right; eight: share of the classic positions of eight stones where somebody wins and "
        "the network's value says who. In brackets the difference to the base's mean, ± its standard error, which "
        "comes from how far the base's own runs lie apart; of the base itself that distance, as a standard "
        "deviation. Steps: of learning, in that time. So short a run says how fast a setting learns and not how far it "
        "gets; docs/log.md has longer ones. The arms whose rate falls late, with SiLU and with a weight decay of 0.1, "
        "and one of the base's runs, are newer than the others and were shown who began (docs/log.md, 2026-11-30); so "
        "are all runs in bfloat16, which make two to three times the steps and are compared with the base's there. The "
        "base's own line is of all its runs.",
        "",
        "| factor | arm | runs | steps | raw kept | raw best | kept | best | value | eight |",
        "|---|---|---:|---:|---|---|---|---|---|---|",
    ]
    for arm in arms:
        cells = [f"{arm.means[m]:.1f}{_gap(arm, m)}" for m in MEASURES]
        lines.append(f"| {arm.factor} | {arm.name} | {arm.runs} | {arm.steps:,.0f} | " + " | ".join(cells) + " |")
    lines += ["", "![differences to the base](study.svg)", ""]
    return "\n".join(lines)


def _gap(arm: Arm, measure: str) -> str:
    error = arm.error[measure]
    spread = f" ± {error:.1f}" if error is not None else ""
    return spread if arm.name == BASELINE else f" ({arm.difference[measure]:+.1f}{spread})"


def draw(arms: list[Arm], path: Path) -> None:
    """One dot per arm and measure: how much better or worse than the base."""
    titles = {
        "raw_best": "best moves, raw policy",
        "best": f"best moves, {SIMULATIONS} simulations",
        "eight": "values of eight stones",
    }
    with svg_figure(path, 12, 1.2 + 0.26 * len(arms), ncols=3, sharey=True) as axes:
        places = np.arange(len(arms))[::-1]
        for axis, (measure, title) in zip(axes, titles.items(), strict=True):
            gaps = [arm.difference[measure] for arm in arms]
            errors = [arm.error[measure] or 0.0 for arm in arms]
            axis.errorbar(gaps, places, xerr=errors, fmt="o", markersize=4)
            axis.axvline(0, color="grey", linewidth=0.8)
            axis.set_title(title)
            axis.set_xlabel("difference to the base, percentage points")
            axis.set_yticks(places, [arm.name for arm in arms])
            axis.grid(axis="x", alpha=0.3)


def measure_network(directory: Path) -> dict[str, float]:
    """The shares of ``MEASURES`` for the newest network of a run."""
    use_one_thread()
    game = games.make(GAME)
    positions = solved.load(GAME)
    found = {}
    for prefix, simulations in (("raw_", 0), ("", SIMULATIONS)):
        agent = agents.make(f"net:{directory},simulations={simulations}", game)
        row = accuracy.measure(game, agent, positions, np.random.default_rng(0)).mean
        found |= {f"{prefix}kept": row.outcome_kept.share, f"{prefix}best": row.best_move.share}
        found["value"] = row.value.share
    return found | {"eight": right_of_eight(game, directory)}


def right_of_eight(game: Game, directory: Path) -> float:
    """In how many of the classic positions of eight stones where somebody wins the raw value says who."""
    outcomes = eight_stones.read_outcomes(eight_stones.OUTCOMES_PATH)
    decided = outcomes != 0
    states = solved.boards_to_states(game, eight_stones.positions()[decided])
    agent, rng = agents.make(f"net:{directory},simulations=0", game), np.random.default_rng(0)
    values = np.concatenate([agent.act(piece, rng).value for piece in np.array_split(states, 64)])
    return float((np.sign(values) == outcomes[decided]).mean())


def main(options: Options) -> None:
    """Runs what is missing, unless only the report is asked for, and writes the report."""
    if not options.report:
        run_all(options)
    report(options.results)


if __name__ == "__main__":
    start(main, Options, goes_on=True)
