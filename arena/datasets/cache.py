"""Where data is kept once it has been read: as plain arrays, outside the repository, made again whenever it changes."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.files import make_directory, write_atomically
from arena.datasets.core import DatasetError

Array = np.ndarray
_FACTS = "facts.json"


def cache_directory() -> Path:
    """``$ARENA_CACHE``, or ``arena`` in the user's cache directory."""
    if configured := os.environ.get("ARENA_CACHE"):
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "arena"


def find_files(name: str, data: Path | None, patterns: Sequence[str], origin: str) -> list[Path]:
    """The files of set ``name`` that lie below ``data``, sorted; by default below ``$ARENA_DATA``, or ``./data``.

    Args:
        name: of the set.
        data: a folder, or the only file.
        patterns: what the files are called, with ``*`` for anything; every one must be found.
        origin: where they can be had, for the error.

    Raises:
        DatasetError: they are not there.
    """
    root = data if data is not None else Path(os.environ.get("ARENA_DATA") or "data")
    if root.is_file() and len(patterns) == 1:
        return [root]
    found: set[Path] = set()
    for pattern in patterns:
        matching = {file for file in root.rglob("*") if fnmatch.fnmatch(file.name.lower(), pattern.lower())}
        if not matching:
            raise DatasetError(
                f"There is no {pattern} below {root}, which {name} is made of ({origin}); say with --data where it is."
            )
        found |= matching
    return sorted(found)


class Arrays:
    """A set as it was read: arrays that lie in files and are mapped into memory, so that processes share them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.facts: dict[str, Any] = json.loads((directory / _FACTS).read_text(encoding="utf-8"))

    def __getitem__(self, name: str) -> Array:
        return np.load(self._directory / f"{name}.npy", mmap_mode="r", allow_pickle=False)


def cached(
    name: str, version: int, files: Sequence[Path], make: Callable[[], tuple[dict[str, Array], dict[str, Any]]]
) -> Arrays:
    """What ``make`` returned (arrays by name, and facts that JSON can tell) when these files were first read.

    Args:
        name: of the set.
        version: of the code that reads it.
        files: what it is made from; a change of any makes it again.
        make: reads them.
    """
    stamps = [[str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    key = hashlib.sha256(json.dumps([name, version, stamps]).encode()).hexdigest()[:16]
    directory = cache_directory() / "datasets" / f"{name}-{key}"
    if not (directory / _FACTS).is_file():
        with _appearing(directory) as temporary:
            arrays, facts = make()
            for label, array in arrays.items():
                np.save(temporary / f"{label}.npy", array, allow_pickle=False)
            write_atomically(temporary / _FACTS, json.dumps(facts, indent=1).encode())
    return Arrays(directory)


@contextlib.contextmanager
def _appearing(directory: Path) -> Iterator[Path]:
    """A directory that takes the name ``directory`` once it is complete; whoever came first there wins."""
    temporary = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}")
    make_directory(temporary)
    try:
        yield temporary
        try:
            temporary.rename(directory)
        except OSError:
            if not (directory / _FACTS).is_file():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
