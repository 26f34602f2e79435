"""What every test shares: one thread, no leftovers of the machine's settings, and repeatable property tests."""

from __future__ import annotations

import os

# Before torch or numba is imported: test processes and Ray workers side by side must not fight for cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.pop("RAY_ADDRESS", None)  # never join a cluster that happens to be configured

from hypothesis import HealthCheck, settings

# The first example of a test may compile kernels for seconds, so time says nothing; the same examples every time.
settings.register_profile("arena", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("arena")
