"""What supervised learning learns from: pictures, solved positions, and games that people played.

``open_dataset`` is where to start. To add a set, write a function that opens it and a line in ``DATASETS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from arena.datasets.connect_four import open_eight_plies
from arena.datasets.core import (
    SPLITS,
    Answers,
    Dataset,
    DatasetError,
    PictureBatch,
    SequenceBatch,
    Source,
)
from arena.datasets.games_of_others import SETS, open_games
from arena.datasets.pictures import open_pictures
from games import UnknownNameError
from games.registry import unknown_name

__all__ = [
    "DATASETS",
    "SETS",
    "SPLITS",
    "Answers",
    "Dataset",
    "DatasetError",
    "Kind",
    "PictureBatch",
    "SequenceBatch",
    "Source",
    "kind_of",
    "open_dataset",
]


@dataclass(frozen=True)
class Kind:
    """One set of data.

    Attributes:
        summary: one line of help.
        open: reads it; the second argument is its name.
    """

    summary: str
    open: Callable[[Source, str], Dataset[Any]]


DATASETS = {
    "catvnoncat": Kind("259 photographs of 64 × 64: is there a cat?", open_pictures),
    "chess_masters": Kind("master games of chess: positions, or with a sequence backbone whole games", open_games),
    "cifar10": Kind("60,000 pictures of 32 × 32 in ten classes", open_pictures),
    "cifar10_cat": Kind("the same pictures: is it a cat?", open_pictures),
    "connect_four_8ply": Kind("67,557 positions of eight stones: who wins?", open_eight_plies),
    "kgs": Kind("games of Go between strong players: positions, or with a sequence backbone whole games", open_games),
    "wthor": Kind("human games of Othello: positions, or with a sequence backbone whole games", open_games),
}


def kind_of(name: str) -> Kind:
    """The set called ``name``. Raises UnknownNameError, naming the nearest."""
    if name not in DATASETS:
        raise UnknownNameError(unknown_name("dataset", name, DATASETS))
    return DATASETS[name]


def open_dataset(source: Source) -> Dataset[Any]:
    """The set that ``source`` names, as its network reads it. The first time takes up to minutes; see ``cache``.

    Raises:
        UnknownNameError: no such set.
        DatasetError: its files are not there, damaged, or not for a network that reads like this.
    """
    return kind_of(source.name).open(source, source.name)
