"""What each setting of the Connect Four preset is worth: one factor at a time, several seeds, equal time beside it.

    python -m scripts.study                          # runs what docs/study.jsonl does not hold yet, hours in all
    python -m scripts.study --only "simulations 16" --seeds 3
    python -m scripts.study --report                 # writes docs/study.md and docs/study.svg from docs/study.jsonl

Every run is one self-play worker and the learner on one core, for the same number of minutes, and beside it on another
core, at the same time and with the same seed, runs the preset: a shared machine is twice as fast in one minute as in
the next, which only pairs survive. (On a single core they go one after the other.) Then both networks are held against
the solved positions. Stop it whenever you like: what is finished is in docs/study.jsonl, and the same command goes on.
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
from arena.datasets import connect_four as eight_stones
from games import ArenaError, Game, solved
from scripts.program import start, svg_figure

GAME = "connect_four"
BASELINE = "the preset"
RESULTS = Path(__file__).resolve().parent.parent / "docs" / "study.jsonl"
MEASURES = ("raw_kept", "raw_best", "kept", "best", "value", "eight")
SIMULATIONS = 64
FACTORS: dict[str, dict[str, tuple[str, ...]]] = {
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
        "a quarter of all positions": ("--replay.window-fraction", "0.25"),
        "four fifths of all positions": ("--replay.window-fraction", "0.8"),
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
        "no games are cut": ("--self-play.cut-fraction", "0.0"),
        "four of five games are cut": ("--self-play.cut-fraction", "0.8"),
        "games are cut after 4 plies": ("--self-play.cut-plies", "4"),
        "games are cut after 16 plies": ("--self-play.cut-plies", "16"),
    },
    "network": {
        "2x32": ("--network.blocks", "2", "--network.channels", "32"),
        "6x32": ("--network.blocks", "6", "--network.channels", "32"),
        "4x48": ("--network.blocks", "4", "--network.channels", "48"),
        "equivariant": ("--network.equivariant",),
        "batch normalisation": ("--network.normalisation", "batch"),
        "small value head": ("--network.value-channels", "8", "--network.value-hidden", "64"),
    },
    "learning": {
        "AdamW": ("--learner.optimizer", "adamw"),
        "half the learning rate": ("--learner.learning-rate", "0.001"),
        "twice the learning rate": ("--learner.learning-rate", "0.004"),
        "no moving average": ("--learner.ema", "0.0"),
        "value loss counts 2": ("--learner.value-loss-weight", "2.0"),
        "1.5 samples a position": ("--learner.samples-per-position", "1.5"),
        "4 samples a position": ("--learner.samples-per-position", "4.0"),
        "10 samples a position": ("--learner.samples-per-position", "10.0"),
    },
}


@dataclass(frozen=True)
class Options:
    """Runs the study of the Connect Four preset, or writes it up."""

    report: bool = False
    """Only write study.md and study.svg, beside the results, from those there are."""
    minutes: float = 8.0
    """Minutes of training of each run, on one core."""
    seeds: int = 2
    """Seeds of each arm, from 0."""
    only: tuple[str, ...] = ()
    """Arms to run, by name; by default all."""
    results: Path = RESULTS
    """The file that results are added to."""


@dataclass(frozen=True)
class Run:
    """One arm with one seed, the preset beside it."""

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
            if not options.only or name in options.only:
                yield Run(name, flags, seed, options.minutes)


def read_results(path: Path) -> list[dict[str, Any]]:
    """All results so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def perform(run: Run, cores: tuple[int, ...]) -> dict[str, Any]:
    """Trains the arm and the preset, each on one of ``cores``, and returns what came of both as one record."""
    with ThreadPoolExecutor(len(cores)) as executor:
        jobs = [
            executor.submit(train_and_measure, run, flags, cores[number % len(cores)])
            for number, flags in enumerate((run.flags, ()))
        ]
        found, beside = (job.result() for job in jobs)
    facts = {"arm": run.arm, "flags": run.flags, "seed": run.seed, "minutes": run.minutes}
    return {**facts, "found": found, "preset": beside}


