"""Agents that share a search play as each would by itself, and the network sees their positions together."""

from __future__ import annotations

import numpy as np
import pytest

from agents.core import ForgettingAgent, PatientAgent, SearchResult
from agents.search import EvaluationCache, Search, SearchConfig, SharedSearch
from arena.openings import random_openings
from arena.play import play_games
from arena.records import Pairing
from tests.agents.search.random_tree import HashEvaluator, OneRoot
from tests.agents.search.test_search import NO_JIT

GAMES = 6 if NO_JIT else 40
CONFIG = SearchConfig(simulations=12, add_noise=False)
BUDGETS = (12, 3, 40)
pytestmark = pytest.mark.nojit


class Member:
    """One of the agents of a shared search."""

    def __init__(self, shared: SharedSearch, simulations: int) -> None:
        self.name, self._shared, self._number = f"{simulations}", shared, shared.join(simulations)

    def act(self, states: np.ndarray, rng: np.random.Generator, slots: np.ndarray | None = None) -> SearchResult:
        raise AssertionError("the play loop begins and fetches")

    def begin(
        self, states: np.ndarray, rng: np.random.Generator, slots: np.ndarray, simulations: int | None = None
    ) -> None:
        self._shared.begin(self._number, states, rng, slots, simulations)

    def finished(self) -> tuple[np.ndarray, SearchResult]:
        return self._shared.finished(self._number)

    def forget(self, slots: np.ndarray) -> None:
        self._shared.forget(self._number, slots)

    def reset(self) -> None:
        self._shared.reset(self._number)


def played(game: OneRoot, agents: list, slots: int = GAMES) -> dict:
    openings, _ = random_openings(game, np.arange(GAMES) % 4, np.random.default_rng(1))
    pairings = (Pairing(number, (number % 3, (number + 1) % 3), opening) for number, opening in enumerate(openings))
    found = play_games(game, agents, pairings, slots=slots, rng=np.random.default_rng(0))
    return {trajectory.pairing.number: trajectory for trajectory in found}


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "uncached"])
@pytest.mark.parametrize(("slots", "reuse"), [(1, True), (7, True), (GAMES, True)])
def test_each_plays_as_by_itself(cached: bool, slots: int, reuse: bool) -> None:
    game = OneRoot(4, num_players=2, num_actions=5, depth=10)

    def cache() -> EvaluationCache | None:
        return EvaluationCache(1) if cached else None

    configs = [SearchConfig(simulations=number, add_noise=False, reuse_tree=reuse) for number in BUDGETS]
    shared = SharedSearch(Search(game, HashEvaluator(game), configs[0], cache()))
    members = [Member(shared, simulations) for simulations in BUDGETS]
    assert all(isinstance(member, PatientAgent) for member in members)
    together = played(game, members, slots)
    alone = played(game, [Search(game, HashEvaluator(game), config, cache()) for config in configs], slots)
    assert together.keys() == alone.keys() == set(range(GAMES))
    for number, trajectory in together.items():
        for name in ("moves", "root_values", "policy_actions", "policy_weights", "returns"):
            np.testing.assert_array_equal(getattr(trajectory, name), getattr(alone[number], name))


def test_batches_hold_the_positions_of_all() -> None:
    game, slots, sizes = OneRoot(7, num_players=2, num_actions=6, depth=12), np.arange(8), []
    for count in (1, 3):
        evaluators = [HashEvaluator(game, cacheable=False) for _ in range(count)]
        searches = [SharedSearch(Search(game, evaluator, CONFIG)) for evaluator in evaluators]
        members = [Member(searches[number % count], 12) for number in range(3)]
        for member in members:
            member.begin(game.init(8), np.random.default_rng(0), slots)
        for member in members:
            assert member.finished()[0].tolist() == slots.tolist()
        sizes.append(np.mean([size for evaluator in evaluators for size in evaluator.batches]))
    assert sizes[0] > 2 * sizes[1]


def test_one_that_is_reset_forgets_its_games_and_no_other() -> None:
    game = OneRoot(4, num_players=2, num_actions=5, depth=10)
    shared = SharedSearch(Search(game, HashEvaluator(game), CONFIG, EvaluationCache(1)))
    one, other = Member(shared, 12), Member(shared, 40)
    states, slots, rng = game.init(3), np.array([4, 0, 9]), np.random.default_rng(0)
    one.begin(states, rng, slots)
    other.begin(states, rng, slots)
    one.reset()
    assert len(one.finished()[0]) == 0
    assert other.finished()[0].tolist() == [0, 4, 9]
    assert len(other.finished()[0]) == 0
    other.reset()
    assert not shared.search._is_busy
    one.begin(states, rng, slots)
    assert len(one.finished()[0]) == 3


def test_unknown_budgets_are_made_known_once() -> None:
    game = OneRoot(4, num_players=2, num_actions=5, depth=10)
    search = Search(game, HashEvaluator(game), CONFIG, EvaluationCache(1))
    with pytest.raises(KeyError):
        search._schedules[50]
    search.allow(50)
    table = search._schedules[50]
    search.allow(50)
    assert search._schedules[50] is table
    search.begin(game.init(2), np.random.default_rng(0), np.arange(2), 50)
    rows, result = search.finished()
    while len(rows) < 2:
        rows = np.concatenate([rows, search.finished()[0]])
    assert result.visit_counts.sum(axis=1).min() >= 50


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_new_game_in_a_slot_may_be_kept_from_the_old_tree(is_shared: bool) -> None:
    game = OneRoot(4, num_players=2, num_actions=5, depth=10)
    search = Search(game, HashEvaluator(game), CONFIG, EvaluationCache(1))
    agent = Member(SharedSearch(search), 12) if is_shared else search
    assert isinstance(agent, ForgettingAgent)
    visits = []
    for is_new in (True, False, True):
        if is_new:
            agent.forget(np.array([3, 8]))
        agent.begin(game.init(1), np.random.default_rng(0), np.array([3]))
        visits.append(int(agent.finished()[1].visit_counts.sum()))
    assert visits[0] == visits[2] < visits[1]
