"""Agents and games for the tests of the arena."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import agents
import games
from agents.core import SearchResult
from arena.formats import RoundRobin
from arena.match import default_opening_plies, play_fixtures
from arena.opening_book import RandomOpeningBook
from arena.play import GamePool
from arena.records import MatchRecord, Pairing, Trajectory
from games import Game, sample_legal


class NoisyAgent:
    """Plays random moves, gives random policy targets (some of them empty) and values, and remembers what it saw."""

    def __init__(self, game: Game, name: str = "noisy") -> None:
        self.name = name
        self.game = game
        self.seen: list[tuple[np.ndarray, np.ndarray, SearchResult]] = []

    def act(self, states: np.ndarray, rng: np.random.Generator, slots: np.ndarray | None = None) -> SearchResult:
        mask = self.game.legal_action_mask(states)
        weights = rng.random(mask.shape) * mask
        weights /= weights.sum(axis=1, keepdims=True)
        weights[rng.random(len(states)) < 0.3] = 0.0
        result = SearchResult(
            action=sample_legal(mask, rng),
            action_weights=weights.astype(np.float32),
            value=rng.uniform(-1, 1, len(states)).astype(np.float32),
            visit_counts=np.zeros(mask.shape, np.int32),
        )
        assert slots is not None
        self.seen.append((states.copy(), slots.copy(), result))
        return result

    def reset(self) -> None:
        self.seen.clear()


def pairings(count: int, seats: tuple[int, ...] = (0, 0), opening: tuple[int, ...] = ()) -> Iterator[Pairing]:
    return iter([Pairing(number, seats, opening) for number in range(count)])


def noisy_games(game: Game, count: int, seed: int = 0, opening: tuple[int, ...] = ()) -> list[Trajectory]:
    """``count`` finished games."""
    agent = NoisyAgent(game)
    pool = GamePool(game, [agent], pairings(count, opening=opening), 8, np.random.default_rng(seed))
    finished: list[Trajectory] = []
    while not pool.done:
        finished += pool.advance()
    return finished


def play_fixtures_of(game: Game, specs: Sequence[str], *, games: int, slots: int = 8) -> list[MatchRecord]:
    """The games of a round robin, ordered by agents and opening."""
    players = {spec: agents.make(spec, game) for spec in specs}
    fixtures = list(RoundRobin(specs, games).fixtures({}))
    book = RandomOpeningBook(game, default_opening_plies(game), 0)
    played = play_fixtures(game, players, fixtures, book, seed=0, slots=slots)
    return sorted((r for batch in played for r in batch), key=lambda record: (record.agents, record.number))


def shortened(name: str, max_plies: int) -> Game:
    """A game that is cut after ``max_plies``."""
    game = copy.copy(games.make(name))
    game.spec = dataclasses.replace(game.spec, max_plies=max_plies)
    return game


def assert_same(left: Any, right: Any) -> None:
    """Equality of records that hold arrays; NaN equals NaN."""
    if dataclasses.is_dataclass(left):
        assert type(left) is type(right)
        for field in dataclasses.fields(left):
            assert_same(getattr(left, field.name), getattr(right, field.name))
    elif isinstance(left, np.ndarray):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    elif isinstance(left, (list, tuple)) and not isinstance(left, str):
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            assert_same(a, b)
    else:
        assert left == right
