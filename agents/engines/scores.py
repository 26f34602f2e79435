"""Centipawns, which chess programs speak, and values in [-1, 1], which we do.

``value = tanh(centipawns / 543)``: the curve that Lichess fits to its games (https://lichess.org/page/accuracy), where
100 centipawns are a value of 0.18 and 500 are 0.73.
"""

from __future__ import annotations

import math

CENTIPAWNS = 2 / 0.00368208
LIMIT = 5000
"""The most centipawns that a value is told as; beyond, tanh knows no difference."""


def value_of(centipawns: float) -> float:
    """What a score is worth to the player it is given for."""
    return math.tanh(centipawns / CENTIPAWNS)


def centipawns_of(value: float) -> int:
    """The inverse, within ``LIMIT``; 0 for NaN, which is no opinion."""
    if math.isnan(value):
        return 0
    most = math.tanh(LIMIT / CENTIPAWNS)
    return round(math.atanh(min(max(value, -most), most)) * CENTIPAWNS)
