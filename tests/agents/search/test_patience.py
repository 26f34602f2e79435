"""A search that hands out its answers as they get ready plays the same games as one that answers all at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.core import PatientAgent
from agents.search import EvaluationCache, Search, SearchConfig
from arena.openings import random_openings
from arena.play import play_games
from arena.records import Pairing
from tests.agents.search.random_tree import HashEvaluator, OneRoot
from tests.agents.search.test_search import CONFIGS, NO_JIT, root_noise, tree_game

GAMES = 6 if NO_JIT else 60
pytestmark = pytest.mark.nojit


def one_root(seed: int) -> OneRoot:
    return OneRoot(seed, num_players=1 + seed % 3 % 2, num_actions=3 + seed % 5, depth=6 + seed % 7)


class AtOnce:
    """A search of which the play loop sees nothing but ``act``."""

    def __init__(self, search: Search) -> None:
        self.name, self.act, self.reset = search.name, search.act, search.reset


def games_by_number(game, agent, slots: int):
    openings, _ = random_openings(game, np.arange(GAMES) % 4, np.random.default_rng(1))
    pairings = (Pairing(number, (0,) * game.spec.num_players, opening) for number, opening in enumerate(openings))
    played = list(play_games(game, [agent], pairings, slots=slots, rng=np.random.default_rng(0)))
    return {trajectory.pairing.number: trajectory for trajectory in played}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("cached", [True, False], ids=["cached", "uncached"])
def test_the_same_games_as_one_ply_at_a_time(config, cached):
    config = replace(config, add_noise=False)
    for seed in range(1 if NO_JIT else 3):
        game = one_root(seed)
        searches = [Search(game, HashEvaluator(game), config, EvaluationCache(1) if cached else None) for _ in range(2)]
        assert isinstance(searches[0], PatientAgent)
        patient = games_by_number(game, searches[0], slots=GAMES)
        at_once = games_by_number(game, AtOnce(searches[1]), slots=GAMES)
        assert patient.keys() == at_once.keys() == set(range(GAMES))
        for number, trajectory in patient.items():
            other = at_once[number]
            for name in ("moves", "root_values", "policy_actions", "policy_weights", "returns"):
                np.testing.assert_array_equal(getattr(trajectory, name), getattr(other, name))
        assert searches[0].stats.simulations == searches[1].stats.simulations
        assert searches[0].stats.moves == searches[1].stats.moves


def test_batches_stay_full_although_games_take_different_times():
    game = one_root(7)
    config = SearchConfig(simulations=40, fast_simulations=4, add_noise=False)
    sizes = []
    for wrap in (lambda search: search, AtOnce):
        evaluator = HashEvaluator(game, cacheable=False)
        games_by_number(game, wrap(Search(game, evaluator, config)), slots=20)
        sizes.append(np.mean(evaluator.batches[: len(evaluator.batches) // 2]))
    assert sizes[0] > 1.3 * sizes[1]


class Elsewhere(HashEvaluator):
    """Computes when it is asked for the answer; remembers how many batches were under way at once."""

    asynchronous = True

    def __init__(self, game, *, cacheable: bool = True) -> None:
        super().__init__(game, cacheable=cacheable)
        self.under_way = self.most_under_way = 0

    def submit(self, states, legal_action_mask):
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)

        def answer():
            self.under_way -= 1
            return self.evaluate(states, legal_action_mask)

        return answer


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("cached", [True, False], ids=["cached", "uncached"])
def test_two_groups_over_an_evaluator_elsewhere_find_the_same(config, cached):
    for seed in range(2 if NO_JIT else 10):
        game = tree_game(seed)
        rows = 5 if NO_JIT else 40
        states, noise, budget = game.init(rows), root_noise(config, game, rows, seed), np.full(rows, config.simulations)
        evaluator = Elsewhere(game)
        results = [
            Search(game, each, config, EvaluationCache(1) if cached else None).run(states, noise, budget)
            for each in (evaluator, HashEvaluator(game))
        ]
        for name in ("action", "action_weights", "value", "visit_counts"):
            np.testing.assert_array_equal(*(getattr(result, name) for result in results))
        assert evaluator.under_way == 0
        assert evaluator.most_under_way == 2
        largest = max(evaluator.batches)
        assert largest <= rows


@pytest.mark.skipif(NO_JIT, reason="too few games without the compiler")
def test_two_groups_stay_about_equal():
    game, config = one_root(7), SearchConfig(simulations=40, add_noise=False)
    evaluator = Elsewhere(game, cacheable=False)
    games_by_number(game, Search(game, evaluator, config), slots=20)
    middle = evaluator.batches[5 : len(evaluator.batches) // 2]
    assert 6 <= np.mean(middle) <= 14


def begun(config: SearchConfig, rows: int = 8):
    game = tree_game(4)
    evaluator, cache = HashEvaluator(game), EvaluationCache(1)
    search = Search(game, evaluator, config, cache)
    search.begin(game.init(rows), np.random.default_rng(0), np.arange(rows))
    return game, evaluator, cache, search


def fetch_all(search: Search) -> dict[int, np.ndarray]:
    visits = {}
    while len((answer := search.finished())[0]):
        visits |= dict(zip(answer[0].tolist(), answer[1].visit_counts, strict=True))
    return visits


def test_new_weights_in_the_middle_of_a_search():
    config = replace(CONFIGS["puct"], simulations=32)
    game, evaluator, cache, search = begun(config)
    evaluator.version = 1
    search.begin(game.init(8), np.random.default_rng(1), np.arange(8, 16))
    assert cache.version == 1
    visits = fetch_all(search)
    assert sorted(visits) == list(range(16))
    assert all(counts.sum() == 32 for counts in visits.values())


def test_reset_drops_what_was_begun_and_what_it_had_claimed_of_the_cache():
    config = CONFIGS["gumbel"]
    game, evaluator, _, search = begun(config)
    search.reset()
    slots, result = search.finished()
    assert len(slots) == len(result.action) == 0
    rows = 8
    noise = root_noise(config, game, rows, 2)
    budget = np.full(rows, config.simulations)
    again = search.run(game.init(rows), noise, budget)
    fresh = Search(game, evaluator, config, EvaluationCache(1)).run(game.init(rows), noise, budget)
    np.testing.assert_array_equal(again.visit_counts, fresh.visit_counts)


def test_answering_at_once_in_the_middle_of_a_search_is_an_error():
    game, _, _, search = begun(CONFIGS["gumbel"])
    with pytest.raises(RuntimeError, match="not finished"):
        search.act(game.init(1), np.random.default_rng(0))
    assert len(fetch_all(search)) == 8
    assert search.act(game.init(1), np.random.default_rng(0)).visit_counts.sum() == CONFIGS["gumbel"].simulations
