"""The machine that we run on, and how a training run shares it out between self-play and learning."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil

GIGABYTE = 2.0**30


@dataclass(frozen=True)
class Machine:
    """What there is.

    Attributes:
        cores: how many this process may use, its container's quota included.
        processor: its name.
        memory: bytes that this process may use, its container's limit included.
    """

    cores: int
    processor: str
    memory: float


@dataclass(frozen=True)
class Shares:
    """How a run shares a machine out.

    Attributes:
        workers: self-play processes, each with one thread.
        threads: CPU threads of the learner.
        memory_cap: bytes that all processes of the run may hold together.
    """

    workers: int
    threads: int
    memory_cap: float


def detect() -> Machine:
    """Looks at the machine; takes no time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota()
    if quota is not None:
        cores = max(1, min(cores, round(quota)))
    memory = float(psutil.virtual_memory().total)
    limit = _cgroup_number("memory.max", "memory/memory.limit_in_bytes")
    return Machine(cores, _processor(), min(memory, limit) if limit is not None else memory)


def keep_freed_memory() -> None:
    """Has this process keep up to a gigabyte of what it frees, where the C library is glibc; elsewhere it does nothing.

    By default glibc gives large blocks back at once. Every training step then fetches the same memory anew, page by
    page, each of which the kernel must find and clear: 10,000 pages and a tenth or more of a step.
    """
    trim_threshold, mmap_threshold = -1, -3  # mallopt(3)
    with contextlib.suppress(OSError, TypeError, AttributeError):  # no C library to be found, or one without mallopt
        library = ctypes.CDLL(None)
        library.mallopt(mmap_threshold, 2**25)  # the most that it takes
        library.mallopt(trim_threshold, 2**30)


def share_out(
    machine: Machine, *, workers: int | None = None, threads: int | None = None, memory_gb: float | None = None
) -> Shares:
    """What is right for ``machine`` where nothing else is asked for.

    On up to four cores there is a worker for every core, since the learner often waits for games; on more, the learner
    has a quarter of the cores for itself. Memory: 3 GB for learner, replay, judge and Ray, and 1 GB for every worker.
    """
    threads = threads or max(1, machine.cores // 4)
    workers = workers or (machine.cores if machine.cores <= 4 else machine.cores - threads)
    cap = (memory_gb if memory_gb is not None else 3.0 + workers) * GIGABYTE
    return Shares(workers, threads, cap)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cgroup_quota() -> float | None:
    """Cores' worth of time that a container may use, as cgroups say it (version 2, then 1)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    quota_us = _cgroup_number("cpu/cpu.cfs_quota_us")
    period_us = _cgroup_number("cpu/cpu.cfs_period_us")
    return quota_us / period_us if quota_us and period_us and quota_us > 0 else None


def _cgroup_number(*names: str) -> float | None:
    for name in names:
        try:
            return float((Path("/sys/fs/cgroup") / name).read_text())
        except (OSError, ValueError):
            continue
    return None
