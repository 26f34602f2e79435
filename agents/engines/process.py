"""A program that we talk to in lines, and that cannot harm us: whatever it does, we are told so within a time limit.

It may die, hang, stop reading, flood us or write what is no text. It runs in a process group of its own, which is
killed when we are done with it, when Python exits, and, by a small guard process, when we are killed ourselves.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref

from games import ArenaError

MAX_LINE = 1 << 20
"""Bytes; a longer line is not meant to be read."""

_KEPT_STDERR = 2000
_DEBIAN = ("/usr/games", "/usr/local/games")  # where Debian puts engines, often not in PATH
_GRACE = 0.3  # seconds to end by itself after "quit"


class EngineError(ArenaError):
    """An engine broke the protocol or the rules, or was too slow: one sentence that names it."""


class EngineProcess:
    """One running program.

    Args:
        command: as typed in a shell, such as ``gnugo --mode gtp``; no shell is involved.

    Raises:
        EngineError: there is no such program, or it cannot be started.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        argv = split_command(command)
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(f"{command!r} cannot be started: {error.strerror or error}.") from None
        _guard.watch(process.pid)
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._in, self._out, self._err = process.stdin.fileno(), process.stdout.fileno(), process.stderr.fileno()
        for pipe in (self._in, self._out, self._err):
            os.set_blocking(pipe, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)
        self._selector.register(self._err, selectors.EVENT_READ)
        self._unsent = bytearray()
        self._unread = bytearray()
        self._lines: list[str] = []  # the next one last
        self._said = bytearray()  # the end of stderr
        self.forget()
        self.close = weakref.finalize(self, _end, process, self._selector)

    @property
    def pid(self) -> int:
        """Of the program, and of its process group."""
        return self._process.pid

    def send(self, line: str) -> None:
        """Writes a line. What the program does not take at once goes out while its answer is awaited."""
        self._unsent += line.encode() + b"\n"
        self._write()

    def receive(self, deadline: float, wanted: str) -> str:
        """The next line, without its end.

        Args:
            deadline: until when to wait, in ``time.monotonic``'s seconds.
            wanted: what is waited for, for the message: ``uciok``.

        Raises:
            EngineError: there is none: the program is silent, dead, or writes what is no text.
        """
        while not self._lines:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._late(wanted)
            self._pump(left)
        if time.monotonic() > deadline:  # a flood must not keep us for ever
            raise self._late(wanted)
        return self._lines.pop()

    def forget(self) -> None:
        """Starts to count anew what the program writes, for the messages."""
        self._received, self._last = 0, ""

    def error(self, what: str) -> EngineError:
        """An EngineError about this program."""
        said = self._said.decode(errors="replace").strip().splitlines()
        return EngineError(f"{self.command!r} {what}{f'; it said {said[-1][:200]!r}' if said else ''}.")

    def _late(self, wanted: str) -> EngineError:
        last = repr(self._last[:100]) if self._last else "no whole line"
        other = f", but {self._received:,} bytes of other things, {last} at the end" if self._received else ""
        return self.error(f"gave no {wanted} in time{other}")

    def _pump(self, seconds: float) -> None:
        """Waits for any of the pipes, at most so long, and reads and writes what can be."""
        for key, events in self._selector.select(seconds):
            if events & selectors.EVENT_WRITE:
                self._write()
            elif key.fd == self._err:
                self._said += self._read(self._err)
                del self._said[:-_KEPT_STDERR]
            else:
                self._take(self._read(self._out))

    def _read(self, pipe: int) -> bytes:
        try:
            data = os.read(pipe, 1 << 16)
        except BlockingIOError:
            return b""
        if not data:
            self._selector.unregister(pipe)
            if pipe == self._out:
                raise self._died()
        return data

    def _take(self, data: bytes) -> None:
        self._received += len(data)
        self._unread += data
        *lines, rest = self._unread.split(b"\n")
        if len(rest) > MAX_LINE and not lines:
            raise self.error(f"wrote more than {MAX_LINE:,} bytes without an end of line")
        if b"\0" in data:
            raise self.error(f"wrote {data[:20]!r}, which is no text in UTF-8")
        self._unread = bytearray(rest)
        self._lines[:0] = [line.decode(errors="replace").rstrip("\r") for line in reversed(lines)]
        self._last = next(filter(str.strip, self._lines), self._last)

    def _write(self) -> None:
        try:
            sent = os.write(self._in, self._unsent) if self._unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:  # it has closed its input; what it still says, and how it ends, tells more
            sent = len(self._unsent)
        del self._unsent[:sent]
        watched = self._in in self._selector.get_map()
        if self._unsent and not watched:
            self._selector.register(self._in, selectors.EVENT_WRITE)
        elif watched and not self._unsent:
            self._selector.unregister(self._in)

    def _died(self) -> EngineError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        with contextlib.suppress(OSError):
            self._said += os.read(self._err, 1 << 16)
        code = self._process.poll()
        if code is None:
            return self.error("closed its output")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return self.error(how)


def split_command(command: str) -> list[str]:
    """The program's path and its arguments. Raises EngineError, naming the program that is not there."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise EngineError(f"{command!r} is not a command: {error}.") from None
    if not words:
        raise EngineError("An engine needs a command, as in uci:stockfish or gtp:gnugo --mode gtp.")
    path = shutil.which(words[0]) or shutil.which(words[0], path=os.pathsep.join(_DEBIAN))
    if path is None:
        raise EngineError(
            f"There is no program {words[0]!r}; install it (as in: apt install {words[0].split('/')[-1]}) or give its "
            "path."
        )
    return [path, *words[1:]]


def _end(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> None:
    """Asks the program to leave, then kills it and all that it started."""
    selector.close()
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        os.write(process.stdin.fileno(), b"\nquit\n")
    for pipe in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            pipe.close()  # type: ignore[union-attr]  # all three are pipes
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    with contextlib.suppress(OSError):  # the group may outlive the program itself
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _guard.forget(process.pid)


class _Guard:
    """A process that outlives us by a moment: when our end of its pipe closes, however that happens, it kills the
    process groups that are left. It is started with the first engine."""

    _PROGRAM = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    sign, group = line.split()
    (groups.add if sign == "+" else groups.discard)(int(group))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = -1  # a forked copy of us starts a guard of its own

    def watch(self, group: int) -> None:
        with self._lock:
            if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
                command = [sys.executable, "-I", "-S", "-c", self._PROGRAM]
                self._process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True)
                self._owner = os.getpid()
                atexit.register(self._leave, self._process)
            self._tell(f"+ {group}")

    def forget(self, group: int) -> None:
        with self._lock:
            self._tell(f"- {group}")

    def _tell(self, line: str) -> None:
        if self._process is not None and self._owner == os.getpid():
            assert self._process.stdin is not None
            with contextlib.suppress(OSError, ValueError):  # it is gone, or has been told to leave
                self._process.stdin.write(line.encode() + b"\n")

    def _leave(self, process: subprocess.Popen[bytes]) -> None:
        if self._owner == os.getpid():
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


_guard = _Guard()
