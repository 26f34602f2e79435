"""Self-play: one search sits in every seat of hundreds of games at once, and finished games come out as shards."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from agents.core import Array, AsynchronousEvaluator, Evaluation, Evaluator
from agents.search import EvaluationCache, Search, SearchConfig, SearchStats
from arena.adjudication import Adjudication
from arena.openings import RandomOpenings, given_up, regrets
from arena.play import GamePool
from arena.records import Pairing, Trajectory
from arena.shards import Shard
from games import ArenaError, EndReason, Game

_RESIGN_PLIES = 2
_REMEMBERED_AT_ONCE = 128
"""Games that end are remembered together, because the cost is in the calls and not in the games."""
_LEAST_WEIGHT = 0.02
"""Of any ply when games branch where the search was wrong: about that of a value that is off by a seventh."""


@dataclass(frozen=True)
class SelfPlayConfig:
    """How games are played for training."""

    slots: int = 512
    """Games in flight in each worker; the network's batches grow with them."""
    opening_fraction: float = 0.5
    """Share of games that begin with random moves, so that the network sees positions nobody would choose."""
    opening_plies: int = 8
    """The most random moves that begin a game; the number is uniform from 0."""
    branch_fraction: float = 0.0
    """Share of games that begin as one of the last games did, up to a random ply, and then random moves."""
    branch_plies: int = 1
    """The most of these random moves; the number is uniform from 1."""
    branch_regret: bool = False
    """Branch where the search was wrong, with a chance in proportion to the squared difference of its value and of what
    the game came to; otherwise in any game and at any of its plies alike."""
    resign_value: float = 1.0
    """A game is given up once the search has expected at least this share of a win for the same player on two plies in
    a row; 1 = never. What was expected last is then its result."""
    to_the_end: float = 0.1
    """Share of the games that are played on all the same, and so show how often giving up is wrong."""
    cut_fraction: float = 0.0
    """Share of the games that are cut early, so that more of them begin. What was expected last is then the result."""
    cut_plies: int = 8
    """How many plies after their opening."""
    start_simulations: int = 0
    """Simulations per move near the start of the game, where play begins most often and its end is farthest, so that
    what a few cannot see is learned there; 0 = as many as elsewhere."""
    start_plies: int = 14
    """In so many plies, of the games that begin with no random moves."""
    shard_positions: int = 2048
    """Positions that a worker collects before it hands them over."""
    cache_megabytes: float = 256.0
    """Memory of each worker's evaluation cache."""

    def __post_init__(self) -> None:
        checks = (
            ("slots", self.slots >= 1, "at least 1"),
            ("opening_fraction", 0 <= self.opening_fraction <= 1, "from 0 to 1"),
            (
                "branch_fraction",
                0 <= self.branch_fraction <= 1 - self.opening_fraction,
                "from 0 to 1 - opening_fraction",
            ),
            ("opening_plies", self.opening_plies >= 0, "0 or more"),
            ("branch_plies", self.branch_plies >= 1, "at least 1"),
            ("resign_value", 0 < self.resign_value <= 1, "more than 0, up to 1"),
            ("to_the_end", 0 <= self.to_the_end <= 1, "from 0 to 1"),
            ("cut_fraction", 0 <= self.cut_fraction <= 1, "from 0 to 1"),
            ("cut_plies", self.cut_plies >= 1, "at least 1"),
            ("start_simulations", self.start_simulations >= 0, "0 or more"),
            ("start_plies", self.start_plies >= 0, "0 or more"),
            ("shard_positions", self.shard_positions >= 1, "at least 1"),
            ("cache_megabytes", self.cache_megabytes > 0, "more than 0"),
        )
        for name, holds, accepted in checks:
            if not holds:
                raise ArenaError(f"Self-play setting {name}={getattr(self, name)} is out of range: give {accepted}.")


@dataclass(frozen=True)
class SelfPlayStats:
    """What one call of ``play`` did. ``search`` counts the games still in flight too; the rest, finished games only.

    Attributes:
        search: counters of the search during the call.
        seconds: wall time of the call.
        games: how many ended.
        positions: how many positions there are to learn from in them.
        plies: their lengths added up; divided by ``games``, the mean length.
        first_player_wins: games won by seat 0.
        draws: games that the rules ended with nobody winning.
        truncated: games that were cut, early or at the longest length.
        resigned: games that were given up.
        played_on: games that would have been, and were played to their end.
        resigned_wrongly: those among ``played_on`` that came to another result.
    """

    search: SearchStats
    seconds: float
    games: int
    positions: int
    plies: int
    first_player_wins: int
    draws: int
    truncated: int
    resigned: int
    played_on: int
    resigned_wrongly: int


