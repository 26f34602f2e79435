"""What a report shows of a run in which nothing, or something rare, has happened since the last one."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest

from arena.progress import columns


@pytest.mark.parametrize(
    ("resigned", "wrongly", "shown"),
    [
        (math.nan, math.nan, None),
        (0.0, math.nan, None),
        (0.25, math.nan, "25% (- wrongly)"),
        (0.5, 0.02, "50% (2% wrongly)"),
    ],
)
def test_games_given_up_are_told_where_there_are_any(resigned: float, wrongly: float, shown: str | None) -> None:
    record = defaultdict(lambda: math.nan, seconds=61.0, positions=0, worker_deaths=0)
    record |= {"resigned_share": resigned, "resigned_wrongly_share": wrongly}
    assert columns(3, record).get("resigned") == shown
