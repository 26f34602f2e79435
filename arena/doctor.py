"""What this machine can do for a game: measured in less than a minute, with what is wrong and what a run will use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import track

import games
from agents.files import write_atomically
from agents.network_evaluator import NetworkEvaluator, accelerator, best_device, best_precision, use_one_thread
from agents.networks import build_network
from arena import machine, probes
from arena.benchmark import describe, number
from arena.config import TrainConfig, preset
from arena.machine import GIGABYTE, Machine, Shares

BATCHES = (64, 256, 512, 1024)
SECONDS = 1.0
_FULL_SPEED = 0.95
_SHARED_CORES = 0.75
_BUSY = 0.25


@dataclass(frozen=True)
class Measured:
    """What one core does for a game with its preset, and what becomes of it when all cores work.

    Attributes:
        network: positions per second through the network, by batch size.
        self_play: positions per second of finished games, without learning.
        network_share: share of self-play's time that the network takes.
        learning: samples per second.
        all_cores: speed of each core when all work, as a share of one core working alone.
        write_seconds: to write one megabyte to the disk for good.
        busy: share of the machine's processor time that other programs took.
        free_disk: bytes.
    """

    network: dict[int, float]
    self_play: float
    network_share: float
    learning: float
    all_cores: float
    write_seconds: float
    busy: float
    free_disk: float

    def positions_per_second(self, config: TrainConfig, cores: int) -> float:
        """What a training run should reach, if self-play and learning share ``cores`` without loss."""
        seconds = 1 / self.self_play + config.learner.samples_per_position / self.learning
        return cores * self.all_cores / seconds

    def learning_share(self, config: TrainConfig) -> float:
        """The share of a run's processor time that learning takes."""
        learning = config.learner.samples_per_position / self.learning
        return learning / (learning + 1 / self.self_play)


def examine(game_name: str, console: Console) -> None:
    """Measures, and prints what was found, what is wrong, and what ``arena train`` will use.

    Raises:
        UnknownNameError: no such game.
    """
    config = preset(game_name)
    found = machine.detect()
    shares = machine.share_out(found)
    device = best_device(config.device)
    precision = str(best_precision(device, config.precision)).removeprefix("torch.")

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    say(f"Machine: {found.cores} core(s) of {found.processor}, {found.memory / GIGABYTE:.1f} GB of memory.")
    say(f"Networks compute on {accelerator(device)}, in {precision}.")
    measured = measure(config, found)
    say(f"\n{game_name}, {describe(config.network)}, one core:")
    for batch, speed in measured.network.items():
        say(f"  network, batch {batch:4d}   {number(speed):>8} positions/s")
    say(f"  self-play            {number(measured.self_play):>8} positions/s of finished games")
    say(f"                       {measured.network_share:8.0%} of that time in the network")
    say(f"  learning             {number(measured.learning):>8} samples/s")
    say(f"All cores at once: each reaches {measured.all_cores:.0%} of its speed alone.")
    disk = f"{measured.write_seconds * 1000:.0f} ms for one megabyte"
    say(f"Disk: {measured.free_disk / GIGABYTE:.0f} GB free here; {disk} written for good.")
    say("\nWhat arena train will use, if not told otherwise:")
    say(
        f"  {shares.workers} self-play worker(s) with {config.self_play.slots} games in flight each, "
        f"{shares.threads} learner thread(s) on batches of {config.learner.batch_size}, "
        f"at most {shares.memory_cap / GIGABYTE:.1f} GB of memory"
    )
    expected = measured.positions_per_second(config, found.cores)
    share = measured.learning_share(config)
    say(f"  so about {number(expected)} positions/s, {number(60 * expected)} a minute.")
    if share > 0.5:
        say(f"The bottleneck is the learner: {share:.0%} of the time goes into training steps.")
    else:
        say(f"The bottleneck is self-play: {1 - share:.0%} of the time goes into it, {share:.0%} into training steps.")
    wrong = warnings(found, shares, measured, config, device.type, precision)
    say("\nNothing looks wrong." if not wrong else "\nLook at this:")
    for text in wrong:
        say(f"  - {text}")


