"""What hands out self-play work and takes the results: the interface, and the form of it that stays in one process.

``arena.distributed`` has the form that runs on Ray.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

Weights = dict[str, np.ndarray]


class Worker(Protocol):
    """What a pool runs: self-play, from which games come in portions."""

    def set_weights(self, weights: Weights, version: int) -> None:
        """Plays on with these weights."""
        ...

    def play(self) -> Any:
        """Plays one portion and returns it."""
        ...

    def state(self) -> dict[str, Any]:
        """Arrays and JSON-able values from which ``restore`` goes on exactly."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a ``state``."""
        ...


MakeWorker = Callable[[int, int], Worker]
"""``(index, incarnation)`` of a worker; a worker that replaces a dead one has the next incarnation. Picklable."""


class Pool(Protocol):
    """Workers that are handed portions of work and hand back results."""

    num_workers: int
    deaths: int

    @property
    def outstanding(self) -> int:
        """Portions that were asked for and have not come back."""
        ...

    def publish(self, weights: Weights, version: int) -> None:
        """Gives every worker new weights; they hold from its next portion on."""
        ...

    def ask(self) -> None:
        """Gives the worker with the least to do one more portion."""
        ...

    def ready(self, timeout: float) -> list[Any]:
        """Waits up to ``timeout`` seconds for results and returns those there are, possibly none."""
        ...

    def close(self) -> None:
        """Ends all workers at once; what they had not finished is lost."""
        ...


class LocalPool:
    """One worker in this process. ``ready`` does the work, and ``state`` is exact between two calls of it."""

    def __init__(self, make_worker: MakeWorker) -> None:
        self.num_workers = 1
        self.deaths = 0
        self.outstanding = 0
        self._worker = make_worker(0, 0)
        self._weights: Weights = {}
        self._version = 0
        self._state = self._worker.state()

    def publish(self, weights: Weights, version: int) -> None:
        self._weights, self._version = weights, version
        self._worker.set_weights(weights, version)

    def ask(self) -> None:
        self.outstanding += 1

    def ready(self, timeout: float) -> list[Any]:
        if not self.outstanding:
            return []
        portion = self._worker.play()
        self.outstanding -= 1
        # Taking a state drops search trees, so it is taken after every portion, and whether the run is interrupted
        # makes no difference to the games.
        self._state = self._worker.state()
        return [portion]

    def state(self) -> dict[str, Any]:
        """The worker after its last whole portion, and the weights it was given."""
        weights = {f"weights/{name}": array for name, array in self._weights.items()}
        return {f"worker/{k}": v for k, v in self._state.items()} | weights | {"version": self._version}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a ``state``."""

        def under(prefix: str) -> dict[str, Any]:
            return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}

        self.publish(under("weights/"), state["version"])
        self._state = under("worker/")
        self._worker.restore(self._state)

    def close(self) -> None:
        self.outstanding = 0


class LocalBackground:
    """``Background`` without a background: ``start`` does the work in this process."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._object = make()
        self._result: Any = None

    @property
    def busy(self) -> bool:
        """Whether there is a result that was not fetched."""
        return self._result is not None

    def start(self, method: str, *arguments: Any) -> None:
        """Makes the call; ``result`` fetches what it returned."""
        self._result = getattr(self._object, method)(*arguments)

    def result(self, timeout: float) -> Any | None:
        """What the last call returned, once."""
        result, self._result = self._result, None
        return result

    def close(self) -> None:
        """Nothing to end."""
