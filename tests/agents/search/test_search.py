"""The batched, cached, jitted search against a plain reference: the same visits, the same values, the same moves."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from agents.search import EvaluationCache, Search, SearchConfig
from agents.search.select import considered_visits
from games import ArenaError
from tests.agents.search.random_tree import HashEvaluator, RandomTree
from tests.agents.search.reference import search as reference_search
from tests.agents.search.reference import target as reference_target

NO_JIT = os.environ.get("NUMBA_DISABLE_JIT") == "1"
NUM_TREES = 3 if NO_JIT else 60
CONFIGS = {
    "gumbel": SearchConfig(policy="gumbel", simulations=48, max_considered=4, c_scale=0.1),
    "gumbel_wide": SearchConfig(policy="gumbel", simulations=20, max_considered=16, length_weight=0.5),
    "gumbel_backup": SearchConfig(policy="gumbel", simulations=80, max_considered=4, c_scale=0.1, c_backup=0.05),
    "puct": SearchConfig(policy="puct", simulations=48, temperature=0),
    "puct_backup": SearchConfig(policy="puct", simulations=48, temperature=0, c_backup=0.5),
    "puct_forced": SearchConfig(policy="puct", simulations=60, forced_playouts=2.0, temperature=0),
    "puct_quiet": SearchConfig(policy="puct", simulations=80, add_noise=False, fpu_reduction=0.0, temperature=0),
}
pytestmark = pytest.mark.nojit


def tree_game(seed: int) -> RandomTree:
    return RandomTree(seed, num_players=1 + seed % 3 % 2, num_actions=2 + seed % 6, depth=4 + seed % 7)


def root_noise(config: SearchConfig, game: RandomTree, rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if not config.add_noise:
        return np.zeros((rows, game.spec.num_actions))
    if config.policy == "gumbel":
        return rng.gumbel(size=(rows, game.spec.num_actions))
    return rng.dirichlet(np.ones(game.spec.num_actions), size=rows)


def budgets(config: SearchConfig, rows: int) -> np.ndarray:
    return np.full(rows, config.simulations)


def assert_same_as_reference(game, config, result, row, root, action, noise):
    visits = [root.visits.get(a, 0) for a in range(game.spec.num_actions)]
    assert result.visit_counts[row].tolist() == visits
    assert result.action[row] == action
    if config.policy == "puct":
        value = (root.value + sum(root.sums.values())) / (1 + sum(visits))
        policy = reference_target(root, config, noise)
    else:
        policy, mixed = root.improved_policy(config), root.mixed_value()
        value = sum(policy[a] * root.q(a, mixed) for a in root.actions)
    target = np.array([policy.get(a, 0.0) for a in range(game.spec.num_actions)])
    np.testing.assert_allclose(result.value[row], value, atol=1e-6)
    np.testing.assert_allclose(result.action_weights[row], target, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("cached", [True, False], ids=["cached", "uncached"])
def test_same_visits_as_the_reference_on_random_trees(config, cached):
    for seed in range(NUM_TREES):
        game = tree_game(seed)
        evaluator = HashEvaluator(game)
        rows = 3
        states = game.init(rows)
        noise = root_noise(config, game, rows, seed)
        search = Search(game, evaluator, config, EvaluationCache(1) if cached else None)
        result = search.run(states, noise, budgets(config, rows))
        for row in range(rows):
            root, action = reference_search(
                game, evaluator, config, states[row : row + 1], noise[row], config.simulations
            )
            assert_same_as_reference(game, config, result, row, root, action, noise[row])


def test_without_noise_nothing_is_forced_and_nothing_is_pruned():
    config, single = CONFIGS["puct_forced"], 0
    for seed in range(max(NUM_TREES, 12)):  # some moves must have been visited once
        game = tree_game(seed)
        states = game.init(1)
        nothing = np.zeros((1, game.spec.num_actions))
        searches = [Search(game, HashEvaluator(game), c, None) for c in (config, replace(config, forced_playouts=0.0))]
        forced, plain = (search.run(states, nothing, budgets(config, 1)) for search in searches)
        np.testing.assert_array_equal(forced.visit_counts, plain.visit_counts)
        np.testing.assert_array_equal(forced.action_weights, plain.action_weights)
        single += (forced.visit_counts == 1).any()
    assert single > 0


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_a_reused_tree_goes_on_where_the_reference_goes_on(config):
    reused = 0
    for seed in range(NUM_TREES):
        game = tree_game(seed + 1000)
        evaluator = HashEvaluator(game)
        state, slots = game.init(1), np.array([2])
        search = Search(game, evaluator, config, EvaluationCache(1))
        root = None
        for move in range(3):
            noise = root_noise(config, game, 1, seed * 10 + move)
            result = search.run(state, noise, budgets(config, 1), slots)
            root, action = reference_search(game, evaluator, config, state, noise[0], config.simulations, root)
            assert_same_as_reference(game, config, result, 0, root, action, noise[0])
            state = state.copy()
            game.step(state, np.array([action]))
            root = root.children[action]
            if root.terminal:
                break
            reused += sum(root.visits.values()) > 0
    assert reused > NUM_TREES // 2


def test_a_tree_is_reused_after_the_opponents_move_and_not_in_another_game():
    config = replace(CONFIGS["puct_quiet"], simulations=200)
    reused = 0
    for seed in range(3 if NO_JIT else 30):
        game = RandomTree(seed, num_actions=4, depth=9)
        search = Search(game, HashEvaluator(game, cacheable=False), config, None)
        state, rng = game.init(1), np.random.default_rng(0)
        first = search.act(state, rng, np.array([0]))
        game.step(state, first.action)
        if state["terminated"][0]:
            continue
        reply = np.flatnonzero(game.legal_action_mask(state)[0])[:1]  # any reply, not one that the search chose
        game.step(state, reply)
        if not state["terminated"][0]:
            second = search.act(state, rng, np.array([0]))
            reused += second.visit_counts.sum() > 200
        third = search.act(game.init(2)[1:], rng, np.array([0]))
        assert third.visit_counts.sum() == 200
    assert reused > 0


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_a_batch_of_many_equals_batches_of_one(config):
    rows = 4 if NO_JIT else 256
    game = RandomTree(77, num_actions=5, depth=8, positions=30)
    states = game.init(rows)
    noise = root_noise(config, game, rows, 3)
    evaluator = HashEvaluator(game)
    together = Search(game, evaluator, config, EvaluationCache(1))
    result = together.run(states, noise, budgets(config, rows))
    assert max(evaluator.batches) > rows // 2
    alone = Search(game, HashEvaluator(game), config, EvaluationCache(1))
    for row in range(0, rows, 1 if NO_JIT else 4):
        single = alone.run(states[row : row + 1], noise[row : row + 1], budgets(config, 1))
        for name in ("action", "action_weights", "value", "visit_counts"):
            np.testing.assert_array_equal(getattr(single, name)[0], getattr(result, name)[row])


def test_the_cache_saves_evaluations_and_a_new_version_empties_it():
    game = RandomTree(2, num_actions=4, depth=6, positions=10)
    rows = 4 if NO_JIT else 64
    states = game.init(rows)
    states["number"] = states["root"] = 0  # the same game in every row
    config = CONFIGS["puct"]
    noise = root_noise(config, game, rows, 1)
    evaluator = HashEvaluator(game)
    search = Search(game, evaluator, config, EvaluationCache(1))
    first = search.run(states, noise, budgets(config, rows))
    evaluations = search.stats.evaluations
    assert search.stats.duplicates > 0
    assert evaluations <= 1 + 6 * 10 * 2  # no more than there are positions
    total = search.stats.cache_hits + search.stats.duplicates + search.stats.terminals + evaluations
    assert (
        total == search.stats.simulations + rows
    )  # every simulation ends in one of the four ways, and so do the roots
    search.run(states, noise, budgets(config, rows))
    assert search.stats.evaluations == evaluations
    evaluator.version = 1
    third = search.run(states, noise, budgets(config, rows))
    assert search.stats.evaluations > evaluations
    assert not np.array_equal(first.value, third.value)


def test_a_cache_smaller_than_the_search_still_gives_the_same_result():
    game = RandomTree(8, num_actions=6, depth=10, positions=5000)
    rows = 4 if NO_JIT else 200
    states, config = game.init(rows), CONFIGS["puct"]
    noise = root_noise(config, game, rows, 1)
    results = []
    for cache in (None, EvaluationCache(0.001)):
        search = Search(game, HashEvaluator(game), config, cache)
        results.append(search.run(states, noise, budgets(config, rows)).visit_counts)
    np.testing.assert_array_equal(*results)


def test_fast_searches_teach_nothing_and_cost_less():
    game = RandomTree(4, num_actions=5, depth=8)
    config = SearchConfig(simulations=32, fast_simulations=4, full_probability=0.5)
    search = Search(game, HashEvaluator(game), config, None)
    result = search.act(game.init(64), np.random.default_rng(0))
    full = result.action_weights.sum(axis=1) > 0
    assert set(result.visit_counts.sum(axis=1)[full]) == {32}
    assert set(result.visit_counts.sum(axis=1)[~full]) == {4}
    assert 15 <= full.sum() <= 49  # binomial(64, 0.5): wrong once in 50,000


def test_temperature_draws_from_the_visits():
    game = RandomTree(11, num_actions=6, depth=8)
    config = SearchConfig(policy="puct", simulations=40, add_noise=False)
    states = np.repeat(game.init(1), 400)
    result = Search(game, HashEvaluator(game), config, EvaluationCache(1)).act(states, np.random.default_rng(1))
    shares = np.bincount(result.action, minlength=6) / 400
    np.testing.assert_allclose(shares, result.action_weights[0], atol=4.5 * 0.5 / 20)  # 4.5 standard errors
    greedy = Search(game, HashEvaluator(game), replace(config, temperature=0), None)
    assert set(greedy.act(states[:3], np.random.default_rng(1)).action) == {int(result.visit_counts[0].argmax())}


def test_sequential_halving_visits_halve_the_field():
    # 16 moves, 64 simulations: 16 × 1, 8 × 2, 4 × 4, 2 × 8 visits (Danihelka et al., 2022, figure 1 scaled)
    sequence = considered_visits(16, 64)[16].tolist()
    phases = [(16, range(1)), (8, range(1, 3)), (4, range(3, 7)), (2, range(7, 15))]
    assert sequence == [visits for surviving, visited in phases for visits in visited for _ in range(surviving)]
    assert considered_visits(16, 5)[1].tolist() == [0, 1, 2, 3, 4]


def test_deeper_trees_grow_the_arrays():
    game = RandomTree(21, num_actions=7, depth=30, positions=2000)
    config = SearchConfig(simulations=30, max_considered=4)
    search = Search(game, HashEvaluator(game), config, None)
    state, rng = game.init(1), np.random.default_rng(5)
    while not state["terminated"][0]:
        result = search.act(state, rng, np.array([0]))
        assert game.legal_action_mask(state)[0, result.action[0]]
        game.step(state, result.action)


@pytest.mark.parametrize(
    ("field", "value"), [("simulations", 0), ("length_weight", 1.0), ("temperature", -1.0), ("c_backup", -0.1)]
)
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ArenaError, match=field):
        SearchConfig(**{field: value})


def test_noise_ends_after_so_many_plies():
    game = RandomTree(5, num_actions=5, depth=9)
    states = game.init(64)
    states["ply"][32:] = 3
    config = SearchConfig(simulations=16, noise_plies=3)

    def chosen(config, seed):
        search = Search(game, HashEvaluator(game, cacheable=False), config, None)
        return search.act(states, np.random.default_rng(seed)).action

    first, second = chosen(config, 1), chosen(config, 2)
    assert (first[:32] != second[:32]).any()
    np.testing.assert_array_equal(first[32:], second[32:])
    np.testing.assert_array_equal(first[32:], chosen(replace(config, add_noise=False), 1)[32:])
