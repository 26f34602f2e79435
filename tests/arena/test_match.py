"""Games between agents: paired openings, seeds, forfeits, and that a game does not depend on the games beside it."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np
import pytest

import agents
import games
from agents.core import Agent, ForfeitError, SearchResult
from arena.adjudication import Adjudication, Adjudicator
from arena.formats import Fixture, RoundRobin
from arena.match import game_seed, match, play_fixtures
from arena.opening_book import Openings, RandomOpeningBook
from arena.records import MatchRecord
from games import EndReason, Game
from tests.arena.helpers import NoisyAgent

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def game() -> Game:
    return games.make("tic_tac_toe")


class RandomAgent:
    """Random moves, and a name of its own."""

    def __init__(self, game: Game, name: str) -> None:
        self.name, self._agent = name, agents.make("random", game)

    def act(self, states: np.ndarray, rng: np.random.Generator, slots: np.ndarray | None = None) -> SearchResult:
        return self._agent.act(states, rng, slots)

    def reset(self) -> None:
        pass


def played(
    game: Game,
    fixtures: Sequence[Fixture],
    *,
    slots: int = 7,
    seed: int = 0,
    openings: Openings | None = None,
    players: Sequence[Agent] = (),
    adjudication: Adjudication | None = None,
) -> dict[Fixture, MatchRecord]:
    """The games of ``fixtures``, by fixture."""
    by_name = {agent.name: agent for agent in players or [RandomAgent(game, name) for name in NAMES]}
    book = openings or RandomOpeningBook(game, (0, 3), 0)
    batches = play_fixtures(game, by_name, fixtures, book, seed=seed, slots=slots, adjudication=adjudication)
    records = [record for batch in batches for record in batch]
    assert len(records) == len(fixtures)
    return {Fixture(r.agents[0], r.agents[1], r.number): r for r in records}


def test_records_can_be_played_again(game: Game) -> None:
    for fixture, record in played(game, list(RoundRobin(NAMES, 8).fixtures({}))).items():
        states = game.init(1)
        assert record.moves[: len(record.opening)] == record.opening
        for move in record.moves:
            game.step(states, [move])
        assert states["terminated"].all()
        assert tuple(game.returns(states)[0].tolist()) == record.returns
        assert record.end_reason == ("win" if any(record.returns) else "draw")
        assert record.note == ""
        assert record.values == (None,) * len(record.moves)  # a random agent has no opinion
        assert record.seed == game_seed(0, fixture)


def test_every_opening_is_played_from_both_seats_by_every_pair(game: Game) -> None:
    records = played(game, list(RoundRobin(NAMES, 8).fixtures({}))).values()
    by_number = collections.defaultdict(list)
    for record in records:
        by_number[record.number].append(record)
    assert len(by_number) == 4
    for members in by_number.values():
        assert len({record.opening for record in members}) == 1
        seats = collections.Counter(record.agents for record in members)
        assert set(seats) == {(a, b) for a in NAMES for b in NAMES if a != b}
        assert set(seats.values()) == {1}


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four"])
def test_a_game_is_the_same_in_any_company(name: str) -> None:
    game = games.make(name)
    fixtures = list(RoundRobin(NAMES, 6).fixtures({}))
    together = played(game, fixtures, slots=100)
    assert played(game, fixtures, slots=1) == together
    assert played(game, fixtures[::-1], slots=5) == together
    some = fixtures[3:17:2]
    assert played(game, some, slots=3) == {fixture: together[fixture] for fixture in some}
    assert played(game, fixtures, seed=1) != together


def test_games_differ_from_each_other() -> None:
    game = games.make("connect_four")
    records = played(game, list(RoundRobin(NAMES[:2], 100).fixtures({})), openings=RandomOpeningBook(game, (0, 0), 0))
    assert len({record.moves for record in records.values()}) == 100
    assert len({record.seed for record in records.values()}) == 100


def test_match_counts_from_the_first_agent(game: Game) -> None:
    solver, random = agents.make("solver", game), agents.make("random", game)
    good = match(game, solver, random, 60, np.random.default_rng(0), opening_plies=(0, 0))
    assert good.losses == 0  # from the empty board, perfect play never loses
    assert good.wins + good.draws == 60
    assert good.wins > 30
    assert good.score == (good.wins + good.draws / 2) / 60
    assert good.elo - good.interval > 0
    bad = match(game, random, solver, 60, np.random.default_rng(0), opening_plies=(0, 0))
    assert bad.wins == 0
    assert bad.elo + bad.interval < 0


def test_an_agent_may_meet_itself_in_a_match(game: Game) -> None:
    random = agents.make("random", game)
    result = match(game, random, random, 40, np.random.default_rng(0))
    assert result.wins + result.draws + result.losses == 40
    assert abs(result.elo) < 3 * result.interval


def test_matches_of_one_generator_differ(game: Game) -> None:
    random, rng = agents.make("random", game), np.random.default_rng(0)
    results = [match(game, random, random, 20, rng) for _ in range(2)]
    assert results[0].records != results[1].records
    again = match(game, random, random, 20, np.random.default_rng(0))
    assert again.records == results[0].records


# ---- forfeits --------------------------------------------------------------------------------------------------------


class QuitterAgent(RandomAgent):
    """Gives up every game in which it is to move at a late ply."""

    def act(self, states: np.ndarray, rng: np.random.Generator, slots: np.ndarray | None = None) -> SearchResult:
        result = super().act(states, rng, slots)
        late = np.flatnonzero(states["ply"] >= 3)
        result.action[late] = -1
        if len(late):
            raise ForfeitError({int(row): (EndReason.FORFEIT, "it died.") for row in late}, result)
        return result


def test_who_gives_up_loses_that_game_and_no_other(game: Game) -> None:
    players = [QuitterAgent(game, "a"), RandomAgent(game, "b"), RandomAgent(game, "c")]
    fixtures = list(RoundRobin(NAMES, 20).fixtures({}))
    records = played(game, fixtures, players=players, openings=RandomOpeningBook(game, (0, 0), 0))
    whole = played(game, fixtures, openings=RandomOpeningBook(game, (0, 0), 0))
    for fixture, record in records.items():
        if "a" not in record.agents:
            assert record == whole[fixture]
            continue
        seat = record.agents.index("a")
        assert record.end_reason == "forfeit"
        assert record.note == "it died."
        assert record.returns[seat] == -1
        assert record.returns[1 - seat] == 1
        assert len(record.moves) == (3 if seat == 1 else 4)
        assert record.moves == whole[fixture].moves[: len(record.moves)]


# ---- adjudication ----------------------------------------------------------------------------------------------------


class OpinionatedAgent(NoisyAgent):
    """Random moves; expects what it is told to expect for seat 0, from ply 2 on."""

    def __init__(self, game: Game, name: str, first: float) -> None:
        super().__init__(game, name)
        self.first = first

    def act(self, states: np.ndarray, rng: np.random.Generator, slots: np.ndarray | None = None) -> SearchResult:
        result = super().act(states, rng, slots)
        sign = np.where(states["to_play"] == 0, 1.0, -1.0)
        value = np.where(states["ply"] >= 2, sign * self.first, 0.5)
        return SearchResult(result.action, result.action_weights, value, result.visit_counts)


def opinions(a: float, b: float, rules: Adjudication | None) -> list[MatchRecord]:
    game = games.make("connect_four")
    players = [OpinionatedAgent(game, "a", a), OpinionatedAgent(game, "b", b)]
    book = RandomOpeningBook(game, (0, 0), 0)
    fixtures = list(RoundRobin(("a", "b"), 10).fixtures({}))
    return list(played(game, fixtures, players=players, openings=book, adjudication=rules).values())


def test_games_are_played_to_their_end_unless_asked() -> None:
    assert all(record.note == "" and record.end_reason in ("win", "draw") for record in opinions(1.0, 1.0, None))


def test_both_must_agree_that_a_game_is_won() -> None:
    rules = Adjudication(resign_value=0.9, resign_plies=3, draw_value=0.1, draw_plies=4)
    for first, returns in ((0.95, (1.0, -1.0)), (-0.95, (-1.0, 1.0))):
        for record in opinions(first, first, rules):
            assert len(record.moves) == 2 + 3
            assert record.returns == returns
            assert record.end_reason == "resignation"
            assert record.note == "adjudicated: both expected 0.9 for 3 plies"
    assert all(record.note == "" for record in opinions(0.95, 0.85, rules))
    assert all(record.note == "" for record in opinions(0.95, -0.95, rules))
    assert all(record.note == "" for record in opinions(0.95, np.nan, rules))


def test_both_must_agree_that_a_game_is_drawn() -> None:
    rules = Adjudication(resign_plies=3, draw_value=0.1, draw_plies=3, draw_after=7)
    records = opinions(0.1, -0.05, rules)
    assert all(len(record.moves) == 7 and record.returns == (0.0, 0.0) for record in records)
    assert {(record.end_reason, record.note) for record in records} == {
        ("draw", "adjudicated: both expected 0 ± 0.1 for 3 plies")
    }
    assert all(record.note == "" for record in opinions(0.1, 0.2, rules))


def test_the_rules_come_before_the_adjudicator() -> None:
    """A game that a move ends is won by that move, whatever was expected."""
    for record in opinions(-0.96, -0.96, Adjudication(resign_plies=12)):
        assert len(record.moves) <= 14
        assert record.end_reason in ("win", "resignation")
        if record.end_reason == "win":
            assert record.note == ""
        else:
            assert record.returns == (-1.0, 1.0)
            assert len(record.moves) == 14


def test_what_a_win_counts_may_shrink_with_its_ply() -> None:
    """At ply 20 of at most 42 a win counts 1 - 0.42 * 20 / 42 = 0.8, of which 0.72 is nine tenths."""
    rules = Adjudication(resign_value=0.9, resign_plies=2, length_weight=0.42)
    adjudicator = Adjudicator(rules, 4, 42)
    slots, values = np.arange(4), np.array([0.725, 0.715, -0.725, np.nan])
    assert adjudicator.ends(slots, np.zeros(4, int), values, np.full(4, 20)) == {}
    ends = adjudicator.ends(slots, np.ones(4, int), -values, np.full(4, 20))
    assert {slot: winner for slot, (winner, *_) in ends.items()} == {0: 0, 2: 1}


def test_long_games_are_cut() -> None:
    records = opinions(0.5, 0.5, Adjudication(max_plies=6))
    assert {(len(r.moves), r.end_reason, r.returns, r.note) for r in records} == {
        (6, "truncated", (0.0, 0.0), "cut after 6 plies")
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"resign_plies": -1},
        {"draw_value": 1.5},
        {"resign_value": float("nan")},
        {"max_plies": -3},
        {"length_weight": -0.1},
    ],
)
def test_impossible_adjudication(settings: dict[str, float]) -> None:
    with pytest.raises(games.ArenaError, match="Adjudication's"):
        Adjudication(**settings)  # type: ignore[arg-type]
