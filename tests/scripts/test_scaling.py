"""The scaling study in small: real portions, the real loop on Ray with idle workers, and the write-up."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from arena.learner import Learner
from arena.records import SampleBatch
from arena.train import train
from games import ArenaError
from scripts import scaling
from scripts.scaling import PARTS, Options
from tests.arena.small_runs import Transcript, synchronous


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(synchronous("tic_tac_toe", tmp_path_factory.mktemp("run") / "run", 2), Transcript())


def small(network: Path, out: Path) -> Options:
    sizes = {"simulations": (2, 8), "games_in_flight": (4, 16), "rounds": 1}
    return Options(network, game="tic_tac_toe", workers=(2,), seconds=2.0, out=out, **sizes)


def test_the_loop_runs_with_idle_workers_and_is_written_up(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, rehearse = Learner.step, scaling.rehearse
    steps, computed = [0], {}  # of real learners, so far and by whether one was wanted

    def counted_step(learner: Learner, batch: SampleBatch, progress: float) -> None:
        steps[0] += 1
        step(learner, batch, progress)

    def counted_rehearse(*given: Any, learns: bool) -> dict[str, float]:
        before = steps[0]
        found = rehearse(*given, learns=learns)
        computed[learns] = steps[0] - before
        return found

    monkeypatch.setattr(Learner, "step", counted_step)
    monkeypatch.setattr(scaling, "rehearse", counted_rehearse)
    scaling.main(small(network, tmp_path))
    assert computed[True] > 0
    assert computed[False] == 0  # a free learner computes nothing
    written = (tmp_path / "scaling.md").read_text()
    assert "**The workers are simulated**" in written
    rows = re.findall(r"\| (real|free) \| 2 \| ([\d,]+) \| (\d+)% \|(.*)\|", written)
    assert [row[0] for row in rows] == ["real", "free"]
    for _, positions, _, shares in rows:
        assert int(positions.replace(",", "")) > 0
        parts = [int(cell.rstrip(" %")) for cell in shares.split("|")]
        assert len(parts) == len(PARTS)
        assert 0 <= sum(parts) <= 101  # of the driver's time
    real, free = (int(row[3].split("|")[0].rstrip(" %")) for row in rows)
    assert free < real  # the time that it takes
    assert free == 0  # a free learner learns in no time
    assert len(re.findall(r"^\| (4|16) \| [\d.]+ \| [\d.]+ \|$", written, flags=re.MULTILINE)) == 2
    assert (tmp_path / "scaling.svg").stat().st_size > 10_000


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"workers": ()}, {"simulations": (8, 0)}, {"seconds": -1.0}])
def test_numbers_must_be_above_zero(wrong: dict, tmp_path: Path) -> None:
    options = dataclasses.replace(small(tmp_path, tmp_path), **wrong)
    with pytest.raises(ArenaError, match=f"--{next(iter(wrong))} is .* above zero"):
        scaling.main(options)
