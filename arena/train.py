"""Training by self-play: games come in, the learner takes steps, new weights go out. One thread, one place.

Self-play workers run in processes of their own (``arena.distributed``); a round of the loop (``arena.session``) only
moves what they make:

    collect     finished games -> a file in shards/ -> the replay
    hand out    new work, unless self-play is too far ahead of the learner
    learn       one training step, unless the learner is too far ahead of self-play; now and then, publish new weights
    housekeep   report, checkpoint, judge
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from agents.networks.files import find_network, load_network
from arena import checkpoint, distributed
from arena.checkpoint import RunError
from arena.config import TrainConfig
from arena.examiner import Examiner
from arena.judge import Judge
from arena.learner import Learner
from arena.metrics import MetricsLog, Reporter
from arena.pools import LocalBackground, LocalPool, Pool, Worker
from arena.progress import Tally, columns, train_record
from arena.replay import Replay
from arena.session import Session, drive, seeds
from arena.shards import read_shard, write_shard
from arena.worker import SelfPlayWorker

PORTIONS_PER_WORKER = 2
"""Portions of work that each worker holds: one that it plays and one in reserve, so that it never waits for us."""


def train(config: TrainConfig, reporter: Reporter | None = None) -> Path:
    """Trains, or goes on training, until the time or the steps are up or a signal comes; returns the run directory.

    Raises:
        ArenaError: one sentence: not a run directory, nothing left to do, the disk is full, …
    """
    config.check()
    reporter = reporter or Reporter(f"arena train {config.game}")
    run = checkpoint.open_run(config)
    resume = f"arena train {config.game} --run {run} --resume"
    drive(lambda: Training(config, run, reporter), run, reporter, resume)
    return run


class Training(Session[TrainConfig, Learner]):
    """One session of a run of self-play.

    Args:
        config: of the run.
        run: its directory, which exists.
        reporter: where it tells how it goes.
        worker_class: what plays, for ``SelfPlayWorker``'s arguments.
    """

    def __init__(
        self,
        config: TrainConfig,
        run: Path,
        reporter: Reporter,
        worker_class: Callable[[TrainConfig, int, int, int], Worker] = SelfPlayWorker,
    ) -> None:
        self.worker_class = worker_class
        self.shares = config.shares
        super().__init__(config, run, reporter, self.shares.memory_cap)
        self.game = config.make_game()
        learner_seed, replay_seed = seeds(config.seed, 0, 2)
        self.learner = Learner(
            self.game.spec,
            config.network,
            config.learner,
            learner_seed,
            device=config.device,
            precision=config.precision,
            threads=self.shares.threads,
        )
        if config.init is not None and not config.resume:
            self.learner.start_from(load_network(find_network(config.init), self.game)[0].state_dict())
        length_weight = config.search.length_weight
        self.replay = Replay(self.game, config.replay, replay_seed, length_weight=length_weight)
        self.samples = 0  # positions trained on, each as often as it was
        self.num_shards = 0  # shards on the disk, and so the number of the next
        self.tally = Tally()
        self.pool: Pool | None = None
        self.examiner = Examiner(config, reporter)
        self._worker_state: dict[str, np.ndarray] | None = None
        if config.resume:
            self._resume()
        if self.progress >= 1:
            raise RunError(f"{run} has had all of its training; give it more with --minutes or --max-steps.")
        self.log = MetricsLog(run)

    # ---- starting and going on ---------------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Goes on from the last checkpoint and, since every finished game counts, from the shards written after it.

        A synchronous run makes those games again instead, and they come out the same.
        """
        first_shard = 0
        path = checkpoint.latest(self.run)
        if path is not None:
            saved = checkpoint.load(path, self.learner)
            self.samples = saved.progress["samples"]
            self.num_shards = saved.progress["shards"]
            self.seconds_before = saved.progress["seconds"]
            self.examiner.restore(saved.progress["examiner"])
            self.replay.restore(saved.progress["replay"])
            first_shard = saved.progress["replay"]["first_shard"]
            self._worker_state = saved.worker
        for number, shard in checkpoint.shard_files(self.run).items():
            if self.config.synchronous and number >= self.num_shards:
                shard.unlink()
            elif number >= first_shard:
                self.replay.add(read_shard(shard, self.game))
                self.num_shards = max(self.num_shards, number + 1)
        self.reporter.say(
            f"Going on with {self.run}: step {self.learner.steps}, {self.replay.total_positions} positions, "
            f"{self.seconds_before / 60:.1f} minutes of training so far."
        )

    def start(self) -> None:
        """Starts the workers and gives them the first weights."""
        config = self.config
        (judge_seed,) = seeds(config.seed, 1, 1)
        # A resumed run must not play the same games again, unless it is to repeat them exactly.
        (worker_seed,) = seeds(config.seed, 2 + (0 if config.synchronous else self.num_shards), 1)
        make_judge = functools.partial(Judge, config, judge_seed)
        make_worker = functools.partial(self.worker_class, config, worker_seed)
        self.reporter.say(
            f"Training {config.game} in {self.run}: a {config.network.backbone} of {self.learner.num_parameters:,} "
            f"parameters, {self.shares.workers} self-play worker(s) with "
            f"{config.self_play.slots} games in flight each, {self.shares.threads} learner thread(s), "
            f"{self.learner.device} in {str(self.learner.precision).removeprefix('torch.')}, at most "
            f"{self.shares.memory_cap / 2**30:.1f} GB of memory."
        )
        if distributed.kernels_missing():
            self.reporter.say("Kernels are compiled the first time, about a minute; later runs load them in a second.")
        if config.synchronous:
            pool = LocalPool(make_worker)
            self.examiner.start(LocalBackground(make_judge))
        else:
            self.reporter.say("Starting Ray, about 5 seconds.")
            distributed.start_ray(config.address, self.shares.workers)
            pool = distributed.WorkerPool(make_worker, self.shares.workers)
            self.examiner.start(distributed.Background(make_judge))
        self.pool = pool
        if self._worker_state is not None and isinstance(pool, LocalPool):
            pool.restore(self._worker_state)
        else:
            # Version 0 is untrained, and nobody asks such a network.
            version = max(self.learner.steps, int(config.init is not None))
            pool.publish(self.learner.playing_weights(), version)
        self.start_clock()

    # ---- the loop ----------------------------------------------------------------------------------------------------

    @property
    def owed(self) -> float:
        """Samples that the learner may still draw for the positions that there are."""
        if self.replay.total_positions < self.config.learner.minimum_positions:
            return 0.0
        return self.config.learner.samples_per_position * self.replay.total_positions - self.samples

    def round(self) -> None:
        may_learn = self.owed >= self.config.learner.batch_size
        self.hand_out(may_learn)
        self.collect(timeout=0.0 if may_learn else 0.2)
        if may_learn:
            self.learn()

    def hand_out(self, may_learn: bool) -> None:
        """Asks for games, as many as keep the workers busy, but none while the learner is far behind."""
        assert self.pool is not None
        if self.config.synchronous:
            if not may_learn and not self.pool.outstanding:
                self.pool.ask()
            return
        settings, portion = self.config.learner, self.config.self_play.shard_positions
        most = PORTIONS_PER_WORKER * self.pool.num_workers
        slack = settings.samples_per_position * (settings.minimum_positions + most * portion)
        coming = settings.samples_per_position * portion
        while self.pool.outstanding < most and self.owed + coming * self.pool.outstanding < slack:
            self.pool.ask()

    def collect(self, timeout: float) -> None:
        """Writes finished games to the disk at once, then adds them to the replay."""
        assert self.pool is not None
        with self.stopwatch.measure("waiting"):
            portions = self.pool.ready(timeout)
        with self.stopwatch.measure("storing"):
            for portion in portions:
                write_shard(checkpoint.shard_path(self.run, self.num_shards), portion.shard)
                self.num_shards += 1
                self.replay.add(portion.shard)
                self.tally.add(portion.stats)

    def learn(self) -> None:
        """One training step, and new weights for the workers when it is time."""
        assert self.pool is not None
        with self.stopwatch.measure("sampling"):
            batch = self.replay.sample(self.config.learner.batch_size)
        with self.stopwatch.measure("learning"):
            self.learner.step(batch, self.progress)
        self.samples += self.config.learner.batch_size
        if self.learner.steps % self.config.learner.publish_steps == 0:
            with self.stopwatch.measure("publishing"):
                self.pool.publish(self.learner.playing_weights(), self.learner.steps)

    # ---- housekeeping ------------------------------------------------------------------------------------------------

    def saved(self, path: Path) -> None:
        self.examiner.offer(path)

    def housekeep(self) -> None:
        """Reports, saves and has the newest checkpoint examined, each when it is time."""
        super().housekeep()
        self.examiner.poll(self.log)

    def facts(self, interval: float, memory: int) -> tuple[dict[str, Any], dict[str, str]]:
        record = train_record(self, interval, memory)
        return record, columns(self.learner.steps, record) | self.examiner.columns()

    def save(self) -> Path:
        """Writes a checkpoint of everything."""
        progress: dict[str, Any] = {
            "seconds": self.seconds,
            "samples": self.samples,
            "positions": self.replay.total_positions,
            "shards": self.num_shards,
            "replay": self.replay.state(),
            "examiner": self.examiner.state(),
        }
        worker = self.pool.state() if isinstance(self.pool, LocalPool) else None
        return checkpoint.save(self.run, self.learner, progress, worker, search=self.config.search)

    def finish(self, path: Path) -> None:
        """Measures the final network and tells how to play against it."""
        assert self.pool is not None
        self.report()
        self.pool.close()  # the judge has the machine to itself
        self.examiner.conclude(path, self.log)
        self.save()  # what the judge found belongs to the run
        self.reporter.close()
        minutes = self.seconds / 60
        self.reporter.say(f"Trained {self.learner.steps} steps in {minutes:.1f} minutes. Play against it with:")
        self.reporter.say(f"  arena play {self.config.game} --opponent net:{self.run},simulations=200")

    def close(self) -> None:
        super().close()
        distributed.stop_ray()
