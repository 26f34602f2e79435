"""What a run tells: a live table or one line per interval on the console, ``metrics.jsonl``, and TensorBoard files."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import psutil
from rich.console import Console
from rich.live import Live
from rich.table import Table
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

Event: Any = event_pb2.Event  # type: ignore[attr-defined]  # generated code, which type checkers cannot see
Summary: Any = summary_pb2.Summary  # type: ignore[attr-defined]


def memory_bytes() -> int:
    """Resident memory of this process and all that it started; pages that they share count once for each."""
    total = 0
    process = psutil.Process()
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue  # it ended meanwhile
    return total


class Stopwatch:
    """Where the seconds of one thread go, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Adds the time that the block takes to ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def take(self) -> dict[str, float]:
        """The seconds since the last call."""
        taken, self.seconds = self.seconds, {}
        return taken


class MetricsLog:
    """Appends records to ``metrics.jsonl`` and, number by number, to a TensorBoard event file.

    Each record is on the disk when ``write`` returns, or raises OSError and leaves whole lines only.
    """

    def __init__(self, run: Path) -> None:
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        self._events: BinaryIO = (run / name).open("xb", buffering=0)
        self._lines = (run / "metrics.jsonl").open("ab+", buffering=0)
        self._cut_last_line()
        self._write_event(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def _cut_last_line(self) -> None:
        """Drops half a line that a power cut left at the end."""
        self._lines.seek(0)
        content = self._lines.read()
        self._lines.truncate(content.rfind(b"\n") + 1)

    def write(self, kind: str, step: int, record: Mapping[str, Any]) -> None:
        """Appends one record of a ``kind`` ("train", "judge", …) that belongs to training step ``step``."""
        clean = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in record.items()}
        line = json.dumps({"kind": kind, "step": step, "time": round(time.time(), 3), **clean}) + "\n"
        self._append(self._lines, line.encode())
        numbers = {key: v for key, v in clean.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        values = [Summary.Value(tag=f"{kind}/{key}", simple_value=v) for key, v in numbers.items()]
        self._write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _write_event(self, event: Any) -> None:
        buffer = BytesIO()
        RecordWriter(buffer).write(event.SerializeToString())
        self._append(self._events, buffer.getvalue())

    @staticmethod
    def _append(file: Any, content: bytes) -> None:
        end = file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(content):
                written += file.write(content[written:])
        except OSError:
            file.truncate(end)
            raise

    def close(self) -> None:
        """Closes the files."""
        self._lines.close()
        self._events.close()


def read_last(run: Path, kind: str) -> dict[str, Any]:
    """The newest record of a ``kind`` in the metrics of ``run``.

    Raises:
        KeyError: there is none.
    """
    with (run / "metrics.jsonl").open(encoding="utf-8") as lines:
        records = [record for line in lines if (record := json.loads(line))["kind"] == kind]
    if not records:
        raise KeyError(f"{run} has no {kind!r} record.")
    return records[-1]


class Reporter:
    """The console: on a terminal a table that is redrawn in place, elsewhere one plain line per report."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._title = title
        self._live: Live | None = None

    def say(self, text: str) -> None:
        """Prints one line that stays, above the table if there is one."""
        self.console.print(text, markup=False)

    def show(self, values: Mapping[str, str]) -> None:
        """Shows one report."""
        if not self.console.is_terminal:
            self.say(" | ".join(f"{name} {value}" for name, value in values.items()))
            return
        table = Table(title=self._title, show_header=False, title_justify="left")
        table.add_column(justify="right", style="cyan")
        table.add_column(justify="left")
        for name, value in values.items():
            table.add_row(name, value)
        if self._live is None:
            self._live = Live(table, console=self.console, auto_refresh=False)
            self._live.start()
        self._live.update(table, refresh=True)

    def close(self) -> None:
        """Leaves the last table where it is."""
        if self._live is not None:
            self._live.stop()
            self._live = None
