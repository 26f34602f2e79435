"""Matches and round robins: the same play loop as self-play, paired openings, and ratings with error bars.

Every opening (a few random plies) is played twice by each pair of agents, once from each seat, so that neither the
first move nor a lopsided opening favours anybody; and all pairs meet on the same openings.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.core import Agent
from arena.openings import random_openings
from arena.play import play_games
from arena.ratings import RatingTable, rate, tally
from arena.records import MatchRecord, Pairing, Trajectory
from games import ArenaError, Game

SLOTS = 256
"""Games in flight at once."""

RESULTS = "games.jsonl"
"""The file of a tournament's directory that holds its games, one per line."""


class TournamentError(ArenaError):
    """A tournament that cannot be played, or a results file that cannot be read."""


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
    records = tuple(
        round_robin(game, (agent_a, agent_b), games, rng, opening_plies=opening_plies, slots=slots, names=names)
    )
    elo, interval = rate_records(names, records).difference(*names)
    points = [_points_of(record, names[0]) for record in records]
    return MatchResult(points.count(1.0), points.count(0.5), points.count(0.0), elo, interval, records)


def round_robin(
    game: Game,
    agents: Sequence[Agent],
    games_per_pair: int,
    rng: np.random.Generator,
    *,
    opening_plies: tuple[int, int] | None = None,
    seed: int = 0,
    slots: int = SLOTS,
    names: Sequence[str] | None = None,
) -> Iterator[MatchRecord]:
    """Plays every pair of agents; yields each game as it ends.

    Args:
        opening_plies: fewest and most random plies before the agents take over; by default ``default_opening_plies``.
        seed: written into the records.
        names: what the records call the agents, when not by their own names.

    Raises:
        TournamentError: fewer than two agents, a name given twice, an odd number of games or a single-player game.
    """
    names = tuple(names or (agent.name for agent in agents))
    check_tournament(game, names, games_per_pair)
    pairings = make_pairings(game, len(agents), games_per_pair, rng, opening_plies or default_opening_plies(game), seed)
    for trajectory in play_games(game, agents, iter(pairings), slots=min(slots, len(pairings)), rng=rng):
        yield to_record(trajectory, names)


def play_tournament(
    game: Game,
    agents: Sequence[Agent],
    games_per_pair: int,
    *,
    seed: int,
    out: Path,
    opening_plies: tuple[int, int] | None = None,
    on_game: Callable[[MatchRecord], None] | None = None,
) -> None:
    """A round robin whose games are written to ``out/games.jsonl`` one by one, as they end.

    Raises:
        TournamentError: as ``round_robin``, and where ``out`` holds a tournament already or cannot be written.
    """
    check_tournament(game, [agent.name for agent in agents], games_per_pair)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    path = out / RESULTS
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        raise TournamentError(f"{path} exists already; give another --out.") from None
    except OSError as error:
        raise TournamentError(f"{path} cannot be written: {error.strerror}; give another --out.") from None
    with file:
        for record in round_robin(game, agents, games_per_pair, rng, opening_plies=opening_plies, seed=seed):
            file.write(to_json_line(record))
            file.flush()
            if on_game is not None:
                on_game(record)


def check_tournament(game: Game, names: Sequence[str], games_per_pair: int) -> None:
    """Raises TournamentError, in one sentence, if these agents cannot play a round robin of this game."""
    if game.spec.num_players != 2:
        raise TournamentError(f"{game.spec.name} has {game.spec.num_players} player; tournaments need games for two.")
    if len(names) < 2:
        raise TournamentError(f"A tournament needs two agents or more, not {len(names)}: give --agents A B …")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise TournamentError(f"Agent {twice[0]!r} is given twice; every agent of a tournament must be different.")
    if games_per_pair < 2 or games_per_pair % 2:
        raise TournamentError(
            f"--games is {games_per_pair}; give an even number from 2 up, because each opening is played from both "
            "seats."
        )


