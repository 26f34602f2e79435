"""Run directories and checkpoints: whole or not there, thinned out, and refused in one sentence when damaged."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

import games
from agents.networks.core import NetworkConfig
from agents.networks.files import find_network, load_network
from arena import checkpoint
from arena.checkpoint import RunError
from arena.config import ConfigError, LearnerConfig, preset
from arena.learner import Learner
from tests.arena.small_runs import small


@pytest.fixture
def learner() -> Learner:
    return Learner(games.make("tic_tac_toe").spec, NetworkConfig(blocks=1, channels=8), LearnerConfig(), seed=0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return checkpoint.open_run(small("tic_tac_toe", tmp_path / "run"))


def test_what_is_saved_comes_back(run: Path, learner: Learner) -> None:
    learner.steps = 12
    worker = {"array": np.arange(6).reshape(2, 3), "facts": {"a": [1, None, 2**100]}}
    path = checkpoint.save(run, learner, {"seconds": 1.5, "positions": 3}, worker)
    assert path == checkpoint.latest(run) == find_network(run)
    network, metadata = load_network(path, games.make("tic_tac_toe"))
    assert metadata.weights_version == 12
    for name, tensor in network.state_dict().items():
        assert np.array_equal(tensor.numpy(), learner.playing_weights()[name])
    learner.steps = 0
    loaded = checkpoint.load(path, learner)
    assert learner.steps == 12
    assert loaded.progress == {"seconds": 1.5, "positions": 3}
    assert loaded.worker is not None
    assert loaded.worker["facts"] == worker["facts"]
    assert np.array_equal(loaded.worker["array"], worker["array"])


def test_old_checkpoints_are_thinned_out(run: Path, learner: Learner) -> None:
    for learner.steps in range(1, 41):
        checkpoint.save(run, learner, {})
    steps = sorted(int(path.name) for path in (run / "checkpoints").iterdir())
    whole = sorted(int(path.parent.name) for path in run.glob("checkpoints/*/run.json"))
    assert whole == [38, 39, 40]
    assert len(steps) == checkpoint.KEPT_WHOLE + checkpoint.KEPT_NETWORKS
    assert steps[0] == 1
    assert all((run / "checkpoints" / f"{step:08d}" / "network.safetensors").is_file() for step in steps)


def test_the_same_step_can_be_saved_again(run: Path, learner: Learner) -> None:
    checkpoint.save(run, learner, {"seconds": 1.0})
    path = checkpoint.save(run, learner, {"seconds": 2.0})
    assert checkpoint.load(path, learner).progress == {"seconds": 2.0}
    assert [each.name for each in (run / "checkpoints").iterdir()] == ["00000000"]


def test_a_failed_save_leaves_nothing(run: Path, learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    good = checkpoint.save(run, learner, {"seconds": 1.0})

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_atomically", fail)
    learner.steps = 1
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(run, learner, {"seconds": 2.0})
    assert list((run / "checkpoints").iterdir()) == [good]


@pytest.mark.parametrize("name", ["run.json", "learner.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100])
def test_damage_is_one_sentence(run: Path, learner: Learner, name: str, content: bytes) -> None:
    path = checkpoint.save(run, learner, {})
    (path / name).write_bytes(content)
    with pytest.raises(games.ArenaError, match=r"is damaged|has no weights") as caught:
        checkpoint.load(path, learner)
    assert "\n" not in str(caught.value)


def test_directories_that_are_no_runs_are_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="exists and is not empty"):
        checkpoint.open_run(small("tic_tac_toe", tmp_path))
    with pytest.raises(RunError, match=r"has no config\.toml"):
        checkpoint.open_run(small("tic_tac_toe", tmp_path, resume=True))
    with pytest.raises(RunError, match="There is no run at"):
        checkpoint.open_run(small("tic_tac_toe", tmp_path / "nowhere", resume=True))
    with pytest.raises(RunError, match="exists and is not empty"):
        checkpoint.open_run(small("tic_tac_toe", tmp_path / "letter.txt"))
    with pytest.raises(RunError, match="Cannot make the run directory"):
        checkpoint.open_run(small("tic_tac_toe", tmp_path / "letter.txt" / "run"))
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_run_of_another_game_is_refused(run: Path) -> None:
    with pytest.raises(RunError, match="is a run of tic_tac_toe, not of connect_four"):
        checkpoint.open_run(small("connect_four", run, resume=True))


def test_a_damaged_configuration_is_one_sentence(run: Path) -> None:
    (run / "config.toml").write_text("game = ")
    with pytest.raises(ConfigError, match="is not TOML"):
        checkpoint.read_config(run)


def test_the_newest_run_of_a_game_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="There is no run of tic_tac_toe"):
        checkpoint.newest_run("tic_tac_toe")
    checkpoint.open_run(small("tic_tac_toe", Path("runs/b")))
    checkpoint.open_run(small("connect_four", Path("runs/c")))
    (tmp_path / "runs" / "d").mkdir()
    (tmp_path / "runs" / "d" / "config.toml").write_text("nonsense")
    assert checkpoint.newest_run("tic_tac_toe") == Path("runs/b")
    assert checkpoint.read_config(Path("runs/b")).game == preset("tic_tac_toe").game
