"""What a set of data to learn from is: examples in three splits, and batches that depend on nothing but their numbers.

Axes: ``B`` examples, ``T`` plies, ``A`` actions, ``K`` classes, ``C, H, W`` planes.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from agents.pictures import PictureSpec
from games import ArenaError, GameSpec

Array = np.ndarray

SPLITS = ("train", "validation", "test")
"""Learned from; looked at while learning goes on; looked at once, at the end."""
HELD_OUT = 0.05
"""The share of what could be learned from that goes to the validation split, and of games to each of the other two."""


class DatasetError(ArenaError):
    """Data that is not there, not what it should be, or not for the network that is to learn it."""


@dataclass(frozen=True)
class Source:
    """Which data, and how the network wants to see it; enough to open it in another process.

    Attributes:
        name: of the set, as ``arena learn`` takes it.
        data: the folder, or the one file, that holds what others made; None for what we make ourselves.
        reads: what the network reads: ``"planes"``, ``"moves"`` or ``"positions"``.
        context: how many tokens it sees, where it reads a sequence.
        augment: whether to show training examples as symmetry, or a small shift of a picture, changes them.
        game: the game that records are read as, with options that show the network more of it; "" = without.
        random_tails: the share of training games, as moves, that go on with random moves from a random ply.
        random_branches: the share of their plies before that where a random move is to be foreseen.
    """

    name: str
    data: Path | None = None
    reads: str = "planes"
    context: int = 0
    augment: bool = True
    game: str = ""
    random_tails: float = 0.0
    random_branches: float = 0.0


@dataclass(frozen=True)
class SequenceBatch:
    """Whole games, ply by ply. What stands after the end of a game, or of its window, is zero and -1.

    Attributes:
        inputs: int64 ``[B, T]`` tokens of ``agents.histories``, or float32 ``[B, T, C, H, W]`` planes.
        action: int64 ``[B, T]``, the move to be foreseen after each input; -1: none.
        value: float32 ``[B, T]`` in [-1, 1], what the game came to for the player of that move; NaN: not known.
    """

    inputs: Array
    action: Array
    value: Array


@dataclass(frozen=True)
class PictureBatch:
    """Pictures and what is on them.

    Attributes:
        observation: float32 ``[B, C, H, W]`` in [-1, 1].
        label: int64 ``[B]``, which of the ``K`` classes.
    """

    observation: Array
    label: Array


@dataclass(frozen=True)
class Answers:
    """What is right in the ``N`` positions of a batch; of sequences, after each input that a move followed, in order.

    Attributes:
        legal_action_mask: bool ``[N, A]``.
        right: bool ``[N, A]``: the moves that were played, or all of the best; none where that is not known.
        value: float32 ``[N]`` in [-1, 1], for the player to move.
        seen: bool ``[N]``, whether training games reach the same position (of sequences: by the same moves).
    """

    legal_action_mask: Array
    right: Array
    value: Array
    seen: Array


BatchT = TypeVar("BatchT")


class Dataset(abc.ABC, Generic[BatchT]):
    """Examples by split and number.

    Attributes:
        spec: what a network for it is for: a game as the network sees it, or pictures.
        sizes: how many examples each split has.
        notes: what was found and left out when it was read, each as one sentence.
    """

    spec: GameSpec | PictureSpec
    sizes: dict[str, int]
    notes: tuple[str, ...] = ()

    @abc.abstractmethod
    def batch(self, split: str, indices: Array, rng: np.random.Generator | None = None) -> BatchT:
        """Examples ``indices`` (int64 ``[B]``) of a split.

        Args:
            split: one of ``SPLITS``.
            indices: from 0 to ``sizes[split] - 1``.
            rng: what symmetries, crops and windows are drawn from; None shows the examples as they are.
        """

    def answers(self, split: str, indices: Array) -> Answers | None:
        """What to hold against a network's answers to ``batch(split, indices)``; None of pictures, whose label says."""
        return None

    def identities(self, split: str) -> Array | None:
        """uint64 ``[sizes[split]]``: equal for examples of one game, or for one picture, mirror images included, also
        between sets; None where a set is the only one of its kind."""
        return None

    def facts(self) -> dict[str, Any]:
        """Sizes and notes, for the files."""
        return {**{f"{split}_examples": size for split, size in self.sizes.items()}, "notes": list(self.notes)}


class Order:
    """Which examples training step ``n`` is made of: epoch after epoch, each in an order of its own.

    It keeps no place, so a run that goes on needs no more than the number of the step.

    Args:
        size: examples.
        batch_size: ``B``.
        seed: what the orders are drawn from.
    """

    def __init__(self, size: int, batch_size: int, seed: int) -> None:
        self._size, self._batch_size, self._seed = size, batch_size, seed
        self._epochs: dict[int, Array] = {}

    def indices(self, step: int) -> Array:
        """int64 ``[B]``."""
        places = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        epochs = places // self._size
        chosen = [self._epoch(int(epoch))[places[epochs == epoch] % self._size] for epoch in np.unique(epochs)]
        return np.concatenate(chosen)

    def rng(self, step: int) -> np.random.Generator:
        """What the examples of ``step`` are shown differently by."""
        return np.random.default_rng(np.random.SeedSequence([self._seed, 1, step]))

    def _epoch(self, epoch: int) -> Array:
        if epoch not in self._epochs:
            self._epochs = {number: order for number, order in self._epochs.items() if number >= epoch - 1}
            rng = np.random.default_rng(np.random.SeedSequence([self._seed, 0, epoch]))
            self._epochs[epoch] = rng.permutation(self._size)
        return self._epochs[epoch]
