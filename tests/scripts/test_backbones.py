"""The comparison of backbones: equal sizes, nothing done twice, and a write-up that says what was found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from arena.datasets import connect_four as eight
from arena.metrics import read_last
from arena.ratings import Z_95, RatingTable
from games import ArenaError
from scripts import backbones
from scripts.backbones import ARMS, Options, count_parameters, network_of, planned, summarise


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")  # listing the positions takes seconds


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_cache: Path) -> Options:
    """The whole study, shrunken."""
    outcomes = np.repeat(np.array(list(eight.COUNTS), np.int8), list(eight.COUNTS.values()))
    np.savez_compressed(tmp_path / "outcomes.npz", outcomes=outcomes)  # the right numbers in no particular order
    monkeypatch.setenv("ARENA_CACHE", str(shared_cache))
    monkeypatch.setattr(eight, "TEST_SHARE", 0.02)
    return Options(
        parameters=9_000,
        epochs=0.01,
        batch_size=128,
        seeds=1,
        games=2,
        workers=0,
        threads=1,
        data=tmp_path / "outcomes.npz",
        out=tmp_path / "runs",
        docs=tmp_path / "docs",
    )


def test_networks_have_equally_many_parameters() -> None:
    sizes = {arm: count_parameters(network_of(arm, 100_000)) for arm in ARMS}
    assert {arm for arm in sizes if abs(sizes[arm] - 100_000) > 1_000} <= {"resnet", "alexnet"}
    assert all(abs(size - 100_000) < 8_000 for size in sizes.values())  # whole planes are coarse
    hidden = [network_of(f"mlp-{layers}", 100_000).hidden for layers in (1, 2, 3)]
    assert [len(widths) for widths in hidden] == [1, 2, 3]
    assert len({network_of(arm, 100_000).backbone for arm in ARMS}) == 3
    assert all(network_of(arm, 100_000).outcomes for arm in ARMS)


def test_it_does_what_is_missing_and_writes_it_up(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    backbones.main(replace(options, plan=True))
    assert "1 × MLP, 1 hidden layer" in capsys.readouterr().out
    assert not options.out.exists()
    backbones.main(options)
    text = (options.docs / "backbones.md").read_text()
    for run in planned(options):
        found = read_last(run.path, "test")
        row = next(line for line in text.splitlines() if line.startswith(f"| {ARMS[run.arm][0]} "))
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[2:5] == [
            f"{count_parameters(run.config.network):,}",
            f"{100 * found['outcome_top1']:.2f}",
            f"{found['outcome_log_loss']:.4f}",
        ]
    assert "<svg" in (options.docs / "backbones.svg").read_text()
    played = (options.out / "tournament" / "games.jsonl").read_text().splitlines()
    assert len(played) == 7 * 6
    capsys.readouterr()
    backbones.main(options)  # all is done
    out = capsys.readouterr().out
    assert "== run" not in out
    assert "42 of 42 games played" in out
    assert (options.docs / "backbones.md").read_text() == text


def test_a_run_that_was_cut_off_goes_on(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    first, *_ = planned(options)
    backbones.learn(replace(first.config, epochs=None, max_steps=2))
    assert first.is_done  # of what it was asked for then
    lines = [line for line in (first.path / "metrics.jsonl").read_text().splitlines() if '"test"' not in line]
    (first.path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    assert not first.is_done
    capsys.readouterr()
    backbones.train_all([first])
    assert "step 2, " in capsys.readouterr().out
    assert first.is_done


def test_ratings_are_means_over_seeds(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    two = replace(options, seeds=2)
    runs = planned(two)
    monkeypatch.setattr(
        backbones.Run,
        "result",
        lambda run: {
            "outcome_top1": 0.5 + 0.1 * run.seed,
            "outcome_log_loss": 1.0,
            "outcome_calibration_error": 0.0,
            "seconds": 60.0,
        },
    )
    names = tuple(run.agent for run in runs)
    count = len(names)
    elo, zeros = np.arange(count, dtype=float), np.zeros(count, np.int64)
    covariance = np.eye(count) * 100.0
    ratings = RatingTable(names, elo, covariance, np.zeros((count, count, 3)), 0.0, 0.0, 0.0, {}, zeros, zeros)
    rows = summarise(runs, ratings)
    assert [row.elo for row in rows] == [index + len(ARMS) / 2 for index in range(len(ARMS))]
    assert rows[0].elos == [0.0, 5.0]
    assert rows[0].interval == pytest.approx(Z_95 * np.sqrt(50.0))
    assert rows[0].accuracy == [0.5, 0.6]
    assert backbones._spread([100 * share for share in rows[0].accuracy], 2) == "55.00 ± 7.07"


def test_guessing_is_measured_too(options: Options) -> None:
    accuracy, log_loss = backbones.guess(planned(options)[0])
    shares = np.array(list(eight.COUNTS.values())) / eight.POSITIONS
    assert accuracy == pytest.approx(shares.max(), abs=0.06)
    assert log_loss == pytest.approx(-(shares * np.log(shares)).sum(), abs=0.06)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": 0}, "--parameters is 0"),
        ({"epochs": 0.0}, "--epochs is 0.0"),
        ({"batch_size": -1}, "--batch-size is -1"),
        ({"seeds": 0}, "--seeds is 0"),
    ],
)
def test_settings_without_sense_are_refused(options: Options, changes: dict, message: str) -> None:
    with pytest.raises(ArenaError, match=message):
        backbones.main(replace(options, **changes))
