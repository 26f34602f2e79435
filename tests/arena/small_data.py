"""Small sets of data in the files that real ones come in, for tests that learn."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import games
from arena.learn_config import LearnConfig, preset
from games import EndReason
from games.records import GameRecord, sgf, write
from games.sampling import sample_legal


def random_othello(count: int, seed: int, *, habit: float = 0.0) -> list[GameRecord]:
    """``count`` random games that begin with f5, as those of WTHOR do. ``habit``: how often players do not draw their
    move but take the last square that they may."""
    game, rng = games.make("othello"), np.random.default_rng(seed)
    states, moves = game.init(count), [[37] for _ in range(count)]
    game.step(states, np.full(count, 37))
    while True:
        rows = np.flatnonzero(~states["terminated"])
        if not len(rows):
            break
        going_on = states[rows]
        mask = game.legal_action_mask(going_on)
        last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
        actions = np.where(rng.random(len(rows)) < habit, last, sample_legal(mask, rng))
        game.step(going_on, actions)
        states[rows] = going_on
        for row, action in zip(rows, actions, strict=True):
            moves[row].append(int(action))
    returns = game.returns(states)
    tags = {"Date": "1999", "Event": "Random Open"}
    return [GameRecord("othello", np.array(m), returns=returns[i], tags=tags) for i, m in enumerate(moves)]


def write_wthor(directory: Path, records: list[GameRecord]) -> Path:
    """A folder with one year of WTHOR."""
    directory.mkdir(parents=True, exist_ok=True)
    write(directory / "WTH_1999.wtb", records)
    return directory


def write_kgs(directory: Path, count: int, plies: int, seed: int) -> Path:
    """A folder with one archive of KGS: random games of Go of so many moves, after which somebody gave up."""
    game, rng = games.make("go_19x19"), np.random.default_rng(seed)
    states, moves = game.init(count), []
    for _ in range(plies):
        mask = game.legal_action_mask(states)
        mask[:, -1] = False  # nobody passes
        moves.append(sample_legal(mask, rng))
        game.step(states, moves[-1])
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(directory / "KGS-2000.tar.gz", "w:gz") as archive:
        for row, played in enumerate(np.stack(moves, axis=1)):
            returns = np.array([1.0, -1.0]) * (1 if row % 2 else -1)
            record = GameRecord(game.spec.name, played, returns=returns, end=EndReason.RESIGNATION)
            add(archive, f"{row}.sgf", sgf.dumps(record).encode())
    return directory


def write_pictures(path: Path, per_class: int, seed: int, classes: tuple[str, ...] = ("cat", "dog", "ship")) -> Path:
    """A tar of JPEG files as CIFAR-10 comes: each class has a colour of its own, and noise."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for split in ("train", "test"):
            for number, name in enumerate(classes):
                for index in range(per_class):
                    picture = rng.integers(0, 60, (32, 32, 3), dtype=np.uint8)
                    picture[..., number % 3] += 150
                    add(archive, f"{split}/{name}/{index:04d}.jpg", jpeg(Image.fromarray(picture)))
    return path


def jpeg(image: object) -> bytes:
    """The bytes of a picture as a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)  # type: ignore[attr-defined]
    return buffer.getvalue()


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Adds a file to an archive."""
    item = tarfile.TarInfo(name)
    item.size = len(content)
    archive.addfile(item, io.BytesIO(content))


def small(dataset: str, data: Path, run: Path, backbone: str | None = None, **changes: object) -> LearnConfig:
    """The preset of a dataset with a tiny network and few steps, in one process and on one thread."""
    config = preset(dataset, backbone)
    sizes = {"blocks": 1, "channels": 8, "hidden": (16, 16), "layers": 1, "width": 16, "heads": 2}
    network = replace(config.network, **sizes, normalisation="none", equivariant=False)
    learner = replace(config.learner, batch_size=16, threads=1, warmup_steps=5)
    base = replace(
        config, data=data, run=run, workers=0, max_steps=12, report_seconds=1e-9, network=network, learner=learner
    )
    return replace(base, **changes)
