"""Talks with an engine server in this process, line by line, as a program with an engine does."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, TextIO

from arena.engine import Player, Server

PATIENCE = 60.0  # seconds; kernels may compile


class Screen:
    """A text stream whose lines go to a queue."""

    def __init__(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self._rest = ""

    def write(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self.lines.put(line)

    def flush(self) -> None:
        """Every line is through already."""


class Client:
    """Runs a server in a thread until ``close``."""

    def __init__(self, make: Callable[[Player, BinaryIO, TextIO], Server], agent: str, game: str | None) -> None:
        source, self._pipe = os.pipe()
        self._source = os.fdopen(source, "rb")
        self._screen = Screen()
        self.server = make(Player(agent, game, "chess", 0), self._source, self._screen)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self.server.run)  # type: ignore[attr-defined]
        self._thread.start()

    def send(self, line: str) -> None:
        os.write(self._pipe, f"{line}\n".encode())

    def line(self) -> str:
        return self._screen.lines.get(timeout=PATIENCE)

    def until(self, start: str) -> list[str]:
        """The lines up to one that begins with ``start``, it included."""
        lines = [self.line()]
        while not lines[-1].startswith(start):
            lines.append(self.line())
        return lines

    def is_silent(self, seconds: float) -> bool:
        time.sleep(seconds)
        return self._screen.lines.empty()

    def clear(self) -> None:
        while not self._screen.lines.empty():
            self._screen.lines.get()

    def close(self) -> None:
        os.close(self._pipe)  # which ends the server, too
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._source.close()