def train_and_measure(run: Run, flags: tuple[str, ...], core: int) -> dict[str, Any]:
    """Trains on ``core`` and says what the final network knows."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "run"
        command = [sys.executable, "-m", "scripts.study_run", str(core), GAME, "--run", str(directory)]
        command += ["--judge.no-enabled", "--workers", "1", "--minutes", str(run.minutes), "--seed", str(run.seed)]
        done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ArenaError(f"The run {run.arm!r} ended with exit code {done.returncode}: {done.stderr[-500:]}")
        return json.loads(done.stdout)


def run_all(options: Options) -> None:
    """Runs what is missing, one pair on every two cores, and adds each result to the file as it comes."""
    have = {(row["arm"], row["seed"], row["minutes"]) for row in read_results(options.results)}
    missing = [run for run in planned(options) if run.key not in have]
    available = sorted(os.sched_getaffinity(0))
    pairs = list(zip(available[::2], available[1::2], strict=False)) or [(available[0],)]
    free: SimpleQueue[tuple[int, ...]] = SimpleQueue()
    for pair in pairs:
        free.put(pair)
    hours = len(missing) * (options.minutes + 1) * (2 / len(pairs[0])) / len(pairs) / 60
    print(f"{len(missing)} pairs to go, {len(have)} done; about {hours:.1f} hours on {len(available)} core(s).")

    def work(run: Run) -> None:
        cores = free.get()
        try:
            record = perform(run, cores)
        finally:
            free.put(cores)
        with options.results.open("a") as file:
            file.write(json.dumps(record) + "\n")
        figures = ", ".join(f"{m} {100 * record['found'][m]:.1f} ({100 * record['preset'][m]:.1f})" for m in MEASURES)
        print(f"{run.arm}, seed {run.seed}: {figures}", flush=True)

    with ThreadPoolExecutor(len(pairs)) as executor:
        for _ in executor.map(work, missing):
            pass


# ---- writing it up ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arm:
    """What the pairs of one arm say, in percent: the mean of each measure, of its difference to the preset beside it,
    and that difference's standard error (None from a single pair)."""

    factor: str
    name: str
    pairs: int
    means: dict[str, float]
    difference: dict[str, float]
    error: dict[str, float | None]


def summarise(rows: list[dict[str, Any]]) -> list[Arm]:
    """All arms that have results, in the order of ``FACTORS``."""
    arms = []
    for factor, names in FACTORS.items():
        for name in names:
            pairs = [row for row in rows if row["arm"] == name]
            if not pairs:
                continue
            means = {m: 100 * mean(row["found"][m] for row in pairs) for m in MEASURES}
            gaps = {m: [100 * (row["found"][m] - row["preset"][m]) for row in pairs] for m in MEASURES}
            difference = {m: mean(g) for m, g in gaps.items()}
            error = {m: stdev(g) / math.sqrt(len(g)) if len(g) > 1 else None for m, g in gaps.items()}
            arms.append(Arm(factor, name, len(pairs), means, difference, error))
    return arms


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
    table, plot = path.with_name("study.md"), path.with_name("study.svg")
    write_atomically(table, as_markdown(arms, rows).encode())
    draw(arms, plot)
    print(f"Wrote {table} and {plot}.")


def as_markdown(arms: list[Arm], rows: list[dict[str, Any]]) -> str:
    """The write-up."""
    presets = {m: [100 * row["preset"][m] for row in rows] for m in MEASURES}
    spread = {m: f"{mean(v):.1f}" + (f" ± {stdev(v):.1f}" if len(v) > 1 else "") for m, v in presets.items()}
    lines = [
        "# What each setting of the Connect Four preset is worth",
        "",
        "Written by `python -m scripts.study --report` from [study.jsonl](study.jsonl), which holds every run with "
        "its settings and figures. One factor at a time: each arm is the preset with the change that its name says, "
        f"trained for {rows[0]['minutes']:g} minutes on one core (one worker and the learner) with the preset beside "
        "it on another, at the same time and with the same seed; then both are held against the solved positions. "
        "Kept / best: share of moves that keep the outcome, and of best-scoring moves, mean over six classes, in "
        f"percent; for the raw policy and with {SIMULATIONS} simulations. Value: share of those positions whose result "
        "the search's value calls right; eight: share of the classic positions of eight stones where somebody wins and "
        "the network's value says who. In brackets the difference to the preset beside it, ± its standard error over "
        "pairs; with one pair there is none, and a difference of a point or two means nothing. Of the preset: mean ± "
        "standard deviation of its runs.",
        "",
        "| factor | arm | pairs | raw kept | raw best | kept | best | value | eight |",
        "|---|---|---:|---|---|---|---|---|---|",
        f"| | {BASELINE} | {len(rows)} | " + " | ".join(spread.values()) + " |",
    ]
    for arm in arms:
        cells = [f"{arm.means[m]:.1f}{_gap(arm, m)}" for m in MEASURES]
        lines.append(f"| {arm.factor} | {arm.name} | {arm.pairs} | " + " | ".join(cells) + " |")
    lines += ["", "![differences to the preset](study.svg)", ""]
    return "\n".join(lines)


def _gap(arm: Arm, measure: str) -> str:
    error = arm.error[measure]
    spread = f" ± {error:.1f}" if error is not None else ""
    return f" ({arm.difference[measure]:+.1f}{spread})"


def draw(arms: list[Arm], path: Path) -> None:
    """One dot per arm and measure: how much better or worse than the preset beside it."""
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
            axis.set_xlabel("difference to the preset, percentage points")
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
