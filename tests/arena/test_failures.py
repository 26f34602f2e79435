"""What happens when processes are killed and disks run full. Nothing here is simulated."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import games
from arena import checkpoint, distributed
from arena.checkpoint import RunError
from arena.distributed import Background, WorkerError, WorkerPool
from arena.shards import read_shard
from arena.train import train
from tests.arena.ray_workers import Counter, Faulty, Fragile, Summer
from tests.arena.small_runs import Transcript, synchronous


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    distributed.start_ray(None, 4)
    yield
    distributed.stop_ray()


def collect(pool: WorkerPool, count: int) -> list[Any]:
    results: list[Any] = []
    deadline = time.monotonic() + 60
    while len(results) < count:
        results += pool.ready(1.0)
        assert time.monotonic() < deadline
    return results


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
class TestPool:
    def test_a_killed_worker_is_replaced_and_its_work_asked_for_again(self) -> None:
        pool = WorkerPool(Counter, 2)
        pool.publish({"w": np.array([3.0])}, 1)
        os.kill(pool.process_ids()[0], signal.SIGKILL)
        for _ in range(4):
            pool.ask()
        results = collect(pool, 4)
        assert {name for name, _ in results} == {(0, 1), (1, 0)}
        assert {weight for _, weight in results} == {3.0}
        assert (pool.deaths, pool.outstanding) == (1, 0)
        pool.close()

    def test_workers_that_only_die_end_the_run(self) -> None:
        pool = WorkerPool(Fragile, 1)
        pool.ask()
        with pytest.raises(WorkerError, match="died one after the other"):
            collect(pool, 1)
        pool.close()

    def test_a_bug_in_a_worker_is_not_hidden(self) -> None:
        pool = WorkerPool(Faulty, 1)
        pool.ask()
        with pytest.raises(ZeroDivisionError, match="a bug"):
            collect(pool, 1)
        pool.close()

    def test_what_runs_in_the_background_may_die(self) -> None:
        background = Background(Summer)
        assert background.result(0.0) is None
        background.start("add", 1, 2)
        assert background.result(30.0) == 3
        background.start("die")
        assert background.result(30.0) is None
        assert not background.busy
        background.start("add", 2, 2)
        assert background.result(30.0) == 4
        background.close()


def test_no_cluster_is_one_sentence() -> None:
    code = (
        "from arena.distributed import start_ray, WorkerError\n"
        "try: start_ray('nonsense://x', 1)\n"
        "except WorkerError as error: print(error)\n"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert output.startswith("Cannot join a Ray cluster at 'nonsense://x':")
    assert output.count("\n") == 1


TINY = {
    "max-steps": 100_000,
    "workers": 2,
    "network.blocks": 1,
    "network.channels": 8,
    "search.simulations": 8,
    "self-play.slots": 16,
    "self-play.shard-positions": 128,
    "self-play.cache-megabytes": 1,
    "learner.batch-size": 32,
    "learner.minimum-positions": 200,
    "report-seconds": 0.5,
    "checkpoint-minutes": 0.05,
}


def start_training(run: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "arena.cli", "train", "tic_tac_toe", "--run", str(run), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def workers_of(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """The self-play processes of a run; Ray names them after what they host."""
    return [p for p in psutil.Process(driver.pid).children(recursive=True) if "_Host" in p.name() and is_alive(p)]


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def num_shards(run: Path) -> int:
    return len(checkpoint.shard_files(run)) if run.is_dir() else 0


def last_deaths(run: Path) -> int:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return max((record.get("worker_deaths", 0) for record in records), default=0)


@pytest.mark.slow
def test_kill_9_of_a_worker_then_of_the_driver(tmp_path: Path) -> None:
    run = tmp_path / "run"
    driver = start_training(run, "--judge.no-enabled", *(f"--{key}={value}" for key, value in TINY.items()))
    try:
        wait_for(lambda: num_shards(run) >= 3, 60, "self-play")
        workers_of(driver)[0].kill()
        wait_for(lambda: last_deaths(run) == 1, 30, "the replacement of the worker")
        before = num_shards(run)
        wait_for(lambda: num_shards(run) >= before + 3, 60, "more self-play")
        wait_for(lambda: checkpoint.latest(run) is not None, 30, "a checkpoint")
        wait_for(lambda: len(workers_of(driver)) == 2, 30, "the start of the new worker")
        workers = workers_of(driver)
    finally:
        driver.kill()
        driver.communicate()
    # No worker goes on without its driver, and every finished game is still there and counts.
    wait_for(lambda: not any(is_alive(process) for process in workers), 30, "the end of all workers")
    game = games.make("tic_tac_toe")
    positions = sum(read_shard(path, game).num_positions for path in checkpoint.shard_files(run).values())
    resumed = start_training(run, "--resume")
    try:
        before = num_shards(run)
        wait_for(lambda: num_shards(run) >= before + 1, 60, "self-play after the resume")
        resumed.send_signal(signal.SIGTERM)
        output, _ = resumed.communicate(timeout=30)
    finally:
        resumed.kill()
    assert f", {positions} positions," in output
    assert f"Stopped by SIGTERM and saved. Go on with: arena train tic_tac_toe --run {run} --resume" in output
    assert resumed.returncode == 0


class DiskFiller(Transcript):
    """Fills the disk at a report."""

    def __init__(self, ballast: Path, at: int) -> None:
        super().__init__()
        self._ballast, self._left = ballast, at

    def show(self, values: Mapping[str, str]) -> None:
        self._left -= 1
        if self._left == 0:
            with self._ballast.open("wb", buffering=0) as file:
                try:
                    while file.write(b"\0" * 4096):
                        pass
                except OSError:
                    return


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_costs_nothing_that_was_saved(small_disk: Path, tmp_path: Path) -> None:
    run = small_disk / "run"
    # Every step is saved, so that something is, however soon the disk is full.
    config = synchronous("tic_tac_toe", run, 40, report_seconds=1e-9, checkpoint_minutes=1e-6)
    with pytest.raises(RunError, match=r"No space left on device.*--resume") as caught:
        train(config, DiskFiller(small_disk / "ballast", at=25))
    assert "\n" not in str(caught.value)
    assert checkpoint.latest(run) is not None
    assert not [path for path in run.rglob("*") if path.name.startswith(".")], "no partial files"
    for line in (run / "metrics.jsonl").read_text().splitlines():
        json.loads(line)
    (small_disk / "ballast").unlink()
    train(replace(config, resume=True), Transcript())
    whole = train(synchronous("tic_tac_toe", tmp_path / "whole", 40), Transcript())
    names = "checkpoints/00000040/network.safetensors"
    assert (run / names).read_bytes() == (whole / names).read_bytes()
