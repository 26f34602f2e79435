"""Where the games of a tournament begin: from a book, or after random moves that somebody finds balanced.

Opening ``k`` is the same however many are asked for, so a tournament can grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from agents.core import Agent
from arena.openings import random_openings
from games import ArenaError, Game, ParseError
from games.records import READABLE, read

POSITIONS = (".fen", ".epd", ".sfen")
"""What the names of files end in that hold one position per line."""

_CHUNK = 64  # random openings are drawn so many at a time
_PATIENCE = 16  # after so many in a row without anything new there are taken to be no more


class OpeningError(ArenaError):
    """A book that cannot be read, or openings that cannot be had."""


@dataclass(frozen=True)
class Opening:
    """Where a game begins.

    Attributes:
        start: the position, as the game writes it; "" = the game's own start.
        moves: actions played from there.
    """

    start: str = ""
    moves: tuple[int, ...] = ()


class Openings(Protocol):
    """Opening after opening, by number from 0."""

    def __getitem__(self, number: int) -> Opening: ...


class RandomOpeningBook:
    """Random legal moves after which the game is still on, all at different positions; used up, they come again.

    Args:
        game: the rules.
        plies: the fewest and the most random moves; how many is drawn uniformly.
        seed: what they are drawn from.
        judge: keep only positions that it finds balanced; None = keep all.
        balance: the largest value, for either side, that counts as balanced.

    Raises:
        OpeningError: when an opening is asked for and none is found.
    """

    def __init__(
        self, game: Game, plies: tuple[int, int], seed: int, *, judge: Agent | None = None, balance: float = 0.2
    ) -> None:
        if not 0 <= plies[0] <= plies[1] < game.spec.max_plies:
            raise OpeningError(f"--opening-plies is {plies[0]} to {plies[1]}; give 0 to {game.spec.max_plies - 1}.")
        if not 0 <= balance <= 1:
            raise OpeningError(f"The balance of openings is {balance:g}; give 0 to 1, the largest value to accept.")
        self._game, self._plies, self._seed, self._judge, self._balance = game, plies, seed, judge, balance
        self._found: list[Opening] = []
        self._seen: set[int] = set()
        self._chunks = self._fruitless = 0

    def __getitem__(self, number: int) -> Opening:
        while len(self._found) <= number and self._fruitless < _PATIENCE:
            self._draw()
        if not self._found:
            raise OpeningError(
                f"{self._game.spec.name} is usually over within {self._plies[1]} random plies"
                + (", or not balanced; give other --opening-plies or more --balance." if self._judge else
                   "; give fewer --opening-plies.")
            )  # fmt: skip
        return self._found[number % len(self._found)]

    def _draw(self) -> None:
        rng = np.random.default_rng([self._seed, self._chunks])
        self._chunks += 1
        lengths = rng.integers(self._plies[0], self._plies[1], size=_CHUNK, endpoint=True)
        lines, states = random_openings(self._game, lengths, rng)
        good = np.array([len(line) for line in lines]) == lengths
        if self._judge is not None and good.any():
            good[good] = self._is_balanced(self._judge, states[good], rng)
        before = len(self._found)
        for row, key in enumerate(self._game.hash(states).tolist()):
            if good[row] and key not in self._seen:
                self._seen.add(key)
                self._found.append(Opening(moves=lines[row]))
        self._fruitless = self._fruitless + 1 if len(self._found) == before else 0

    def _is_balanced(self, judge: Agent, states: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        values = judge.act(states, rng).value
        if np.isnan(values).any():
            raise OpeningError(f"Agent {judge.name!r} has no opinion of positions, so it cannot balance openings.")
        return np.abs(values) <= self._balance


class FileOpeningBook:
    """The openings of a file, in an order drawn from ``seed``; when they are used up, they come again.

    The name of the file says what it holds: one position per line (``.fen``, ``.epd``, ``.sfen``; lines that begin with
    ``#`` are skipped), or games (``.pgn``, ``.sgf``, ``.moves``, whatever ``games.records.read`` reads), of which the
    first moves are played.

    Args:
        game: the rules.
        path: the file.
        seed: what the order is drawn from.
        plies: how many moves of each game are played at most; None = all of them.

    Raises:
        ArenaError: no such file, nothing in it, or an opening of another game, illegal or over; names the place.
    """

    def __init__(self, game: Game, path: Path, seed: int, *, plies: int | None = None) -> None:
        positions = path.name.lower().endswith(POSITIONS)
        if not positions and not path.name.lower().endswith(READABLE):
            raise OpeningError(
                f"{path} is no book of openings; its name must end in one of {', '.join((*POSITIONS, *READABLE))}."
            )
        found = list(dict.fromkeys(_read_positions(game, path) if positions else _read_games(game, path, plies)))
        if not found:
            raise OpeningError(f"{path} holds no opening.")
        self._found = [found[row] for row in np.random.default_rng([seed, 1]).permutation(len(found))]

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, number: int) -> Opening:
        return self._found[number % len(self._found)]


def _read_positions(game: Game, path: Path) -> Iterator[Opening]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OpeningError(f"{path} cannot be read as a book of openings: {error}.") from None
    for number, line in enumerate(lines, start=1):
        if not (text := line.strip()) or text.startswith("#"):
            continue
        try:
            states = _parse_position(game, text)
        except ParseError as error:
            raise OpeningError(f"{path}, line {number}: {error}") from None
        yield _unless_over(Opening(game.state_to_string(states[0])), states, f"{path}, line {number}")


def _parse_position(game: Game, text: str) -> np.ndarray:
    """A position as the game writes it, or an EPD: the first four fields of a FEN, and then operations."""
    try:
        return game.parse_state(text)
    except ParseError:
        fields = text.split()
        if len(fields) < 4:
            raise
        try:
            return game.parse_state(" ".join([*fields[:4], "0 1"]))
        except ParseError:
            return game.parse_state(text)  # whose error speaks of what was given


def _read_games(game: Game, path: Path, plies: int | None) -> Iterator[Opening]:
    for record in read(path):
        where = f"{path}, game {record.number}"
        if record.game.partition(":")[0] != game.spec.name:
            raise OpeningError(f"{where} is a game of {record.game}, not {game.spec.name}.")
        opening = Opening(record.start, tuple(record.moves[:plies].tolist()))
        try:
            states = game.parse_state(opening.start) if opening.start else game.init(1)
            for move in opening.moves:
                game.step(states, [move])
        except ArenaError as error:
            raise OpeningError(f"{where}: {error}") from None
        yield _unless_over(opening, states, where)


def _unless_over(opening: Opening, states: np.ndarray, where: str) -> Opening:
    if states["terminated"][0]:
        raise OpeningError(f"{where}: after this opening the game is over; give fewer --opening-plies.")
    return opening
