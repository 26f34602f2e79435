"""Files of game records as streams of bytes: plain, gzipped, or the members of a zip or tar archive, one after another.

Nothing is ever unpacked to disk, so names inside an archive lead nowhere. What unpacks to ever more than it should is
refused: a whole file to more than ``MAX_RATIO`` times its size, a member of a tar archive beyond ``MAX_MEMBER_BYTES``.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from games.records.core import RecordError

MAX_GAME_BYTES = 1 << 23
"""No single game is longer than this, in any format; an annotated one has some 100 kB."""
MAX_MEMBER_BYTES = 1 << 26
MAX_RATIO = 100
_ALLOWANCE = 1 << 26  # what even the smallest file may unpack to
_CHUNK = 1 << 18
_GZIP, _ZIP, _TAR = b"\x1f\x8b", b"PK\x03\x04", b"ustar"

UNREADABLE = (
    *(OSError, EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError),
    *(ValueError, NotImplementedError, RecursionError, RuntimeError),  # zipfile and tarfile, on broken headers
)
"""What the standard library raises while it reads a broken or truncated file."""


class Stream(io.RawIOBase):
    """Bytes that come out of ``source``, read-only and forwards, with a bound on how many may come.

    Attributes:
        budget: how many bytes more it gives before it raises a RecordError.
    """

    def __init__(self, source: IO[bytes], name: str, budget: int) -> None:
        self._source, self._name, self.budget = source, name, budget

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._source.read(size if 0 <= size < _CHUNK else _CHUNK)
        except RecordError:
            raise
        except UNREADABLE as error:
            raise RecordError(f"the file is broken or cut off: {error}", source=self._name) from error
        self.budget -= len(data)
        if self.budget < 0:
            raise RecordError("it unpacks to far more than a file of records this large does", source=self._name)
        return data

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def open_members(path: Path) -> Generator[tuple[str, BinaryIO | RecordError]]:
    """Every file in ``path`` as its name and its bytes, unpacked; read each before you ask for the next.

    A plain file has itself as its only member, under its name without ``.gz``. A member that cannot be read comes as
    the error in its place; when the archive itself breaks off, that is the last.

    Raises:
        RecordError: ``path`` cannot be opened.
    """
    try:
        with path.open("rb") as file:
            budget = MAX_RATIO * os.fstat(file.fileno()).st_size + _ALLOWANCE
            if _starts_with(file, _ZIP):
                yield from _zip_members(file, str(path), budget)
                return
            name, source = str(path), file
            if _starts_with(file, _GZIP):
                name = name[:-3] if name.lower().endswith(".gz") else name
                source = gzip.GzipFile(fileobj=file)
            stream = io.BufferedReader(Stream(source, str(path), budget), _CHUNK)  # type: ignore[arg-type]
            if name.lower().endswith((".tar", ".tgz")) or _peek(stream)[257:262] == _TAR:
                yield from _tar_members(stream, str(path))
            else:
                yield name, stream
    except OSError as error:
        raise RecordError(f"it cannot be opened: {error.strerror or error}", source=str(path)) from error


def _starts_with(file: BinaryIO, magic: bytes) -> bool:
    start = file.read(len(magic))
    file.seek(0)
    return start == magic


def _peek(stream: io.BufferedReader[Any]) -> bytes:
    with contextlib.suppress(RecordError):  # whoever reads it will hear of it
        return stream.peek(512)
    return b""


def _zip_members(file: BinaryIO, path: str, budget: int) -> Iterator[tuple[str, BinaryIO | RecordError]]:
    try:
        archive = zipfile.ZipFile(file)
    except UNREADABLE as error:
        yield path, RecordError(f"the archive is broken or cut off: {error}", source=path)
        return
    for info in archive.infolist():
        name = f"{path}/{info.filename}"
        if info.filename.endswith("/"):  # is_dir() fails where a broken header left no name
            continue
        # The other methods of compression take memory that the archive, not the reader, decides on.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield name, RecordError("it is compressed in a way other than deflate; pack it anew", source=name)
            continue
        try:
            member = archive.open(info)
        except UNREADABLE as error:
            yield name, RecordError(f"it cannot be unpacked: {error}", source=name)
            continue
        with member:
            stream = Stream(member, name, budget)
            yield name, io.BufferedReader(stream, _CHUNK)
            budget = stream.budget


def _tar_members(stream: BinaryIO, path: str) -> Iterator[tuple[str, BinaryIO | RecordError]]:
    # tarfile reads some headers whole, so what it may read before the next member is bounded as well.
    bounded = Stream(stream, path, MAX_MEMBER_BYTES)
    try:
        with tarfile.open(fileobj=bounded, mode="r|", bufsize=_CHUNK) as archive:
            while (info := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # else it remembers them all
                name = f"{path}/{info.name}"
                bounded.budget = MAX_MEMBER_BYTES + max(0, info.size)
                if info.size > MAX_MEMBER_BYTES:
                    yield (
                        name,
                        RecordError(f"it has {info.size:,} bytes; {MAX_MEMBER_BYTES:,} is the most", source=name),
                    )
                elif info.isreg() and (member := archive.extractfile(info)) is not None:
                    yield name, io.BufferedReader(Stream(member, name, MAX_MEMBER_BYTES), _CHUNK)
    except RecordError as error:
        yield path, error
    except UNREADABLE as error:
        yield path, RecordError(f"the archive is broken or cut off: {error}", source=path)
