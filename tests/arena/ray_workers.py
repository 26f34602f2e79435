"""Workers for Ray's processes, apart from the tests: a process that hosts one imports this file and so no PyTorch."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np


class Counter:
    """A worker that counts its portions and tells the weights it was given."""

    def __init__(self, index: int, incarnation: int) -> None:
        self.name = (index, incarnation)
        self.weight = -1.0

    def set_weights(self, weights: dict[str, np.ndarray], version: int) -> None:
        self.weight = float(weights["w"][0])

    def play(self) -> tuple[tuple[int, int], float]:
        time.sleep(0.02)
        return self.name, self.weight

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass


class Fragile(Counter):
    """A worker that dies of every portion."""

    def play(self) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


class Faulty(Counter):
    """A worker with a bug."""

    def play(self) -> Any:
        raise ZeroDivisionError("a bug")


class Summer:
    """Something to do in the background."""

    def add(self, *numbers: int) -> int:
        return sum(numbers)

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
