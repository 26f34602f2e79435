"""Writing a file so that it is either all there or not there at all, and names for what is new."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from games import ArenaError


class WriteError(ArenaError, OSError):
    """A file that could not be written (disk full, no permission, …). It is an ``OSError`` too, with its ``errno``."""


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Writes ``content`` to ``path``, replacing what was there, so that no crash can leave half a file.

    The bytes go to a temporary name in the same directory, are flushed to the disk, and only then take the name; the
    directory is flushed as well, so that the name survives a power cut. A callable is given the open file to write to.

    Raises:
        WriteError: the file could not be written; what was at ``path`` is untouched and nothing is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    content(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _flush_directory(path.parent)
    except OSError as error:
        raise _write_error("write", path, error) from error


def make_directory(path: Path) -> None:
    """Makes the directory ``path`` and its parents where they are missing.

    Raises:
        WriteError: it could not be made, or something else has that name.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _write_error("make directory", path, error) from error


def as_file_name(name: str) -> str:
    """``name``, such as a game with its options, in what every file system takes."""
    return re.sub("[:,=]+", "-", name)


def dated(parent: Path, name: str) -> Path:
    """A directory in ``parent`` for what begins now: NAME-DATE-TIME, with a number behind it where that is there."""
    stem = f"{as_file_name(name)}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    return next(path for path in (parent / name for name in names) if not path.exists())


def _write_error(what: str, path: Path, error: OSError) -> WriteError:
    failure = WriteError(f"Could not {what} {path}: {error.strerror or error}.")
    failure.errno = error.errno
    return failure


def _flush_directory(directory: Path) -> None:
    if os.name != "posix":
        return  # Windows cannot open directories, and journals renames itself
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
