"""The classic set of Connect Four: every position of eight stones in which nobody has four yet and the next move is not
forced, mirror images once, and what it comes to with perfect play (Tromp, 1995; UCI machine learning repository).

There are 67,557. For the player who moves first, and is to move, 44,473 are won, 16,635 lost and 6,449 drawn. The
positions follow from the rules; their outcomes took the exact solver hours (``scripts/make_connect_four_8ply.py``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import games
from arena.datasets.cache import cached
from arena.datasets.core import HELD_OUT, SPLITS, Answers, Dataset, DatasetError, Source
from arena.records import SampleBatch
from games import connect_four_solver as solver
from games import solved
from games.hashing import mix64

Array = np.ndarray

OUTCOMES_PATH = solved.DIRECTORY / "connect_four_8ply.npz"
STONES = 8
POSITIONS = 67_557
COUNTS = {1: 44_473, -1: 16_635, 0: 6_449}
"""How many of the positions are won, lost and drawn for the first player."""
UNKNOWN = -2
TEST_SHARE = 0.2
VERSION = 1


def open_eight_plies(source: Source, name: str) -> EightPlies:
    """The set; ``source.data`` may be another file of outcomes.

    Raises:
        DatasetError: no outcomes, or not all, or a network that reads sequences.
    """
    if source.reads != "planes":
        raise DatasetError(f"{name} has positions and no games; give a backbone that reads planes, such as resnet.")
    path = source.data if source.data is not None and source.data.is_file() else OUTCOMES_PATH
    outcomes = read_outcomes(path)
    missing = int((outcomes == UNKNOWN).sum())
    if missing:
        raise DatasetError(
            f"{path} lacks the outcomes of {missing} of {POSITIONS} positions; "
            "python -m scripts.make_connect_four_8ply solves them, and goes on where it stopped."
        )
    counts = {outcome: int((outcomes == outcome).sum()) for outcome in COUNTS}
    if counts != COUNTS:
        raise DatasetError(f"{path} is wrong: it has {counts} positions by outcome where there are {COUNTS}.")
    stones = cached(name, VERSION, [], lambda: ({"stones": positions()}, {}))["stones"]
    return EightPlies(np.asarray(stones), outcomes, augment=source.augment)


def positions() -> Array:
    """uint64 ``[67557, 2]``: the stones of both seats, in the order of the positions' canonical keys."""
    layer = {(0, 0)}
    for _ in range(STONES):
        layer = {
            (mine ^ mask, mask | move)
            for mine, mask in layer
            for move in _moves(mask)
            if not move & int(solver.winning_cells(mine, mask))
        }
    found = {}
    for mine, mask in sorted(layer):
        open_cells = (mask + solver.BOTTOM) & solver.BOARD
        threats = int(solver.winning_cells(mine, mask)) | int(solver.winning_cells(mine ^ mask, mask))
        if not threats & open_cells:  # a move that wins, or that stops a win, is forced
            found.setdefault(int(solver.canonical_key(mine, mask)), (mine, mine ^ mask))
    return np.array([found[key] for key in sorted(found)], np.uint64)


def _moves(mask: int) -> list[int]:
    drops = ((mask + (1 << solver.COLUMN_BITS * c)) & (solver.COLUMN << solver.COLUMN_BITS * c) for c in range(7))
    return [move for move in drops if move]


def read_outcomes(path: Path) -> Array:
    """int8 ``[67557]``: the outcome of each position for the player to move; UNKNOWN where it is not solved yet.

    Raises:
        DatasetError: the file is not what the script writes.
    """
    if not path.is_file():
        return np.full(POSITIONS, UNKNOWN, np.int8)
    try:
        with np.load(path, allow_pickle=False) as data:
            outcomes = data["outcomes"]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from None
    if outcomes.dtype != np.int8 or outcomes.shape != (POSITIONS,) or not np.isin(outcomes, (UNKNOWN, *COUNTS)).all():
        raise DatasetError(f"{path} does not hold the outcomes of {POSITIONS} positions.")
    return outcomes


class EightPlies(Dataset[SampleBatch]):
    """The positions and what they come to; which moves are best is not part of the set, so no policy is learned."""

    def __init__(self, stones: Array, outcomes: Array, *, augment: bool) -> None:
        self._game = games.make("connect_four")
        self.spec = self._game.spec
        self._states = solved.boards_to_states(self._game, stones)
        self._values = outcomes.astype(np.float32)
        self._mirror = self._game.symmetries[1] if augment else None
        share = (mix64(mix64(stones[:, 0]) ^ stones[:, 1]) >> np.uint64(40)) / float(1 << 24)
        splits = np.searchsorted([1 - TEST_SHARE - HELD_OUT, 1 - TEST_SHARE], share, side="right")
        self._rows = {split: np.flatnonzero(splits == number) for number, split in enumerate(SPLITS)}
        self.sizes = {split: len(rows) for split, rows in self._rows.items()}
        counts = ", ".join(f"{size} {split}" for split, size in self.sizes.items())
        self.notes = (
            f"{len(stones)} positions of 8 stones ({counts}): "
            f"{COUNTS[1]} won, {COUNTS[-1]} lost, {COUNTS[0]} drawn for the player to move.",
            "Mirror images count as one position, so none is in two splits.",
        )

    def batch(self, split: str, indices: Array, rng: np.random.Generator | None = None) -> SampleBatch:
        rows = self._rows[split][indices]
        observation = self._game.observe(self._states[rows])
        mask = self._game.legal_action_mask(self._states[rows])
        if rng is not None and self._mirror is not None:
            turned = np.flatnonzero(rng.random(len(rows)) < 0.5)
            flat = observation[turned].reshape(len(turned), len(observation[0]), -1)
            observation[turned] = flat[..., self._mirror.observation_permutation].reshape(observation[turned].shape)
            mask[turned] = mask[turned][:, self._mirror.action_permutation]
        nothing, weight = np.zeros(mask.shape, np.float32), np.ones(len(rows), np.float32)
        return SampleBatch(observation, mask, nothing, self._values[rows], weight)

    def answers(self, split: str, indices: Array) -> Answers:
        rows = self._rows[split][indices]
        mask = self._game.legal_action_mask(self._states[rows])
        return Answers(mask, np.zeros_like(mask), self._values[rows], np.zeros(len(rows), bool))
