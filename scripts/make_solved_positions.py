"""Makes the ground truth that ships in ``games/solved/``.

    python scripts/make_solved_positions.py book --plies 3          # Connect Four's opening book
    python scripts/make_solved_positions.py positions --seed 0 --per-class 200

Both write their file atomically every minute or so, and when stopped go on from it. The positions depend on the seed
and the number per class alone, not on where they were interrupted.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

import games
from agents.files import write_atomically
from games import solved
from games.connect_four_solver import CELLS, Solver, canonical_key

SAVE_SECONDS = 60.0
GENERATOR_VERSION = 1
"""Raised whenever the same seed gives other positions."""

STAGES = ((8, 14), (15, 28), (29, 41))
"""Plies of the random positions by stage. Positions with fewer than 8 stones are few, and slow to solve."""
STAGE_NAMES = ("begin", "middle", "end")


@dataclass(frozen=True)
class Book:
    """Solve every position of Connect Four with at most ``plies`` stones, mirror images once."""

    plies: int = 3
    table_megabytes: int = 1024
    output: Path = solved.BOOK_PATH


@dataclass(frozen=True)
class Positions:
    """Solve random positions of Connect Four until every class has ``per_class``."""

    seed: int = 0
    per_class: int = 200
    table_megabytes: int = 128
    output: Path = solved.POSITIONS_PATH


def make_book(options: Book) -> None:
    """Writes the book, fewest stones first, so that it is of use whenever it is stopped."""
    known = _read_book(options.output)
    solver = Solver(options.table_megabytes, use_book=False)
    started = saved = time.monotonic()
    layers = _layers(options.plies)
    at_least: dict[int, int] = {}  # no move is worth more than the position it is played in
    for stones, layer in enumerate(layers):
        for number, (key, (mine, mask)) in enumerate(layer.items()):
            if key not in known:
                known[key] = solver.score(mine, mask, at_least=at_least.get(key, -CELLS))
            for child in map(canonical, _children(mine, mask)):
                at_least[child] = max(at_least.get(child, -CELLS), -known[key])
            if time.monotonic() - saved > SAVE_SECONDS or number + 1 == len(layer):
                _write_book(options.output, known)
                saved = time.monotonic()
                print(
                    f"{stones} stones: {number + 1} of {len(layer)}, {saved - started:.0f} s, "
                    f"{solver.nodes / 1e6:.0f} M nodes",
                    flush=True,
                )
    for layer in layers[:-1]:
        for key, board in layer.items():
            if known[key] != max(-known[child] for child in map(canonical, _children(*board))):
                raise RuntimeError(f"The score of the position with key {key} is not that of its best move.")


def canonical(board: tuple[int, int]) -> int:
    """The key of a position given as (mine, mask)."""
    return int(canonical_key(*board))


def _children(mine: int, mask: int) -> list[tuple[int, int]]:
    """The positions after each move, from left to right, seen by their mover."""
    moves = [(mask + (1 << 7 * column)) & (0b111111 << 7 * column) for column in range(7)]
    return [(mine ^ mask, mask | move) for move in moves if move]


def _layers(plies: int) -> list[dict[int, tuple[int, int]]]:
    """By number of stones, up to 6: the positions by key; nobody can have won yet."""
    if not 0 <= plies <= 6:
        raise games.ArenaError(f"The book cannot be {plies} plies deep; give 0 to 6.")
    layers = [{canonical((0, 0)): (0, 0)}]
    for _ in range(plies):
        children = [child for board in layers[-1].values() for child in _children(*board)]
        layers.append({canonical(child): child for child in reversed(children)})
    return layers


def _read_book(path: Path) -> dict[int, int]:
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as data:
        return dict(zip(data["keys"].tolist(), data["scores"].tolist(), strict=True))


def _write_book(path: Path, known: dict[int, int]) -> None:
    keys = sorted(known)
    _write(path, keys=np.array(keys, np.int64), scores=np.array([known[key] for key in keys], np.int8))


def make_positions(options: Positions) -> None:
    """Draws and solves candidates until every class is full; each candidate has a random stream of its own."""
    game = games.make("connect_four")
    solver = Solver(options.table_megabytes)
    found = _read_positions(options)
    started = saved = time.monotonic()
    classes = solved.CONNECT_FOUR_CLASSES
    for stage in (2, 1, 0):  # the costly ones last
        name, plies = STAGE_NAMES[stage], STAGES[stage]
        members = [i for i, label in enumerate(classes) if label.startswith(name)]
        while any(found.counts[i] < options.per_class for i in members):
            state = _random_position(game, plies, np.random.default_rng((options.seed, stage, found.drawn[stage])))
            found.drawn[stage] += 1
            if state is not None:
                found.add(solver, state[0], name, options.per_class)
            if time.monotonic() - saved > SAVE_SECONDS:
                _write_positions(options, found)
                saved = time.monotonic()
                print(f"{saved - started:.0f} s, {solver.nodes / 1e6:.0f} M nodes, {found.describe()}", flush=True)
        _write_positions(options, found)
    print(f"{time.monotonic() - started:.0f} s, {solver.nodes / 1e6:.0f} M nodes, {found.describe()}")


@dataclass
class Found:
    """The positions so far: how many candidates were drawn by stage, and the rows of the file."""

    drawn: list[int]
    stones: list[tuple[int, int]]
    scores: list[list[int]]
    class_index: list[int]

    @property
    def counts(self) -> list[int]:
        """Positions by class."""
        return [self.class_index.count(i) for i in range(len(solved.CONNECT_FOUR_CLASSES))]

    def describe(self) -> str:
        """The counts, for people."""
        return ", ".join(f"{n} {name}" for name, n in zip(solved.CONNECT_FOUR_CLASSES, self.counts, strict=True))

    def add(self, solver: Solver, state: np.void, stage: str, per_class: int) -> None:
        """Takes the position in, unless it is there already or its class is full."""
        stones = (int(state["stones"][0]), int(state["stones"][1]))
        if stones in self.stones:
            return
        mine, mask = stones[int(state["to_play"])], stones[0] | stones[1]
        best = solver.score(mine, mask)
        name = f"{stage}-{difficulty(best, int(state['ply']))}"
        index = solved.CONNECT_FOUR_CLASSES.index(name)
        if self.counts[index] < per_class:
            scores = solver.move_scores(mine, mask)
            self.stones.append(stones)
            self.scores.append(np.clip(scores, -128, None).tolist())
            self.class_index.append(index)


def difficulty(score: int, ply: int) -> str:
    """``easy``, ``medium`` or ``hard``, by the number of moves to the end from ``ply`` stones with perfect play."""
    remaining = moves_remaining(score, ply)
    return "easy" if remaining < 14 else "medium" if remaining <= 28 else "hard"


def moves_remaining(score: int, ply: int) -> int:
    """How many moves perfect play goes on after ``ply`` stones, when the mover's score is ``score``.

    The winner's last stone is number ``q + 1`` where ``score == (43 - q) // 2`` and the winner moves at ply ``q``.
    """
    if score == 0:
        return CELLS - ply
    parity = ply % 2 if score > 0 else 1 - ply % 2
    last = CELLS + parity - 2 * abs(score)
    return last + 1 - ply


def _random_position(game: games.Game, plies: tuple[int, int], rng: np.random.Generator) -> np.ndarray | None:
    """Uniformly random moves up to a random ply; states ``[1]``, or None when the game was over by then."""
    states = game.init(1)
    for _ in range(int(rng.integers(plies[0], plies[1], endpoint=True))):
        if states["terminated"][0]:
            return None
        game.step(states, [int(rng.choice(np.flatnonzero(game.legal_action_mask(states)[0])))])
    return None if states["terminated"][0] else states


def _read_positions(options: Positions) -> Found:
    if not options.output.exists():
        return Found([0, 0, 0], [], [], [])
    with np.load(options.output, allow_pickle=False) as data:
        made = (int(data["seed"]), int(data["per_class"]), int(data["generator_version"]))
        wanted = (options.seed, options.per_class, GENERATOR_VERSION)
        if made != wanted:
            raise games.ArenaError(
                f"{options.output} was made with (seed, per class, generator version) {made}, not {wanted}; "
                "remove it or give another --output."
            )
        stones = [(int(first), int(second)) for first, second in data["stones"]]
        return Found(data["drawn"].tolist(), stones, data["scores"].tolist(), data["class_index"].tolist())


def _write_positions(options: Positions, found: Found) -> None:
    _write(
        options.output,
        stones=np.array(found.stones, np.uint64).reshape(-1, 2),
        scores=np.array(found.scores, np.int8).reshape(-1, 7),
        class_index=np.array(found.class_index, np.int8),
        seed=np.int64(options.seed),
        per_class=np.int64(options.per_class),
        generator_version=np.int64(GENERATOR_VERSION),
        drawn=np.array(found.drawn, np.int64),
    )


def _write(path: Path, **arrays: np.ndarray | np.generic) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def main() -> None:
    """Reads the command line."""
    options = tyro.cli(
        Annotated[Book, tyro.conf.subcommand("book")] | Annotated[Positions, tyro.conf.subcommand("positions")],
        description=__doc__,
    )
    try:
        if isinstance(options, Book):
            make_book(options)
        else:
            make_positions(options)
    except games.ArenaError as error:
        raise SystemExit(f"make_solved_positions: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("Stopped; the same command goes on.") from None


if __name__ == "__main__":
    main()