class LearnableEvaluator(Evaluator, Protocol):
    """An evaluator that takes new weights; ``NetworkEvaluator`` is one."""

    def load_weights(self, weights: Mapping[str, Any], version: int) -> None:
        """Takes new weights, and the version they are."""
        ...


class _BlankUntilTrained:
    """Says of every position what an untrained network means, nothing, at no cost, until the network is trained.

    So the games that begin a run are played by search and rules alone, in seconds instead of a minute.
    """

    def __init__(self, evaluator: LearnableEvaluator) -> None:
        self.cacheable = evaluator.cacheable
        self._evaluator = evaluator
        self._elsewhere = evaluator if isinstance(evaluator, AsynchronousEvaluator) and evaluator.asynchronous else None

    @property
    def version(self) -> int:
        return self._evaluator.version

    @property
    def asynchronous(self) -> bool:
        return self._elsewhere is not None

    def evaluate(self, states: np.ndarray, legal_action_mask: np.ndarray) -> Evaluation:
        if self.version > 0:
            return self._evaluator.evaluate(states, legal_action_mask)
        return Evaluation(np.zeros(legal_action_mask.shape, np.float32), np.zeros(len(states), np.float32))

    def submit(self, states: np.ndarray, legal_action_mask: np.ndarray) -> Callable[[], Evaluation]:
        if self.version > 0 and self._elsewhere is not None:
            return self._elsewhere.submit(states, legal_action_mask)
        evaluation = self.evaluate(states, legal_action_mask)
        return lambda: evaluation


