"""A run is measured on data that it has not learned from, and on nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import games
from agents.networks.files import CheckpointError
from arena.datasets import DatasetError, Source, open_dataset
from arena.supervised import learn
from games import start_symmetries
from games.records import GameRecord
from scripts import examine
from scripts.examine import Options, choose
from tests.arena.small_data import random_othello, small, write_pictures, write_wthor
from tests.arena.small_runs import Transcript
from tests.arena.test_train import metrics

RECORDS = random_othello(160, seed=1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))


def mirrored(record: GameRecord) -> GameRecord:
    """The same game seen in a mirror that leaves the first four discs where they are."""
    other = start_symmetries(games.make("othello"))[1]
    return GameRecord(
        "othello", np.argsort(other.action_permutation)[record.moves], returns=record.returns, tags=record.tags
    )


@pytest.mark.parametrize("backbone", ["mlp", "transformer"])
def test_what_it_learned_from_is_left_out(backbone: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_wthor(tmp_path / "data", RECORDS[:120])
    run = learn(small("wthor", data, tmp_path / "run", backbone), Transcript())
    fresh = write_wthor(tmp_path / "fresh", RECORDS[120:])
    mixed = write_wthor(tmp_path / "mixed", [*RECORDS[120:], *RECORDS[:30], *map(mirrored, RECORDS[30:60])])
    alone, beside = (examine.main(Options(run, other)) for other in (fresh, mixed))
    assert alone["left_out"] == 0
    trained = {tuple(row[row >= 0]) for row in trained_games(data)}
    count = [len(record.moves) if backbone == "mlp" else 1 for record in RECORDS[:60] if tuple(record.moves) in trained]
    assert beside["left_out"] == sum(count) > 0
    out = capsys.readouterr().out
    assert f"left out because it has learned from them: {sum(count)}." in out
    assert "illegal top-1 without the mask" in out
    assert "no training game" not in out
    # What is left of the mixture: the fresh games, and those of the run's other two splits.
    rest = [
        len(record.moves) if backbone == "mlp" else 1 for record in RECORDS[:60] if tuple(record.moves) not in trained
    ]
    assert beside["examples"] == alone["examples"] + sum(rest)


def trained_games(data: Path) -> np.ndarray:
    """The moves of the training split."""
    dataset = open_dataset(Source("wthor", data, "moves", 80))
    return dataset.batch("train", np.arange(dataset.sizes["train"])).action


def test_the_figures_are_those_of_the_learner(tmp_path: Path) -> None:
    """On its own data only the other two splits are left, and of these the test split was measured at the end."""
    data = write_wthor(tmp_path / "data", RECORDS)
    run = learn(small("wthor", data, tmp_path / "run", "transformer"), Transcript())
    (test,) = metrics(run, "test")
    found = examine.main(Options(run, data))
    dataset = open_dataset(Source("wthor", data, "moves", 80))
    assert found["examples"] == dataset.sizes["validation"] + dataset.sizes["test"]
    assert found["left_out"] == dataset.sizes["train"]
    parts, _ = choose(dataset, dataset, None)
    from agents.networks.files import find_network, load_network
    from arena.examination import measure

    network = load_network(find_network(run))[0]
    again = measure(network, dataset, [part for part in parts if part[0] == "test"], examine.best_device("cpu"))
    assert again["illegal"] == pytest.approx(test["illegal"])
    assert again["log_loss"] == pytest.approx(test["log_loss"], rel=1e-5)
    parts, _ = choose(dataset, None, 50)
    assert 45 <= sum(len(indices) for _, indices in parts) <= 50
    assert all(len(set(indices)) == len(indices) for _, indices in parts)


def test_pictures(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "one" / "cifar10.tar.gz", per_class=20, seed=0)
    run = learn(small("cifar10", data, tmp_path / "run", max_steps=60), Transcript())
    other = write_pictures(tmp_path / "two" / "cifar10.tar.gz", per_class=20, seed=1)
    found = examine.main(Options(run, other, json=True))
    assert (found["examples"], found["left_out"], found["top1"]) == (120, 0, 1.0)
    assert np.sum(found["confusion"]) == 120


def test_what_cannot_be_measured_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_wthor(tmp_path / "data", RECORDS[:60])
    run = learn(small("wthor", data, tmp_path / "run", "mlp"), Transcript())
    trained = [
        record for record in RECORDS[:60] if tuple(record.moves) in {tuple(r[r >= 0]) for r in trained_games(data)}
    ]
    learned = write_wthor(tmp_path / "learned", trained)
    with pytest.raises(DatasetError, match="has learned from all"):
        examine.main(Options(run, learned))
    with pytest.raises(DatasetError, match="There is no"):
        examine.main(Options(run, tmp_path / "nowhere"))
    pictures = write_pictures(tmp_path / "two" / "cifar10.tar.gz", per_class=20, seed=1, classes=("cat", "dog"))
    other = learn(
        small("cifar10", write_pictures(tmp_path / "cifar10.tar.gz", per_class=20, seed=0), tmp_path / "pictures"),
        Transcript(),
    )
    with pytest.raises(CheckpointError, match="answers one of 3"):
        examine.main(Options(other, pictures))
    data.rename(tmp_path / "moved")
    capsys.readouterr()
    examine.main(Options(run, write_wthor(tmp_path / "fresh", RECORDS[60:80])))
    assert "What the run has learned from is not known: There is no" in capsys.readouterr().out
