"""Playing games between agents, and matches of two: the same play loop as self-play, and paired openings.

A game depends on the tournament's seed, on who plays and on its number, and on nothing else: not on the games beside it
or on the order they end in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agents.core import Agent
from arena.adjudication import Adjudication
from arena.formats import Fixture, RoundRobin
from arena.opening_book import Openings, RandomOpeningBook
from arena.play import GamePool
from arena.ratings import RatingTable, rate, tally
from arena.records import MatchRecord, Pairing
from arena.results import to_record
from games import Game

SLOTS = 256
"""Games in flight at once."""


def play_fixtures(
    game: Game,
    players: Mapping[str, Agent],
    fixtures: Sequence[Fixture],
    openings: Openings,
    *,
    seed: int,
    slots: int = SLOTS,
    adjudication: Adjudication | None = None,
) -> Iterator[list[MatchRecord]]:
    """Plays every one of ``fixtures``, up to ``slots`` at once; yields the games that end together as they end.

    Args:
        players: who plays, by name.
        seed: of the tournament; with a fixture it decides the game.
    """
    agents = list({id(agent): agent for agent in players.values()}.values())  # one agent may play under two names
    seat = {name: next(i for i, agent in enumerate(agents) if agent is player) for name, player in players.items()}
    for agent in agents:
        agent.reset()

    def pairings() -> Iterator[Pairing]:
        for number, fixture in enumerate(fixtures):
            opening = openings[fixture.number]
            seats = seat[fixture.first], seat[fixture.second]
            yield Pairing(number, seats, opening.moves, game_seed(seed, fixture), opening.start)

    slots = min(slots, max(len(fixtures), 1))
    # What neither a game's own stream nor the agents' own seeds cover comes from here.
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    pool = GamePool(game, agents, pairings(), slots, rng, streams=True, adjudication=adjudication)
    try:
        while not pool.done:
            if finished := pool.advance():
                yield [to_record(trajectory, fixtures[trajectory.pairing.number]) for trajectory in finished]
    finally:
        for agent in agents:  # games that nobody waits for any more are not thought about either
            agent.reset()


def game_seed(seed: int, fixture: Fixture) -> int:
    """What the random numbers of one game come from (0 … 2^63 - 1)."""
    text = json.dumps([seed, fixture.first, fixture.second, fixture.number])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def default_opening_plies(game: Game) -> tuple[int, int]:
    """2 to 4 random plies, fewer in very short games: enough that two deterministic agents play different games."""
    return min(2, game.spec.max_plies // 4), min(4, game.spec.max_plies // 4)


@dataclass(frozen=True)
class MatchResult:
    """A match between two agents, seen from the first.

    Attributes:
        wins, draws, losses: games.
        elo: the first agent's Elo over the second.
        interval: half the width of its 95 % interval.
        records: the games.
    """

    wins: int
    draws: int
    losses: int
    elo: float
    interval: float
    records: tuple[MatchRecord, ...]

    @property
    def score(self) -> float:
        """The first agent's share of the points, 0 … 1."""
        return (self.wins + self.draws / 2) / max(self.wins + self.draws + self.losses, 1)


def match(
    game: Game,
    agent_a: Agent,
    agent_b: Agent,
    games: int,
    rng: np.random.Generator,
    *,
    opening_plies: tuple[int, int] | None = None,
    slots: int = SLOTS,
) -> MatchResult:
    """Plays ``games`` games (an even number) between two agents, seats swapped, and rates the first."""
    names = (agent_a.name, agent_b.name) if agent_a.name != agent_b.name else (agent_a.name, f"{agent_b.name} (2)")
    schedule, seed = RoundRobin(names, games), int(rng.integers(2**63))
    openings = RandomOpeningBook(game, opening_plies or default_opening_plies(game), seed)
    players = dict(zip(names, (agent_a, agent_b), strict=True))
    played = play_fixtures(game, players, list(schedule.fixtures({})), openings, seed=seed, slots=slots)
    records = tuple(record for finished in played for record in finished)
    elo, interval = rate_records(names, records).difference(*names)
    points = [record.points_of(names[0]) for record in records]
    return MatchResult(points.count(1.0), points.count(0.5), points.count(0.0), elo, interval, records)


def rate_records(
    names: Sequence[str], records: Iterable[MatchRecord], anchors: Mapping[str, float] | None = None
) -> RatingTable:
    """Ratings from the records of two-player games."""
    results = ((*record.agents, record.points_of(record.agents[0])) for record in records)
    return rate(names, tally(names, results), anchors=anchors)  # type: ignore[arg-type]  # two agents
