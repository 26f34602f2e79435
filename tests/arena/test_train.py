"""The training loop: the real configuration, shrunk, through real Ray; and runs that stop and go on exactly."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

import agents
import games
from arena import checkpoint
from arena.checkpoint import RunError
from arena.shards import read_shard
from arena.train import train
from tests.arena.small_runs import Transcript, small, synchronous


class PowerCutError(Exception):
    """What stands in for the plug being pulled: nothing is saved."""


class Interrupter(Transcript):
    """Does something to the run at one of its reports, which come every round."""

    def __init__(self, at: int, crash: bool = False) -> None:
        super().__init__()
        self._left, self._crash = at, crash

    def show(self, values: Mapping[str, str]) -> None:
        self._left -= 1
        if self._left == 0:
            if self._crash:
                raise PowerCutError
            os.kill(os.getpid(), signal.SIGINT)


def final_files(run: Path) -> dict[str, bytes]:
    """The bytes of the weights and the optimizer at the end, and of every shard."""
    last = checkpoint.latest(run)
    assert last is not None
    paths = [last / "learner.safetensors", last / "network.safetensors", *(run / "shards").glob("*.npz")]
    return {str(path.relative_to(run)): path.read_bytes() for path in paths}


def metrics(run: Path, kind: str) -> list[dict[str, object]]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record for record in records if record["kind"] == kind]


@pytest.mark.slow
def test_the_real_preset_shrunk(tmp_path: Path) -> None:
    """Connect Four on real Ray, from nothing to an agent that plays and a curve that rates it."""
    run = tmp_path / "run"
    transcript = Transcript()
    config = small("connect_four", run, workers=2, max_steps=60, checkpoint_minutes=0.03)
    train(config, transcript)
    assert "arena play connect_four --opponent net:" in transcript.text
    shards = checkpoint.shard_files(run)
    assert list(shards) == list(range(len(shards)))
    game = games.make("connect_four")
    positions = sum(read_shard(path, game).num_positions for path in shards.values())
    last = metrics(run, "train")[-1]
    assert last["step"] == 60
    assert last["positions"] == positions
    # The last report has no loss of its own when the one before fell on the very last step.
    assert any(isinstance(record["policy_loss"], float) for record in metrics(run, "train"))
    # Self-play and learning waited for each other.
    owed = config.learner.samples_per_position * positions - 60 * config.learner.batch_size
    slack = config.learner.minimum_positions + 5 * (config.self_play.shard_positions + 16 * 42)
    assert 0 <= owed <= config.learner.samples_per_position * slack
    judged = metrics(run, "judge")[-1]
    assert judged["step"] == 60
    assert {"elo", "elo_interval", "keeps_outcome_0", "best_move_0", "keeps_outcome_4"} <= judged.keys()
    agent = agents.make(f"net:{run},simulations=8", game)
    assert 0 <= int(agent.act(game.init(1), np.random.default_rng(0)).action[0]) < 7
    (events,) = run.glob("events.*")
    tags = {value.tag for event in EventFileLoader(str(events)).Load() for value in event.summary.value}
    assert {"train/policy_loss", "judge/elo"} <= tags


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(synchronous("tic_tac_toe", tmp_path_factory.mktemp("a") / "run", 40), Transcript())


def test_the_same_seed_gives_the_same_weights(never_stopped: Path, tmp_path: Path) -> None:
    again = train(synchronous("tic_tac_toe", tmp_path / "run", 40), Transcript())
    assert final_files(again) == final_files(never_stopped)


@pytest.mark.parametrize("rounds", [(1,), (3, 9), (14, 2, 5)])
def test_stop_and_resume_equals_never_stopping(never_stopped: Path, tmp_path: Path, rounds: tuple[int, ...]) -> None:
    config = synchronous("tic_tac_toe", tmp_path / "run", 40, report_seconds=1e-9)
    for session, at in enumerate(rounds):
        stopped = Interrupter(at)
        train(replace(config, resume=session > 0), stopped)
        assert f"arena train tic_tac_toe --run {config.run} --resume" in stopped.text
        assert "Stopped by Ctrl-C" in stopped.text
    train(replace(config, resume=True), Transcript())
    assert final_files(tmp_path / "run") == final_files(never_stopped)


@pytest.mark.parametrize("at", [2, 20])
def test_a_power_cut_loses_time_and_nothing_else(never_stopped: Path, tmp_path: Path, at: int) -> None:
    config = synchronous("tic_tac_toe", tmp_path / "run", 40, report_seconds=1e-9, checkpoint_minutes=0.005)
    with pytest.raises(PowerCutError):
        train(config, Interrupter(at, crash=True))
    train(replace(config, resume=True), Transcript())
    assert final_files(tmp_path / "run") == final_files(never_stopped)


def test_a_finished_run_says_so(never_stopped: Path) -> None:
    before = final_files(never_stopped)
    with pytest.raises(RunError, match="has had all of its training"):
        train(synchronous("tic_tac_toe", never_stopped, 40, resume=True), Transcript())
    assert final_files(never_stopped) == before


def test_other_network_settings_are_refused(never_stopped: Path) -> None:
    config = synchronous("tic_tac_toe", never_stopped, 80, resume=True)
    with pytest.raises(games.ArenaError, match="resume with the network settings"):
        train(replace(config, network=replace(config.network, channels=16)), Transcript())
