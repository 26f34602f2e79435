"""Batches for the learner, made ahead of time by processes of their own, in an order that does not depend on them."""

from __future__ import annotations

import multiprocessing
import queue
import signal
from multiprocessing.context import SpawnProcess
from typing import Any

from arena.datasets.core import DatasetError, Order, Source

AHEAD = 4
"""Batches that each process keeps ready."""
_WAIT_SECONDS = 2.0


class Stream:
    """The training batches of a run, from step ``first_step`` on; an iterator without an end.

    Args:
        source: the data.
        batch_size: examples in each batch.
        seed: what their order and their shifts are drawn from.
        first_step: the training step that the next batch is for.
        workers: processes; 0 makes the batches when they are asked for.
    """

    def __init__(self, source: Source, batch_size: int, seed: int, first_step: int, workers: int) -> None:
        self._next, self._workers = first_step, workers
        self._plan = (source, batch_size, seed)
        self._queues: list[Any] = []
        self._processes: list[SpawnProcess] = []
        self._here = None if workers else _Maker(*self._plan)
        context = multiprocessing.get_context("spawn")
        for number in range(workers):
            ready = context.Queue(maxsize=AHEAD)
            arguments = (*self._plan, first_step + number, workers, ready)
            process = context.Process(target=_make_ahead, args=arguments, daemon=True, name=f"arena-data-{number}")
            process.start()
            self._queues.append(ready)
            self._processes.append(process)
        self._first = first_step

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Any:
        step, self._next = self._next, self._next + 1
        if self._here is not None:
            return self._here.batch(step)
        number = (step - self._first) % self._workers
        while True:
            try:
                made = self._queues[number].get(timeout=_WAIT_SECONDS)
            except queue.Empty:
                if not self._processes[number].is_alive():
                    raise DatasetError(
                        "A process that reads the data has died (out of memory?); give fewer --workers."
                    ) from None
                continue
            if isinstance(made, BaseException):
                raise made
            return made

    def close(self) -> None:
        """Ends the processes."""
        for process, ready in zip(self._processes, self._queues, strict=True):
            process.terminate()
            ready.cancel_join_thread()
            ready.close()
        for process in self._processes:
            process.join(_WAIT_SECONDS)
        self._processes, self._queues = [], []


class _Maker:
    """Makes any batch of a run."""

    def __init__(self, source: Source, batch_size: int, seed: int) -> None:
        from arena.datasets import open_dataset

        self._dataset = open_dataset(source)
        self._order = Order(self._dataset.sizes["train"], batch_size, seed)

    def batch(self, step: int) -> Any:
        return self._dataset.batch("train", self._order.indices(step), self._order.rng(step))


def _make_ahead(source: Source, batch_size: int, seed: int, first_step: int, stride: int, ready: Any) -> None:
    """Puts every ``stride``-th batch into ``ready``, until the process that started this one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the learner, which then ends us
    parent = multiprocessing.parent_process()
    step = first_step
    try:
        maker = _Maker(source, batch_size, seed)
        made = maker.batch(step)
    except Exception as error:  # noqa: BLE001  # whatever it is, the learner is to tell it
        maker, made = None, error
    while parent is None or parent.is_alive():
        try:
            ready.put(made, timeout=_WAIT_SECONDS)
        except queue.Full:
            continue
        if maker is None:
            return
        step += stride
        made = maker.batch(step)
    ready.cancel_join_thread()
