"""The rules of every game, as functions over arrays. ``games.make("connect_four")`` is where to start."""

from games.check import GameContractError, check_game
from games.core import (
    ILLEGAL_SCORE,
    ArenaError,
    EndReason,
    Game,
    GameSpec,
    IllegalActionError,
    ParseError,
    Symmetry,
    UnknownNameError,
    UnsupportedError,
    start_symmetries,
)
from games.perft import perft
from games.registry import available, families, make
from games.sampling import sample_legal

__all__ = [
    "ILLEGAL_SCORE",
    "ArenaError",
    "EndReason",
    "Game",
    "GameContractError",
    "GameSpec",
    "IllegalActionError",
    "ParseError",
    "Symmetry",
    "UnknownNameError",
    "UnsupportedError",
    "available",
    "check_game",
    "families",
    "make",
    "perft",
    "sample_legal",
    "start_symmetries",
]
