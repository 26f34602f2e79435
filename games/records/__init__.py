"""Game records: PGN, SGF, WTHOR and a move list of our own, read as streams and written.

``games.records.read(path)`` iterates over the games of a file, one at a time, whatever its size.
"""

from __future__ import annotations

import contextlib
import gzip
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Literal

from games.records import movelist, pgn, sgf, wthor
from games.records.core import GameRecord, Reader, RecordError, game_of, game_text, result_text
from games.records.files import open_members
from games.records.replay import Replay, replay, replay_all

__all__ = [
    "READABLE",
    "GameRecord",
    "Reader",
    "RecordError",
    "Replay",
    "game_of",
    "game_text",
    "read",
    "replay",
    "replay_all",
    "result_text",
    "write",
]

FORMATS: dict[str, ModuleType] = {".pgn": pgn, ".sgf": sgf, ".wtb": wthor, ".moves": movelist}
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".zip")
READABLE = (*FORMATS, *(f"{suffix}.gz" for suffix in FORMATS), *_ARCHIVES)
"""What the names of files that ``read`` takes end in."""


def read(path: str | Path, *, errors: Literal["raise", "skip"] = "raise", **options: object) -> Reader:
    """The games of a file, one at a time: ``.pgn``, ``.sgf``, ``.wtb`` or ``.moves``, perhaps with ``.gz`` after it, or
    a ``.zip``, ``.tar``, ``.tar.gz`` or ``.tgz`` of such files (others in it are passed over).

    Args:
        path: the file.
        errors: ``"raise"``: a broken game raises its RecordError, after which the iterator goes on with the next;
            ``"skip"``: broken games are left out and counted, see ``Reader``.
        options: options of the game, on top of those that the records themselves give, such as ``swap=True``.

    Raises:
        RecordError: the file cannot be opened or is none of those.
    """
    path = Path(path)
    if not path.name.lower().endswith(READABLE):
        raise RecordError(f"its name must end in one of {', '.join(READABLE)}", source=str(path))
    if not path.is_file():
        raise RecordError("there is no such file", source=str(path))
    parsed = _parse(path, options)
    return Reader(parsed, errors, parsed.close)


def _parse(path: Path, options: dict[str, object]) -> Generator[GameRecord | RecordError]:
    members = 0
    with contextlib.closing(open_members(path)) as opened:
        for name, stream in opened:
            if isinstance(stream, RecordError):
                members += 1
                yield stream
            elif (module := FORMATS.get(Path(name).suffix.lower())) and not Path(name).name.startswith("._"):
                members += 1
                yield from module.parse(stream, name, **options)
    if not members:
        yield RecordError(f"it holds no file that ends in {', '.join(FORMATS)}", source=str(path))


def write(path: str | Path, records: Iterable[GameRecord]) -> int:
    """Writes ``records`` as the format that the name of ``path`` says, ``.pgn``, ``.sgf`` or ``.moves``, gzipped if
    ``.gz`` follows, or ``.wtb``; returns how many. They may be an iterator: no more than one is held at a time, except
    by ``.wtb``. The file is there whole or not at all.

    Raises:
        RecordError: the name says no format, or a record does not fit it.
    """
    path = Path(path)
    compressed = path.suffix.lower() == ".gz"
    module = FORMATS.get(Path(path.stem).suffix.lower() if compressed else path.suffix.lower())
    if module is None or (module is wthor and compressed):
        names = [f"{suffix}{extra}" for suffix in (".pgn", ".sgf", ".moves") for extra in ("", ".gz")]
        raise RecordError(f"its name must end in one of {', '.join(names)}, .wtb", source=str(path))
    count = 0

    def counted() -> Iterator[GameRecord]:
        nonlocal count
        for record in records:
            count += 1
            yield record

    try:
        if module is wthor:
            for name, data in wthor.to_bytes(counted(), path).items():
                _write_whole(name, [data], compressed=False)
        else:
            _write_whole(path, module.to_bytes(counted()), compressed=compressed)
    except OSError as error:
        raise RecordError(f"it cannot be written: {error.strerror or error}", source=str(path)) from error
    return count


def _write_whole(path: Path, pieces: Iterable[bytes], *, compressed: bool) -> None:
    """Writes a temporary file beside ``path`` and gives it that name once it is safely on the disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            target: BinaryIO = gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") if compressed else file  # type: ignore[assignment]
            for piece in pieces:
                target.write(piece)
            if compressed:
                target.close()
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
