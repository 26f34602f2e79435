"""Solves the 67,557 positions of eight stones that ``arena learn connect_four_8ply`` learns from.

python -m scripts.make_connect_four_8ply --processes 2

Takes hours. It writes what it has every minute or so, and goes on from there whenever it is started again; several
processes take a stretch of positions each, with a table of their own. At the end the counts must be the known ones.
"""

from __future__ import annotations

import io
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.files import write_atomically
from arena.datasets.connect_four import COUNTS, OUTCOMES_PATH, UNKNOWN, positions, read_outcomes
from games import ArenaError
from games.connect_four_solver import Solver
from scripts.program import start

SAVE_SECONDS = 60.0
PORTION = 64
"""Neighbours in the order of keys, which share stones and so table entries."""


@dataclass(frozen=True)
class Options:
    """Solves the classic positions of Connect Four with eight stones."""

    processes: int = 1
    """How many solve at once."""
    table_megabytes: int = 1024
    """Memory of each process's table."""
    minutes: float | None = None
    """Stop after so long; by default when all is solved."""
    output: Path = OUTCOMES_PATH


_solver: Solver | None = None


def _prepare(table_megabytes: int) -> None:
    global _solver
    _solver = Solver(table_megabytes, use_book=False)


def _solve(portion: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, list[int]]:
    """The outcomes of the positions ``stones`` ``[n, 2]``, whose rows are given back with them."""
    rows, stones = portion
    assert _solver is not None
    return rows, [_solver.outcome(int(mine), int(mine | theirs)) for mine, theirs in stones]


def run(options: Options) -> None:
    """Solves until everything is solved, or the time is up."""
    if options.processes < 1 or options.table_megabytes < 1:
        raise ArenaError("--processes and --table-megabytes must be 1 or more.")
    outcomes, stones = read_outcomes(options.output), positions()

    def portions() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        missing = np.flatnonzero(outcomes == UNKNOWN)
        for first in range(0, len(missing), PORTION):
            rows = missing[first : first + PORTION]
            yield rows, stones[rows]

    started = saved = time.monotonic()
    before = int((outcomes != UNKNOWN).sum())
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.processes, _prepare, (options.table_megabytes,)) as pool:
        try:
            for rows, found in pool.imap_unordered(_solve, portions()):
                outcomes[rows] = found
                now = time.monotonic()
                if now - saved > SAVE_SECONDS:
                    saved = now
                    _save(options.output, outcomes)
                    done = int((outcomes != UNKNOWN).sum())
                    rate = (done - before) / (now - started)
                    print(f"{done} of {len(outcomes)} solved, {rate:.2f}/s", flush=True)
                if options.minutes is not None and now - started > 60 * options.minutes:
                    break
        finally:
            _save(options.output, outcomes)
            pool.terminate()
    if (outcomes == UNKNOWN).any():
        print("Stopped; the same command goes on.")
        return
    counts = {outcome: int((outcomes == outcome).sum()) for outcome in COUNTS}
    if counts != COUNTS:
        raise RuntimeError(f"The counts are {counts}, but they must be {COUNTS}.")
    print(f"All {len(outcomes)} positions are solved: {counts[1]} won, {counts[-1]} lost, {counts[0]} drawn.")


def _save(path: Path, outcomes: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, outcomes=outcomes)
    write_atomically(path, buffer.getvalue())


if __name__ == "__main__":
    start(run, Options, goes_on=True)
