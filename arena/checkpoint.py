"""The run directory on disk: which directories are runs, and checkpoints that are either whole or not there.

    RUN/config.toml                     the fully resolved configuration
    RUN/shards/000000.npz …             self-play: every finished game, in the order it arrived
    RUN/checkpoints/00001200/           after 1200 training steps:
        network.safetensors, .json        what plays; all that older checkpoints keep
        learner.safetensors, run.json     what a resume needs beside it
        worker.npz                        synchronous runs: the games in flight

Nothing is pickled. A checkpoint is written under a temporary name, synced to the disk and renamed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors.torch
from safetensors import SafetensorError

from agents.files import dated, write_atomically
from agents.networks.files import save_network
from agents.search import TRAINED_WITH, SearchConfig
from arena.config import RunConfig, TrainConfig, from_toml, to_toml
from arena.learner import Trainer
from games import ArenaError

RunConfigT = TypeVar("RunConfigT", bound=RunConfig)

KEPT_WHOLE = 3
"""How many of the newest checkpoints stay complete; older ones keep only the network."""
KEPT_NETWORKS = 24
"""How many older networks stay, spread evenly over the run."""
_JSON = "_json"
"""The array of ``worker.npz`` that holds, as JSON text, what of the worker's state is no array."""


class RunError(ArenaError):
    """A run directory that is not one, or that cannot be read, written or resumed."""


@dataclass(frozen=True)
class Checkpoint:
    """What a resume reads back.

    Attributes:
        path: the directory.
        progress: counters and states of random generators, by name, as ``save`` was given them.
        worker: the state of the one worker of a synchronous run; None otherwise.
    """

    path: Path
    progress: dict[str, Any]
    worker: dict[str, Any] | None


# ---- run directories -------------------------------------------------------------------------------------------------


def open_run(config: RunConfigT, read: Callable[[str, str], RunConfigT] = from_toml) -> Path:
    """The directory of the run that ``config`` asks for: a fresh one, with its ``config.toml``, or the one to resume.

    ``read`` is the inverse of ``to_toml`` for this kind of configuration.

    Raises:
        RunError: something is there already, or what should be there is not; nothing is touched.
    """
    if config.resume:
        run = config.run if config.run is not None else newest_run(config.subject, read=read)
        if (subject := read_config(run, read).subject) != config.subject:
            raise RunError(f"{run} is a run of {subject}, not of {config.subject}.")
    else:
        run = config.run or dated(Path("runs"), config.subject)
        if run.exists() and (not run.is_dir() or any(run.iterdir())):
            raise RunError(f"{run} exists and is not empty; add --resume to go on with it, or give another --run.")
    try:
        for name in ("shards", "checkpoints") if isinstance(config, TrainConfig) else ("checkpoints",):
            (run / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"Cannot make the run directory {run}: {error.strerror}.") from None
    write_config(config, run)
    return run


def shard_path(run: Path, number: int) -> Path:
    """Where shard ``number`` of a run lies."""
    return run / "shards" / f"{number:06d}.npz"


def shard_files(run: Path) -> dict[int, Path]:
    """The shards of a run by number, in order."""
    paths = {int(path.stem): path for path in (run / "shards").glob("*.npz") if path.stem.isdecimal()}
    return dict(sorted(paths.items()))


def write_config(config: RunConfig, run: Path) -> None:
    """Writes the fully resolved configuration, from which the run can be repeated or resumed."""
    config = dataclasses.replace(config, run=None, resume=False)  # type: ignore[type-var]  # a run may be moved
    write_atomically(run / "config.toml", to_toml(config).encode())


