"""Ctrl-C and SIGTERM, as a wish to stop that is granted when it suits."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def calling_on_signals(stop: Callable[[str], object]) -> Iterator[None]:
    """Within the block, the first Ctrl-C or SIGTERM calls ``stop`` with its name; a second one does what it always did.

    Works in the main thread only, as Python's signals do.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def give_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, _: object) -> None:
        give_back()
        stop("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        give_back()
