"""What a user typed wrong, told in one sentence instead of the box that tyro draws around it."""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import sys
from collections.abc import Iterator
from typing import TypeVar

import tyro

from games import ArenaError

Options = TypeVar("Options")

_RULE = re.compile("[─-]{4,}$")


class UsageError(ArenaError):
    """A command line that cannot be understood."""


def parse(options: type[Options], command: str, words: list[str]) -> Options:
    """The ``options`` that ``words`` give to ``arena COMMAND``; prints the help and exits where they ask for it.

    Raises:
        UsageError: what could not be understood.
    """
    with usage_errors(f"arena {command}"):
        return tyro.cli(options, prog=f"arena {command}", args=words, description=inspect.getdoc(options))


@contextlib.contextmanager
def usage_errors(prog: str) -> Iterator[None]:
    """Turns the box that tyro draws around what it did not understand into a UsageError of one sentence."""
    captured = io.StringIO()
    try:
        with contextlib.redirect_stderr(captured):
            yield
    except SystemExit as ended:
        if ended.code in (0, None):
            raise
        raise UsageError(_sentence(captured.getvalue(), prog)) from None
    sys.stderr.write(captured.getvalue())


def _sentence(box: str, prog: str) -> str:
    lines = [line.strip("│╭╮╰╯ ") for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines()]
    lines = [line for line in lines if line][1:]  # the first is the title
    if lines and _RULE.match(lines[0]):  # where the box has no frame, the title is underlined
        del lines[0]
    message: list[str] = []
    for line in lines:
        if _RULE.match(line) or line.startswith(("Got errors:", "Argument helptext:")):
            break
        message.append(line)
    close = next((line.split()[0].rstrip(",") for line in lines[len(message) :] if re.match("--[a-z]", line)), None)
    if message and message[0].startswith("Missing from"):
        message = message[:2]  # the first thing that is missing, without its help
    text = " ".join(message).rstrip(".") or "The command line was not understood"
    hint = f"; did you mean {close}?" if close and text.startswith("Unrecognized") else ";"
    return f"{text}{hint} {prog} --help explains the options."