def default_opening_plies(game: Game) -> tuple[int, int]:
    """2 to 4 random plies, fewer in very short games: enough that two deterministic agents play different games."""
    return min(2, game.spec.max_plies // 4), min(4, game.spec.max_plies // 4)


def make_pairings(
    game: Game, num_agents: int, games_per_pair: int, rng: np.random.Generator, plies: tuple[int, int], seed: int = 0
) -> list[Pairing]:
    """The games of a round robin. All pairs get the same openings, each twice in a row with the seats swapped."""
    openings = draw_openings(game, games_per_pair // 2, plies, rng)
    pairs = list(itertools.combinations(range(num_agents), 2))
    games = ((seats, opening) for opening in openings for a, b in pairs for seats in ((a, b), (b, a)))
    return [Pairing(number, seats, opening, seed) for number, (seats, opening) in enumerate(games)]


def draw_openings(
    game: Game, count: int, plies: tuple[int, int], rng: np.random.Generator, tries: int = 20
) -> list[tuple[int, ...]]:
    """``count`` random openings after which the game is still on.

    They lead to different positions as long as half of ``tries`` rounds of drawing find new ones; after that, positions
    may repeat.
    """
    openings: list[tuple[int, ...] | None] = [None] * count
    seen: set[int] = set()
    for attempt in range(tries):
        missing = [row for row in range(count) if openings[row] is None]
        if not missing:
            break
        lengths = rng.integers(plies[0], plies[1], size=len(missing), endpoint=True)
        lines, states = random_openings(game, lengths, rng)
        for row, line, wanted, key in zip(missing, lines, lengths.tolist(), game.hash(states).tolist(), strict=True):
            if len(line) == wanted and (key not in seen or attempt >= tries // 2):
                seen.add(key)
                openings[row] = line
    if any(opening is None for opening in openings):
        raise TournamentError(
            f"{game.spec.name} is usually over within {plies[1]} random plies; give fewer --opening-plies."
        )
    return [opening for opening in openings if opening is not None]


# ---- records ---------------------------------------------------------------------------------------------------------


def to_record(trajectory: Trajectory, names: Sequence[str]) -> MatchRecord:
    """What a results file keeps of a finished game. ``names`` are the agents', by the pairing's numbering."""
    pairing = trajectory.pairing
    return MatchRecord(
        number=pairing.number,
        agents=tuple(names[agent] for agent in pairing.seats),
        opening=pairing.opening,
        moves=tuple(int(move) for move in trajectory.moves),
        returns=tuple(float(value) for value in trajectory.returns),
        end_reason=trajectory.end_reason.name.lower(),
        seed=pairing.seed,
    )


def rate_records(names: Sequence[str], records: Sequence[MatchRecord], anchor: str | None = None) -> RatingTable:
    """Ratings from the records of two-player games."""
    results = ((record.agents[0], record.agents[1], _points_of(record, record.agents[0])) for record in records)
    return rate(names, *tally(names, results), anchor=anchor)


def _points_of(record: MatchRecord, name: str) -> float:
    """1 for a win, ½ for a draw, 0 for a loss."""
    return (float(np.sign(record.returns[record.agents.index(name)])) + 1.0) / 2.0


def to_json_line(record: MatchRecord) -> str:
    """The line of a results file that ``read_records`` reads back."""
    return json.dumps(dataclasses.asdict(record), ensure_ascii=False) + "\n"


def read_records(path: Path) -> list[MatchRecord]:
    """The games of a results file.

    Raises:
        TournamentError: names the file and the line that is not a game.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TournamentError(f"{path} cannot be read as results of a tournament: {error}.") from None
    return [_from_json(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _from_json(line: str, where: str) -> MatchRecord:
    fields = {field.name for field in dataclasses.fields(MatchRecord)}
    try:
        entry: dict[str, Any] = json.loads(line)
        if not isinstance(entry, dict) or set(entry) != fields:
            raise ValueError(f"it needs the keys {', '.join(sorted(fields))} and no other")
        record = MatchRecord(
            number=int(entry["number"]),
            agents=tuple(str(name) for name in entry["agents"]),
            opening=tuple(int(move) for move in entry["opening"]),
            moves=tuple(int(move) for move in entry["moves"]),
            returns=tuple(float(value) for value in entry["returns"]),
            end_reason=str(entry["end_reason"]),
            seed=int(entry["seed"]),
        )
        if len(record.agents) != len(record.returns):
            raise ValueError("it needs one result for each agent")
    except (ValueError, TypeError) as error:
        raise TournamentError(f"{where} is not a game: {error}.") from None
    return record
