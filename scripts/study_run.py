"""One run of ``scripts/study.py``, in a process of its own: ``python -m scripts.study_run CORE GAME OPTIONS…``.

Pins itself and all it starts to one core, trains, measures, and prints one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch start their threads


def main(core: int, words: list[str]) -> None:
    """Does it all; what training says goes to stderr."""
    os.sched_setaffinity(0, {core})
    from arena.config import parse
    from arena.metrics import read_last
    from arena.train import train
    from scripts.study import measure_network

    with contextlib.redirect_stdout(sys.stderr):
        run = train(parse(words))
        last = read_last(run, "train")
        found = {"steps": last["step"], "positions": last["positions"], **measure_network(run)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