def read_config(run: Path, read: Callable[[str, str], RunConfigT] = from_toml) -> RunConfigT:
    """The configuration of a run; ``read`` as for ``open_run``.

    Raises:
        RunError: the directory is not that of a run.
        ConfigError: its ``config.toml`` is damaged.
    """
    path = run / "config.toml"
    if not run.is_dir():
        raise RunError(f"There is no run at {run}; leave --resume out to start one.")
    if not path.is_file():
        raise RunError(f"{run} is not the directory of a run: it has no config.toml.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"Cannot read {path}: {error}.") from None
    return read(text, str(path))


def newest_run(subject: str, root: Path = Path("runs"), read: Callable[[str, str], RunConfigT] = from_toml) -> Path:
    """The run of ``subject`` (a game, or a set of data) under ``root`` that was written to last.

    Raises:
        RunError: there is none.
    """
    found: list[tuple[float, Path]] = []
    for path in root.glob("*/config.toml"):
        try:
            if read_config(path.parent, read).subject == subject:
                found.append(((path.parent / "checkpoints").stat().st_mtime, path.parent))
        except (ArenaError, OSError):
            continue  # not a run, so not the one that is looked for
    if not found:
        command = "train" if read is from_toml else "learn"
        raise RunError(f"There is no run of {subject} under {root}/; start one with: arena {command} {subject}.")
    return max(found)[1]


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def save(
    run: Path,
    learner: Trainer[Any, Any],
    progress: dict[str, Any],
    worker: dict[str, Any] | None = None,
    *,
    search: SearchConfig | None = None,
) -> Path:
    """Writes the checkpoint of ``learner.steps``, then thins out older ones. The directory appears whole or not at all.

    ``search`` is what the games are played with; agents that play by this network search with the same constants.

    Raises:
        OSError: the disk is full or not writable; earlier checkpoints are as they were.
    """
    root = run / "checkpoints"
    final = root / f"{learner.steps:08d}"
    temporary = root / f".{final.name}.writing"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        _write_files(temporary, learner, progress, worker, search)
        _sync_directory(temporary)
        if final.exists():  # the same step once more, with more games
            replaced = root / f".{final.name}.replaced"
            shutil.rmtree(replaced, ignore_errors=True)
            final.rename(replaced)
        temporary.rename(final)
        _sync_directory(root)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _thin_out(root)
    return final


def _write_files(
    path: Path,
    learner: Trainer[Any, Any],
    progress: dict[str, Any],
    worker: dict[str, Any] | None,
    search: SearchConfig | None,
) -> None:
    tensors, counters = learner.state()
    extra = {"steps": learner.steps, "seconds": progress.get("seconds"), "positions": progress.get("positions")}
    if search is not None:
        extra["search"] = {name: getattr(search, name) for name in TRAINED_WITH}
    network, config = learner.playing_network(), learner.network_config
    save_network(path, network, config, learner.spec, extra, weights_version=learner.steps)
    write_atomically(path / "learner.safetensors", safetensors.torch.save(tensors))
    if worker is not None:
        arrays: dict[str, Any] = {name: value for name, value in worker.items() if isinstance(value, np.ndarray)}
        rest = json.dumps({name: value for name, value in worker.items() if name not in arrays})
        arrays[_JSON] = np.frombuffer(rest.encode(), np.uint8)
        write_atomically(path / "worker.npz", lambda file: np.savez(file, **arrays))
    record = {"format": 1, "learner": counters, "progress": progress, "worker": worker is not None}
    write_atomically(path / "run.json", json.dumps(record, indent=1).encode())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _thin_out(root: Path) -> None:
    """Keeps the newest checkpoints whole, and of the older ones a spread of networks."""
    for leftover in root.glob(".*"):
        shutil.rmtree(leftover, ignore_errors=True)
    checkpoints = _all(root)
    older = checkpoints[:-KEPT_WHOLE]
    for path in older:
        for name in ("run.json", "learner.safetensors", "worker.npz"):  # run.json first: without it nobody resumes here
            (path / name).unlink(missing_ok=True)
    while len(older) > KEPT_NETWORKS:
        steps = [int(path.name) for path in older]
        gaps = [steps[i + 1] - steps[i - 1] for i in range(1, len(steps) - 1)]
        shutil.rmtree(older.pop(1 + int(np.argmin(gaps))))


def _all(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("[0-9]*") if path.name.isdecimal() and path.is_dir())


def latest(run: Path) -> Path | None:
    """The newest checkpoint of a run from which training can go on; None when it has none yet.

    Raises:
        RunError: the directory is not that of a run.
    """
    if not (run / "config.toml").is_file():
        raise RunError(f"{run} is not the directory of a run: it has no config.toml.")
    return next((path for path in reversed(_all(run / "checkpoints")) if (path / "run.json").is_file()), None)


def load(path: Path, learner: Trainer[Any, Any]) -> Checkpoint:
    """Puts ``learner`` into the state that the checkpoint ``path`` holds, and returns the rest of it.

    Raises:
        RunError: the checkpoint is damaged.
        LearnerStateError: it is that of another network.
    """
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
        tensors = safetensors.torch.load((path / "learner.safetensors").read_bytes())
        worker = _read_worker(path / "worker.npz") if record["worker"] else None
        progress, counters = dict(record["progress"]), {"steps": int(record["learner"]["steps"])}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise RunError(
            f"The checkpoint {path} is damaged ({type(error).__name__}: {error}); remove it to resume from an earlier "
            "one."
        ) from None
    learner.restore(tensors, counters)
    return Checkpoint(path, progress, worker)


def _read_worker(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        arrays: dict[str, Any] = {name: archive[name] for name in archive.files if name != _JSON}
        return arrays | json.loads(archive[_JSON].tobytes())