class SelfPlay:
    """One self-play worker, as a plain class.

    Args:
        game: the rules.
        evaluator: the network; ``set_weights`` gives it new weights. Version 0 is untrained and is not asked.
        search_config: the search of every seat.
        config: see ``SelfPlayConfig``.
        seed: what all its random numbers come from. Every worker of a run, and every replacement of one that died,
            needs its own: give ``(seed of the run, worker, incarnation)``.
    """

    def __init__(
        self,
        game: Game,
        evaluator: LearnableEvaluator,
        search_config: SearchConfig,
        config: SelfPlayConfig,
        seed: int | Sequence[int],
    ) -> None:
        sequence = np.random.SeedSequence(seed)
        search_seed, opening_seed = sequence.spawn(2)
        self.stats: SelfPlayStats | None = None  # of the last call of ``play``
        self._game, self._evaluator, self._config = game, evaluator, config
        self._cache = EvaluationCache(config.cache_megabytes)
        self._search = Search(game, _BlankUntilTrained(evaluator), search_config, cache=self._cache)
        openings = RandomOpenings(
            game,
            np.random.default_rng(opening_seed),
            fraction=config.opening_fraction,
            max_plies=config.opening_plies,
            branch_fraction=config.branch_fraction,
            branch_plies=config.branch_plies,
        )
        self._length_weight = search_config.length_weight
        self._giving_up = None
        if config.resign_value < 1:
            self._giving_up = Adjudication(config.resign_value, _RESIGN_PLIES, length_weight=self._length_weight)
        seed_of_games = int(sequence.generate_state(1)[0])
        self._pairings = _SelfPlayPairings(openings, game.spec.num_players, seed_of_games, config)
        rng = np.random.default_rng(search_seed)
        self._pool = GamePool(game, [self._search], self._pairings, config.slots, rng, adjudication=self._giving_up)
        self._pool.weights_version = evaluator.version

    def set_weights(self, weights: Mapping[str, Any], version: int) -> None:
        """Plays on with new weights, in the games in flight too; the search forgets what the old ones said."""
        self._evaluator.load_weights(weights, version)
        self._pool.weights_version = version

    def play(self, num_positions: int | None = None) -> Shard:
        """Plays until the games that ended hold at least ``num_positions`` positions to learn from (by default the
        configuration's ``shard_positions``), and returns those games. Games in flight go on in the next call."""
        wanted = self._config.shard_positions if num_positions is None else num_positions
        started, search_before = time.perf_counter(), dataclasses.replace(self._search.stats)
        finished, remembered, positions = [], 0, 0
        played_on = resigned_wrongly = 0
        while positions < wanted:
            if len(finished) - remembered >= _REMEMBERED_AT_ONCE:
                self._remember(finished[remembered:])
                remembered = len(finished)
            for trajectory in self._pool.advance():
                finished.append(trajectory)
                positions += int(np.count_nonzero(trajectory.policy_lengths))
                if self._giving_up and trajectory.pairing.to_the_end and trajectory.terminated:
                    winner = given_up(self._game, trajectory, self._giving_up)
                    played_on += winner is not None
                    resigned_wrongly += winner is not None and trajectory.returns[winner] <= 0
        self._remember(finished[remembered:])
        shard = Shard.from_trajectories(self._game.spec, finished)
        self.stats = SelfPlayStats(
            search=self._search.stats.since(search_before),
            seconds=time.perf_counter() - started,
            games=shard.num_games,
            positions=positions,
            plies=len(shard.moves),
            first_player_wins=int((shard.returns[:, 0] > 0).sum()),
            draws=int((shard.end_reasons == EndReason.DRAW).sum()),
            truncated=int((shard.end_reasons == EndReason.TRUNCATED).sum()),
            resigned=int((shard.end_reasons == EndReason.RESIGNATION).sum()),
            played_on=played_on,
            resigned_wrongly=resigned_wrongly,
        )
        return shard

    def _remember(self, finished: Sequence[Trajectory]) -> None:
        """Lets later games branch from these, at each ply as often as it is to be begun from again."""
        if not (self._config.branch_fraction and finished):
            return
        if self._config.branch_regret:
            found = regrets(self._game, finished, self._length_weight)
            weights = [(_LEAST_WEIGHT + regret).round(4) for regret in found]
        else:  # every game alike, whatever its length
            weights = [np.full(len(trajectory.moves), 1 / len(trajectory.moves)) for trajectory in finished]
        for trajectory, weight in zip(finished, weights, strict=True):
            self._pairings.remember(trajectory, weight)

    def state(self) -> dict[str, Any]:
        """Plain arrays and JSON-able dicts from which ``restore``, given the same weights, goes on as this worker will.

        Taking a state makes the search forget its trees and its cache, which are not saved: so this worker, too, goes
        on without them, and both play the same moves.
        """
        self._cache.clear()
        return {**self._pool.state(), "pairings": self._pairings.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a ``state()``. Raises ResumeError if it is of another game or another number of slots."""
        self._pool.restore(state)
        self._pairings.restore(state["pairings"])
        self._cache.clear()


class _SelfPlayPairings:
    """An endless iterator of games in which agent 0 sits everywhere, numbered from 0 in each worker."""

    def __init__(self, openings: RandomOpenings, num_players: int, seed: int, config: SelfPlayConfig) -> None:
        self._openings, self._seats, self._seed, self._config = openings, (0,) * num_players, seed, config
        self._next_number = 0

    def __iter__(self) -> _SelfPlayPairings:
        return self

    def __next__(self) -> Pairing:
        number, self._next_number = self._next_number, self._next_number + 1
        opening, config = next(self._openings), self._config
        # Multiples of these numbers less their integers are spread evenly, and one says nothing of the other.
        is_cut = number * 0.5**0.5 % 1 < config.cut_fraction
        to_the_end = number * 0.75**0.5 % 1 < config.to_the_end
        max_plies = len(opening) + config.cut_plies if is_cut else 0
        return Pairing(
            number,
            self._seats,
            opening,
            self._seed,
            to_the_end=to_the_end,
            max_plies=max_plies,
            simulations=0 if opening else config.start_simulations,
            simulations_plies=config.start_plies,
        )

    def remember(self, trajectory: Trajectory, weights: Array) -> None:
        """A game that ended, from which later ones may branch where it has ``weights``."""
        self._openings.remember(trajectory.moves.tolist(), weights.tolist())

    def state(self) -> dict[str, Any]:
        return {"seed": self._seed, "next_number": self._next_number, "openings": self._openings.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self._seed, self._next_number = state["seed"], state["next_number"]
        self._openings.restore(state["openings"])
