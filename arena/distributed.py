"""Ray, which nothing else of the project knows: plain classes run as actors, and work flows through a pool of them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import agents
import games
from arena.pools import MakeWorker, Weights
from games import ArenaError

OBJECT_STORE_BYTES = 256 * 2**20
"""Shared memory of an embedded Ray: some shards and a few versions of the weights are all that ever passes."""


class WorkerError(ArenaError):
    """Ray does not start, or workers die as fast as they are replaced."""


def start_ray(address: str | None, num_actors: int) -> None:
    """Starts a Ray inside this process and its children, or joins the cluster at ``address``.

    Raises:
        WorkerError: there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 starves self-play as soon as anything else runs
    import ray

    # Ray gives each worker of one CPU one OpenMP thread, which is what we want: threads that fight for busy cores
    # lose up to ten times. The number of CPUs is ours to say, since the learner and the judge share the cores.
    address = address or os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(
                num_cpus=num_actors,
                num_gpus=None,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                **quiet,
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"join a Ray cluster at {address!r}" if address else "start Ray"
        raise WorkerError(f"Cannot {where}: {str(error).splitlines()[0]}") from None


def kernels_missing() -> bool:
    """Whether no compiled kernel of ours lies where Numba keeps them beside the sources."""
    packages = (Path(agents.__path__[0]) / "search", Path(games.__path__[0]))
    return not all(any((package / "__pycache__").glob("*.nbi")) for package in packages)


def stop_ray() -> None:
    """Ends the embedded Ray with all its processes, or leaves the cluster."""
    if "ray" not in sys.modules:
        return
    import ray

    if ray.is_initialized():
        ray.shutdown()


class _Host:
    """The actor: makes a plain object in a process of its own and passes calls on to it."""

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        self._object = make(*arguments)

    def call(self, method: str, *arguments: Any) -> Any:
        return getattr(self._object, method)(*arguments)

    def process_id(self) -> int:
        return os.getpid()


@dataclass
class _Member:
    actor: Any
    incarnation: int
    portions: list[Any]  # references to the results asked for


class WorkerPool:
    """Workers as Ray actors. One that dies is replaced, with the newest weights and its portions asked for again.

    Args:
        make_worker: makes a worker in its own process.
        num_workers: how many.
    """

    def __init__(self, make_worker: MakeWorker, num_workers: int) -> None:
        import ray

        self.num_workers = num_workers
        self.deaths = 0
        self._make_worker = make_worker
        self._actor_class: Any = ray.remote(_Host)
        self._weights: tuple[Any, int] | None = None
        self._deaths_without_result = 0
        self._members = [_Member(self._start(index, 0), 0, []) for index in range(num_workers)]

    def _start(self, index: int, incarnation: int) -> Any:
        actor = self._actor_class.options(num_cpus=1).remote(self._make_worker, index, incarnation)
        if self._weights is not None:
            actor.call.remote("set_weights", *self._weights)
        return actor

    @property
    def outstanding(self) -> int:
        """Portions that were asked for and have not come back."""
        return sum(len(member.portions) for member in self._members)

    def publish(self, weights: Weights, version: int) -> None:
        import ray

        self._weights = (ray.put(weights), version)
        for member in self._members:
            member.actor.call.remote("set_weights", *self._weights)

    def ask(self) -> None:
        member = min(self._members, key=lambda member: len(member.portions))
        member.portions.append(member.actor.call.remote("play"))

    def ready(self, timeout: float) -> list[Any]:
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        owners = {reference: index for index, member in enumerate(self._members) for reference in member.portions}
        if not owners:
            return []
        done, _ = ray.wait(list(owners), num_returns=1, timeout=timeout)
        if done:
            done, _ = ray.wait(list(owners), num_returns=len(owners), timeout=0)
        results = []
        for reference in done:
            member = self._members[owners[reference]]
            if reference not in member.portions:
                continue  # its worker was replaced a moment ago
            try:
                results.append(ray.get(reference))
            except RayActorError:
                self._replace(owners[reference])
                continue
            except RayTaskError as error:
                raise error.as_instanceof_cause() from None
            member.portions.remove(reference)
            self._deaths_without_result = 0
        return results

    def _replace(self, index: int) -> None:
        self.deaths += 1
        self._deaths_without_result += 1
        if self._deaths_without_result > 3 * self.num_workers:
            raise WorkerError(
                f"{self._deaths_without_result} workers died one after the other without finishing anything, perhaps "
                "for want of memory; try fewer --workers or a smaller --self-play.slots."
            )
        old = self._members[index]
        new = _Member(self._start(index, old.incarnation + 1), old.incarnation + 1, [])
        self._members[index] = new
        new.portions = [new.actor.call.remote("play") for _ in old.portions]

    def process_ids(self) -> list[int]:
        """The process of every worker, waiting until each is up."""
        import ray

        return ray.get([member.actor.process_id.remote() for member in self._members])

    def close(self) -> None:
        import ray

        for member in self._members:
            ray.kill(member.actor)


class Background:
    """One plain object as a Ray actor that does one thing at a time, while this process goes on.

    A call that fails or whose process dies is reported once; the next call starts a new process.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        import ray

        self._make = make
        self._actor_class: Any = ray.remote(_Host)
        self._actor: Any = None
        self._pending: Any = None

    @property
    def busy(self) -> bool:
        """Whether a call is under way or its result not yet fetched."""
        return self._pending is not None

    def start(self, method: str, *arguments: Any) -> None:
        """Starts a call; ``result`` fetches what it returns."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if self._actor is None:
            # On this node, since what it reads lies on our disk.
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            self._actor = self._actor_class.options(num_cpus=0, scheduling_strategy=here).remote(self._make)
        self._pending = self._actor.call.remote(method, *arguments)

    def result(self, timeout: float) -> Any | None:
        """What the call returned, or None if it is not done within ``timeout`` seconds or its process died."""
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        if self._pending is None or not ray.wait([self._pending], timeout=timeout)[0]:
            return None
        pending, self._pending = self._pending, None
        try:
            return ray.get(pending)
        except RayActorError:
            self._actor = None
            return None
        except RayTaskError as error:
            raise error.as_instanceof_cause() from None

    def close(self) -> None:
        """Ends the process."""
        import ray

        if self._actor is not None:
            ray.kill(self._actor)
            self._actor = None
