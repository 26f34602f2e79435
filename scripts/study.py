"""What each setting of the Connect Four preset is worth: one factor at a time, several seeds, equal time on one core.

    python -m scripts.study                          # runs what docs/study.jsonl does not hold yet, hours in all
    python -m scripts.study --only "simulations 16" --seeds 3
    python -m scripts.study --report                 # writes docs/study.md and docs/study.svg from docs/study.jsonl

Every run is one self-play worker and the learner on one core, for the same number of minutes, with nothing else on that
core; as many go side by side as there are cores. Then the final network is held against the solved positions. Stop it
whenever you like: what is finished is in docs/study.jsonl, and the same command goes on with the rest.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch start their threads

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from statistics import mean, stdev
from typing import Any

import numpy as np

import agents
import games
from agents.files import write_atomically
from agents.network_evaluator import use_one_thread
from arena import accuracy
from games import ArenaError, solved
from scripts.program import start, svg_figure

GAME = "connect_four"
BASELINE = "the preset"
DOCS = Path(__file__).resolve().parent.parent / "docs"
RESULTS = DOCS / "study.jsonl"
MEASURES = ("raw_kept", "raw_best", "kept", "best", "value")
SIMULATIONS = 64
FACTORS: dict[str, dict[str, tuple[str, ...]]] = {
    "": {BASELINE: ()},
    "search": {
        "simulations 8": ("--search.simulations", "8"),
        "simulations 16": ("--search.simulations", "16"),
        "simulations 64": ("--search.simulations", "64"),
        "PUCT, 32 simulations": ("--search.policy", "puct"),
        "PUCT, 64 simulations": ("--search.policy", "puct", "--search.simulations", "64"),
        "PUCT, 32 simulations, forced playouts": ("--search.policy", "puct", "--search.forced-playouts", "2.0"),
        "playout cap: 64, else 8": ("--search.simulations", "64", "--search.fast-simulations", "8"),
        "c_scale 0.1": ("--search.c-scale", "0.1"),
        "c_scale 0.5": ("--search.c-scale", "0.5"),
        "c_scale 1": ("--search.c-scale", "1.0"),
        "noise throughout": ("--search.noise-plies", "None"),
        "noise for 16 plies": ("--search.noise-plies", "16"),
        "no tree reuse": ("--search.no-reuse-tree",),
    },
    "targets": {
        "the game's result alone": ("--replay.value-lambda", "1.0"),
        "lambda 0.9": ("--replay.value-lambda", "0.9"),
        "lambda 0.8": ("--replay.value-lambda", "0.8"),
        "the root's value alone": ("--replay.value-lambda", "0.0"),
        "no length weight": ("--search.length-weight", "0.0"),
        "late positions as often": ("--replay.late-weight", "1.0"),
        "late positions a fifth as often": ("--replay.late-weight", "0.2"),
        "repeated positions as often": ("--replay.no-distinct",),
        "no symmetries": ("--replay.no-symmetries",),
    },
    "openings": {
        "all games from the start": ("--self-play.opening-fraction", "0.0", "--self-play.branch-fraction", "0.0"),
        "95 % random, none branch": ("--self-play.opening-fraction", "0.95", "--self-play.branch-fraction", "0.0"),
        "none random, 95 % branch": ("--self-play.opening-fraction", "0.0", "--self-play.branch-fraction", "0.95"),
        "a fifth from the start": ("--self-play.opening-fraction", "0.4", "--self-play.branch-fraction", "0.4"),
        "random openings up to 4 plies": ("--self-play.opening-plies", "4"),
        "up to 30 plies": ("--self-play.opening-plies", "30"),
        "branches anywhere alike": ("--self-play.no-branch-regret",),
        "one random ply after a branch": ("--self-play.branch-plies", "1"),
        "up to 4 random plies after a branch": ("--self-play.branch-plies", "4"),
        "lost games are given up": ("--self-play.resign-value", "0.9"),
    },
    "network": {
        "2x32": ("--network.blocks", "2", "--network.channels", "32"),
        "6x32": ("--network.blocks", "6", "--network.channels", "32"),
        "4x48": ("--network.blocks", "4", "--network.channels", "48"),
        "batch normalisation": ("--network.normalisation", "batch"),
        "small value head": ("--network.value-channels", "8", "--network.value-hidden", "64"),
    },
    "learning": {
        "AdamW": ("--learner.optimizer", "adamw"),
        "half the learning rate": ("--learner.learning-rate", "0.001"),
        "twice the learning rate": ("--learner.learning-rate", "0.004"),
        "no moving average": ("--learner.ema", "0.0"),
        "value loss counts 2": ("--learner.value-loss-weight", "2.0"),
        "2.5 samples a position": ("--learner.samples-per-position", "2.5"),
        "10 samples a position": ("--learner.samples-per-position", "10.0"),
    },
}


@dataclass(frozen=True)
class Options:
    """Runs the study of the Connect Four preset, or writes it up."""

    report: bool = False
    """Only write docs/study.md and docs/study.svg from the results there are."""
    minutes: float = 8.0
    """Minutes of training of each run, on one core."""
    seeds: int = 2
    """Seeds of each arm, from 0."""
    only: tuple[str, ...] = ()
    """Arms to run, by name; by default all. The preset itself is always one of them."""
    results: Path = RESULTS
    """The file that results are added to."""


@dataclass(frozen=True)
class Run:
    """One training run of the study."""

    arm: str
    flags: tuple[str, ...]
    seed: int
    minutes: float

    @property
    def key(self) -> tuple[str, int, float]:
        return self.arm, self.seed, self.minutes


def planned(options: Options) -> Iterator[Run]:
    """All runs of the study, the first seed of every arm first.

    Raises:
        ArenaError: an arm that does not exist.
    """
    arms = {name: flags for group in FACTORS.values() for name, flags in group.items()}
    for name in options.only:
        if name not in arms:
            raise ArenaError(f"There is no arm {name!r}; there are: {', '.join(arms)}.")
    for seed in range(options.seeds):
        for name, flags in arms.items():
            if not options.only or name in options.only or name == BASELINE:
                yield Run(name, flags, seed, options.minutes)


def read_results(path: Path) -> list[dict[str, Any]]:
    """All results so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def perform(run: Run, core: int) -> dict[str, Any]:
    """Trains on ``core``, measures the final network, and returns the result as one record."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "run"
        command = [sys.executable, "-m", "scripts.study_run", str(core), GAME, "--run", str(directory)]
        command += ["--judge.no-enabled", "--workers", "1", "--minutes", str(run.minutes), "--seed", str(run.seed)]
        done = subprocess.run([*command, *run.flags], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ArenaError(f"The run {run.arm!r} ended with exit code {done.returncode}: {done.stderr[-500:]}")
        return {"arm": run.arm, "flags": run.flags, "seed": run.seed, "minutes": run.minutes, **json.loads(done.stdout)}


def run_all(options: Options) -> None:
    """Runs what is missing, one run on each core, and adds each result to the file as it comes."""
    have = {(row["arm"], row["seed"], row["minutes"]) for row in read_results(options.results)}
    missing = [run for run in planned(options) if run.key not in have]
    cores: SimpleQueue[int] = SimpleQueue()
    available = sorted(os.sched_getaffinity(0))
    for core in available:
        cores.put(core)
    hours = len(missing) * (options.minutes + 1) / len(available) / 60
    print(f"{len(missing)} runs to go, {len(have)} done; about {hours:.1f} hours on {len(available)} core(s).")

    def work(run: Run) -> None:
        core = cores.get()
        try:
            record = perform(run, core)
        finally:
            cores.put(core)
        with options.results.open("a") as file:
            file.write(json.dumps(record) + "\n")
        figures = ", ".join(f"{name} {100 * record[name]:.1f}" for name in MEASURES)
        print(f"{run.arm}, seed {run.seed}: {record['steps']} steps; {figures}", flush=True)

    with ThreadPoolExecutor(len(available)) as executor:
        for _ in executor.map(work, missing):
            pass


# ---- writing it up ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arm:
    """What the runs of one arm say: the mean of each measure over seeds, and its difference to the preset.

    ``difference`` and ``error`` (its standard error, None from a single seed) are over the seeds that both have.
    """

    factor: str
    name: str
    seeds: int
    means: dict[str, float]
    difference: dict[str, float]
    error: dict[str, float | None]


def summarise(rows: list[dict[str, Any]]) -> list[Arm]:
    """All arms that have results, in the order of ``FACTORS``; of several lengths of run, the one with most rows."""
    minutes = max({row["minutes"] for row in rows}, key=lambda m: sum(row["minutes"] == m for row in rows))
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        if row["minutes"] == minutes:
            found.setdefault(row["arm"], {})[row["seed"]] = row
    base = found.get(BASELINE, {})
    arms = []
    for factor, names in FACTORS.items():
        for name in names:
            runs = found.get(name)
            if not runs:
                continue
            both = sorted(runs.keys() & base.keys())
            means = {m: 100 * mean(row[m] for row in runs.values()) for m in MEASURES}
            gaps = {m: [100 * (runs[seed][m] - base[seed][m]) for seed in both] for m in MEASURES}
            difference = {m: mean(g) if g else math.nan for m, g in gaps.items()}
            error = {m: stdev(g) / math.sqrt(len(g)) if len(g) > 1 else None for m, g in gaps.items()}
            arms.append(Arm(factor, name, len(runs), means, difference, error))
    return arms


def report(path: Path) -> None:
    """Writes docs/study.md and docs/study.svg."""
    rows = read_results(path)
    if not rows:
        raise ArenaError(f"{path} holds no results yet; run python -m scripts.study first.")
    arms = summarise(rows)
    write_atomically(DOCS / "study.md", as_markdown(arms, rows).encode())
    draw(arms, DOCS / "study.svg")
    print(f"Wrote {DOCS / 'study.md'} and {DOCS / 'study.svg'}.")


def as_markdown(arms: list[Arm], rows: list[dict[str, Any]]) -> str:
    """The write-up."""
    minutes = rows[-1]["minutes"]
    lines = [
        "# What each setting of the Connect Four preset is worth",
        "",
        "Written by `python -m scripts.study --report` from [study.jsonl](study.jsonl), which holds every run with "
        "its settings and figures. One factor at a time: each arm is the preset with the change that its name says, "
        f"trained for {minutes:g} minutes on one core (one worker and the learner), then held against the solved "
        "positions. Kept / best: share of moves that keep the outcome, and of best-scoring moves, mean over six "
        f"classes, in percent; for the raw policy and with {SIMULATIONS} simulations. Value: share of positions whose "
        "result the search's value calls right. ± is the standard error of the difference to the preset over seeds; "
        "with one seed there is none, and a difference of a point or two means nothing.",
        "",
        "| factor | arm | seeds | raw kept | raw best | kept | best | value |",
        "|---|---|---:|---|---|---|---|---|",
    ]
    for arm in arms:
        cells = [f"{arm.means[m]:.1f}{_gap(arm, m)}" for m in MEASURES]
        lines.append(f"| {arm.factor} | {arm.name} | {arm.seeds} | " + " | ".join(cells) + " |")
    lines += ["", "![differences to the preset](study.svg)", ""]
    return "\n".join(lines)


def _gap(arm: Arm, measure: str) -> str:
    if arm.name == BASELINE or math.isnan(arm.difference[measure]):
        return ""
    error = arm.error[measure]
    spread = f" ± {error:.1f}" if error is not None else ""
    return f" ({arm.difference[measure]:+.1f}{spread})"


def draw(arms: list[Arm], path: Path) -> None:
    """One dot per arm: how much better or worse than the preset its raw policy's best moves are."""
    shown = [arm for arm in arms if arm.name != BASELINE]
    with svg_figure(path, 9, 1.2 + 0.26 * len(shown), ncols=2, sharey=True) as axes:
        places = np.arange(len(shown))[::-1]
        for axis, measure, title in zip(
            axes, ("raw_best", "best"), ("raw policy", f"{SIMULATIONS} simulations"), strict=True
        ):
            gaps = [arm.difference[measure] for arm in shown]
            errors = [arm.error[measure] or 0.0 for arm in shown]
            axis.errorbar(gaps, places, xerr=errors, fmt="o", markersize=4)
            axis.axvline(0, color="grey", linewidth=0.8)
            axis.set_title(f"best moves, {title}")
            axis.set_xlabel("difference to the preset, percentage points")
            axis.set_yticks(places, [arm.name for arm in shown])
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
    return found


def main(options: Options) -> None:
    """Runs what is missing, unless only the report is asked for, and writes the report."""
    if not options.report:
        run_all(options)
    report(options.results)


if __name__ == "__main__":
    start(main, Options, goes_on=True)
