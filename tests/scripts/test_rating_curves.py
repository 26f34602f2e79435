"""Curves of several runs come from one tournament of their snapshots."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from arena.ratings import RatingTable
from arena.train import train
from games import ArenaError
from scripts import rating_curves
from scripts.rating_curves import Options, Snapshot, snapshots_of
from tests.arena.small_runs import Transcript, synchronous


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    root = tmp_path_factory.mktemp("runs")
    made = []
    for seed in (0, 1):
        config = synchronous("tic_tac_toe", root / f"run{seed}", 5, seed=seed)
        made.append(train(replace(config, checkpoint_minutes=1e-9), Transcript()))
    return tuple(made)


def tell_times(run: Path, minutes: list[float]) -> None:
    """Says that the checkpoints of ``run`` were saved after so many minutes."""
    for path, after in zip(sorted((run / "checkpoints").iterdir()), minutes, strict=False):
        description = json.loads((path / "network.json").read_text())
        description["extra"]["seconds"] = 60 * after
        (path / "network.json").write_text(json.dumps(description))


def test_snapshots_are_spread_over_the_time(runs: tuple[Path, ...]) -> None:
    count = len(list((runs[0] / "checkpoints").iterdir()))
    assert count >= 4
    tell_times(runs[0], [*(1 + index / 10 for index in range(count - 2)), 10.0, 20.0])
    assert [snapshot.minutes for snapshot in snapshots_of(runs[0], 2)] == [10.0, 20.0]
    assert len(snapshots_of(runs[0], 100)) == count
    assert snapshots_of(runs[0], 1)[0].path == max((runs[0] / "checkpoints").iterdir())


def test_all_snapshots_are_rated_together(runs: tuple[Path, ...], tmp_path: Path) -> None:
    options = Options(runs, snapshots=2, simulations=2, games=2, anchor="random", out=tmp_path)
    rating_curves.main(options)
    lines = (tmp_path / "games.jsonl").read_text().splitlines()
    text = (tmp_path / "rating_curves.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith(f"| {runs[0].parent}")]
    agents = len(rows) + 1
    assert len(lines) == agents * (agents - 1)
    assert {row.split("|")[1].strip() for row in rows} == {str(run) for run in runs}
    assert "<svg" in (tmp_path / "rating_curves.svg").read_text()
    rating_curves.main(options)  # nothing is left to play
    assert (tmp_path / "games.jsonl").read_text().splitlines() == lines


def test_the_table_gives_each_snapshot_its_own_rating() -> None:
    options = Options((Path("a"), Path("b")), simulations=0)
    snapshots = [Snapshot(Path("a"), Path("a/checkpoints/1"), 1.0), Snapshot(Path("b"), Path("b/checkpoints/1"), 2.5)]
    names = ("net:b/checkpoints/1,simulations=0", options.anchor, "net:a/checkpoints/1,simulations=0")
    covariance, zeros = np.diag([100.0, 0.0, 400.0]), np.zeros(3, np.int64)
    elo = np.array([50.0, 0.0, -20.0])
    ratings = RatingTable(names, elo, covariance, np.zeros((3, 3, 3)), 0.0, 0.0, 0.0, {}, zeros, zeros)
    text = rating_curves.as_markdown(options, "othello", snapshots, ratings)
    assert "| a | 1.0 | -20 | 39 |" in text
    assert "| b | 2.5 | 50 | 20 |" in text


def test_what_cannot_be_compared_is_one_sentence(runs: tuple[Path, ...], tmp_path: Path) -> None:
    other = tmp_path / "other"
    train(synchronous("connect_four", other, 1), Transcript())
    for chosen, message in (
        ((runs[0], other), "different games: connect_four, tic_tac_toe"),
        ((runs[0], runs[0]), "each of them once"),
        ((), "each of them once"),
        ((tmp_path / "nowhere",), "There is no run at"),
    ):
        with pytest.raises(ArenaError, match=message):
            rating_curves.main(Options(chosen, out=tmp_path / "out"))
    with pytest.raises(ArenaError, match="kept no network"):
        snapshots_of(tmp_path, 3)
