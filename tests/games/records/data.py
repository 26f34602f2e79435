"""Where the real data is, for the tests that read it: the folder that ARENA_DATA names, or ``../shared/data``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("ARENA_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"there is no folder {DATA} of real records; ARENA_DATA names another"
)
