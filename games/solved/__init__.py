"""Ground truth that ships with the package: positions whose every move has a known score, and an opening book.

``scripts/make_solved_positions.py`` made the files, and says how to make them again. `load` is where to start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from games.core import ILLEGAL_SCORE, Array, Game, UnsupportedError
from games.registry import make

DIRECTORY = Path(__file__).parent
BOOK_PATH = DIRECTORY / "connect_four_book.npz"
POSITIONS_PATH = DIRECTORY / "connect_four_positions.npz"

CONNECT_FOUR_CLASSES = ("begin-easy", "begin-medium", "begin-hard", "middle-easy", "middle-medium", "end-easy")
"""Stage: at most 14 stones on the board (begin), 15 to 28 (middle), more (end). Difficulty: fewer than 14 moves from
the end of the game with perfect play (easy), 14 to 28 (medium), more (hard); a draw ends when the board is full."""


@dataclass(frozen=True)
class SolvedPositions:
    """``K`` positions of one game and the score of every move in them; none is over.

    Attributes:
        game: the game's name.
        class_names: the classes that the positions fall into, such as stages of the game.
        class_index: int64 ``[K]``, into ``class_names``.
        states: ``[K]`` of the game's dtype.
        scores: int32 ``[K, A]`` for the mover, as ``Game.solve`` gives them; ILLEGAL_SCORE where a move is illegal.
    """

    game: str
    class_names: tuple[str, ...]
    class_index: Array
    states: Array
    scores: Array


def load(game: str) -> SolvedPositions:
    """The solved positions of ``game``.

    Raises:
        UnknownNameError: there is no such game.
        UnsupportedError: there are no solved positions of it.
    """
    name = make(game).spec.name
    if name not in _LOADERS:
        raise UnsupportedError(f"There are no solved positions of {name}, only of {', '.join(sorted(_LOADERS))}.")
    return _LOADERS[name]()


def load_book() -> dict[int, int]:
    """Connect Four's opening book: ``connect_four_solver.canonical_key`` of a position to its score for the mover.

    It has every position up to some number of stones, mirror images once.
    """
    if not BOOK_PATH.exists():
        return {}
    with np.load(BOOK_PATH, allow_pickle=False) as data:
        return dict(zip(data["keys"].tolist(), data["scores"].tolist(), strict=True))


def boards_to_states(game: Game, stones: Array) -> Array:
    """Connect Four states ``[K]`` from the two bitboards (uint64 ``[K, 2]``, by seat) of games that are not over."""
    states = game.init(len(stones))
    states["stones"] = stones
    states["ply"] = np.bitwise_count(stones).sum(axis=1)
    states["to_play"] = states["ply"] % 2
    return states


def _load_connect_four() -> SolvedPositions:
    with np.load(POSITIONS_PATH, allow_pickle=False) as data:
        stones, class_index, scores = data["stones"], data["class_index"].astype(np.int64), data["scores"]
    game = make("connect_four")
    states = boards_to_states(game, stones)
    # Scores are stored as int8, to which ILLEGAL_SCORE does not fit; the rules know where it belongs.
    scores = np.where(game.legal_action_mask(states), scores.astype(np.int32), ILLEGAL_SCORE)
    return SolvedPositions(game.spec.name, CONNECT_FOUR_CLASSES, class_index, states, scores)


def _load_tic_tac_toe() -> SolvedPositions:
    """Every position that play can reach, once, in classes by the number of marks: solved on the spot."""
    game = make("tic_tac_toe")
    layers = [game.init(1)]
    while len(layers) < game.spec.max_plies:
        rows, actions = np.nonzero(game.legal_action_mask(layers[-1]))
        children = layers[-1][rows]
        game.step(children, actions)
        children = children[~children["terminated"]]
        _, first = np.unique(game.hash(children), return_index=True)
        layers.append(children[np.sort(first)])
    names = tuple(f"{ply} mark{'' if ply == 1 else 's'}" for ply in range(len(layers)))
    states = np.concatenate(layers)
    class_index = np.repeat(np.arange(len(layers)), [len(layer) for layer in layers])
    return SolvedPositions(game.spec.name, names, class_index, states, game.solve(states))


_LOADERS: dict[str, Callable[[], SolvedPositions]] = {
    "connect_four": _load_connect_four,
    "tic_tac_toe": _load_tic_tac_toe,
}