def measure(config: TrainConfig, found: Machine) -> Measured:
    """Takes about half a minute, beside compiling kernels the first time."""
    use_one_thread()
    game = games.make(config.game)
    network = build_network(config.network, game.spec.observation_shape, game.spec.num_actions).eval()
    evaluator = NetworkEvaluator(game, network, device=config.device, precision=config.precision)
    steps = iter(track(range(len(BATCHES) + 4), "measuring", console=Console(stderr=True), transient=True))
    next(steps)
    speeds = {}
    busy = _busy()
    for batch in BATCHES:
        speeds[batch] = probes.raw_network(game, evaluator, SECONDS, batch)()[probes.raw_row(batch)]
        next(steps)
    rows = probes.self_play(
        game,
        network,
        evaluator,
        simulations=config.search.simulations,
        games_in_flight=config.self_play.slots,
        seconds=SECONDS,
        start_simulations=config.self_play.start_simulations,
    )()
    next(steps)
    rows |= probes.learning(game, config.network, SECONDS)()
    next(steps)
    all_cores = _speed_of_all_cores(found.cores)
    next(steps)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as scratch:
        started = time.perf_counter()
        for index in range(5):
            write_atomically(Path(scratch) / str(index), lambda file: file.write(os.urandom(2**20)))
        write_seconds = (time.perf_counter() - started) / 5
    next(steps, None)
    return Measured(
        network=speeds,
        self_play=rows[probes.POSITIONS],
        network_share=rows[probes.NETWORK_SHARE] / 100,
        learning=rows[probes.LEARNING],
        all_cores=all_cores,
        write_seconds=write_seconds,
        busy=busy,
        free_disk=shutil.disk_usage(Path.cwd()).free,
    )


def warnings(
    found: Machine, shares: Shares, measured: Measured, config: TrainConfig, device: str, precision: str
) -> list[str]:
    """What is wrong without anything saying so, one sentence each."""
    texts = []
    if device == "cpu" and _has_nvidia_gpu():
        texts.append("There is an NVIDIA GPU, but this PyTorch cannot use it: install a build of PyTorch for CUDA.")
    if device == "cpu" and precision == "float32":
        texts.append(
            "This processor has no bfloat16 (AVX-512 BF16 or AMX): networks run in float32, at about half the speed."
        )
    wanted = os.environ.get("OMP_NUM_THREADS")
    if wanted is not None and wanted.isdecimal() and int(wanted) > found.cores:
        texts.append(f"OMP_NUM_THREADS is {wanted} on {found.cores} core(s): threads will fight; unset it.")
    if shares.workers > found.cores:
        texts.append(f"{shares.workers} workers on {found.cores} core(s) will fight for them.")
    if measured.busy > _BUSY:
        texts.append(f"Other programs take {measured.busy:.0%} of this machine; figures above and runs suffer.")
    if found.cores > 1 and measured.all_cores < _SHARED_CORES:
        texts.append(
            f"When all cores work each is down to {measured.all_cores:.0%}: they share hardware (hyper-threads, or a "
            "machine with other tenants), and a run gains less from them than their number says."
        )
    best = max(measured.network.values())
    enough = min(batch for batch, speed in measured.network.items() if speed >= _FULL_SPEED * best)
    if config.self_play.slots < enough:
        texts.append(
            f"The network is at its best from batches of {enough} on, but only {config.self_play.slots} games are in "
            f"flight: try --self-play.slots {enough}."
        )
    if shares.memory_cap > found.memory:
        texts.append(
            f"A run may take {shares.memory_cap / GIGABYTE:.1f} GB, and there are {found.memory / GIGABYTE:.1f}: give "
            "fewer --workers or a smaller --replay.window-max, and --memory-gb."
        )
    if measured.free_disk < GIGABYTE:
        texts.append(f"Only {measured.free_disk / GIGABYTE:.1f} GB are free on this disk.")
    return texts


def _busy() -> float:
    """The share of the machine that others use, while we sleep for a moment."""
    return psutil.cpu_percent(interval=0.5) / 100


_SPIN = """
import time, numpy as np
a = np.random.default_rng(0).random((192, 192), dtype=np.float32)
print("ready", flush=True)
input()
end, n = time.perf_counter() + 1.5, 0
while time.perf_counter() < end:
    a @ a
    n += 1
print(n)
"""


def _speed_of_all_cores(cores: int) -> float:
    """How fast each of ``cores`` processes multiplies matrices when all do, as a share of one doing so alone."""

    def speeds(count: int) -> float:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", _SPIN],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for _ in range(count)
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        counts = [int(process.communicate(timeout=60)[0]) for process in processes]
        return sum(counts) / count

    return min(1.0, speeds(cores) / speeds(1)) if cores > 1 else 1.0  # more than 1 is noise


def _has_nvidia_gpu() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
