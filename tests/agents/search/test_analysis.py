"""The search of one position: what ``Search`` does, but in slices, with several leaves at once, over moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.search import Analysis, EvaluationCache, Search, SearchConfig
from tests.agents.search.random_tree import HashEvaluator, RandomTree

CONFIGS = {
    "gumbel": SearchConfig(policy="gumbel", simulations=100, max_considered=4, c_scale=0.1, add_noise=False),
    "puct": SearchConfig(policy="puct", simulations=100, add_noise=False, temperature=0),
}
BACKUP = {
    "gumbel_backup": SearchConfig(simulations=100, max_considered=4, c_scale=0.1, c_backup=0.1, add_noise=False),
}
pytestmark = pytest.mark.nojit


def never() -> bool:
    return False


def analysis(game: RandomTree, config: SearchConfig, **options: float) -> Analysis:
    return Analysis(game, HashEvaluator(game), config, EvaluationCache(1), megabytes=4, **options)  # type: ignore[arg-type]


def random_game(seed: int) -> RandomTree:
    return RandomTree(seed, num_players=2 - seed % 2, num_actions=2 + seed % 6, depth=4 + seed % 7)


def check_tree(search: Analysis, game: RandomTree) -> None:
    """Every visit of an edge is one of the leaf below it or of an edge of that leaf, and so is every value."""
    tree = search._tree
    for node in range(int(tree.num_nodes[0])):
        first, count = int(tree.edge_start[0, node]), int(tree.edge_count[0, node])
        edges = slice(first, first + count)
        assert (tree.child[0, edges] >= -1).all()
        if node == 0:
            continue
        above, parent = int(tree.parent_edge[0, node]), int(tree.parent[0, node])
        sign = 1 if tree.to_play[0, node] == tree.to_play[0, parent] else -1
        if tree.terminal[0, node]:
            visits, total = tree.visits[0, above], tree.visits[0, above] * float(tree.raw_value[0, node])
        else:
            visits = 1 + tree.visits[0, edges].sum()
            total = float(tree.raw_value[0, node]) + tree.value_sum[0, edges].sum()
            if search.config.c_backup:
                total = visits * improved_value(search, node)
        assert tree.visits[0, above] == visits
        assert tree.value_sum[0, above] == pytest.approx(sign * total, abs=1e-9)


def improved_value(search: Analysis, node: int) -> float:
    """What a node is worth by ``SearchConfig.c_backup``."""
    tree, config, first = search._tree, search.config, search._tree.edge_start[0, node]
    edges = first + np.flatnonzero(tree.visits[0, first : first + tree.edge_count[0, node]])
    if not len(edges):
        return float(tree.raw_value[0, node])
    visits = tree.visits[0, edges]
    values = tree.value_sum[0, edges] / visits
    logits = tree.logit[0, edges] + (config.c_visit + visits.max()) * config.c_backup * values
    weights = np.exp(logits - logits.max())
    mean = (weights * values).sum() / weights.sum()
    return float((tree.raw_value[0, node] + visits.sum() * mean) / (1 + visits.sum()))


@pytest.mark.parametrize("config", (CONFIGS | BACKUP).values(), ids=(CONFIGS | BACKUP).keys())
def test_one_slice_leaf_by_leaf_is_an_ordinary_search(config: SearchConfig) -> None:
    for seed in range(8):
        game = random_game(seed)
        search = analysis(game, config, leaves=1)
        search.look_at(game.init(1))
        assert search.think(100, never) == search.visits == 100
        noise, budget = np.zeros((1, game.spec.num_actions)), np.array([100])
        expected = Search(game, HashEvaluator(game), config, EvaluationCache(1)).run(game.init(1), noise, budget)
        lines = search.lines(99)
        assert lines[0].moves[0] == expected.action[0]
        for line in lines:
            assert line.visits == expected.visit_counts[0, line.moves[0]]
        assert sum(line.visits for line in lines) == 100


@pytest.mark.parametrize("config", (CONFIGS | BACKUP).values(), ids=(CONFIGS | BACKUP).keys())
@pytest.mark.parametrize("leaves", [1, 3, 8])
def test_the_tree_adds_up_whatever_is_done_to_it(config: SearchConfig, leaves: int) -> None:
    rng = np.random.default_rng(leaves)
    for seed in range(5):
        game = random_game(seed)
        search, states = analysis(game, config, leaves=leaves), game.init(1)
        while not states["terminated"][0]:
            search.look_at(states)
            check_tree(search, game)
            total = search.visits
            for budget in rng.integers(1, 60, size=3):
                stops = iter([False] * int(rng.integers(0, 20)))
                made = search.think(int(budget), lambda stops=stops: next(stops, True))
                assert made <= budget
                total += made
                assert search.visits == total
                assert search.under_way == 0
                check_tree(search, game)
            best = search.lines(1)[0]
            replayed, over = states.copy(), False
            for move in best.moves:
                assert not over
                game.step(replayed, [move])
                over = bool(replayed["terminated"][0])
            assert best.ends == over
            game.step(states, [best.moves[0]])


def test_several_leaves_make_larger_batches() -> None:
    game = RandomTree(7, num_actions=6, depth=9)
    for config in CONFIGS.values():
        sizes = {}
        for leaves in (1, 8):
            evaluator = HashEvaluator(game)
            search = Analysis(game, evaluator, config, None, megabytes=4, leaves=leaves)
            search.look_at(game.init(1))
            search.think(200, never)
            sizes[leaves] = np.mean(evaluator.batches)
        assert sizes[1] == 1
        assert sizes[8] > 2


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_thinking_longer_finds_the_best_move(config: SearchConfig) -> None:
    """Against minimax: with the tree searched out, the move is one that minimax would play."""
    found = 0
    for seed in range(10):
        game = RandomTree(seed, num_actions=3, depth=5)
        search = analysis(game, config)
        search.look_at(game.init(1))
        while search.think(200, never) and search.visits < 3000:
            pass
        values = move_values(game, game.init(1))
        found += values[search.lines(1)[0].moves[0]] == max(values.values())
    assert found >= 9


def move_values(game: RandomTree, states: np.ndarray) -> dict[int, float]:
    """The minimax value of every legal move, for the player to move."""
    values = {}
    for action in np.flatnonzero(game.legal_action_mask(states)[0]).tolist():
        child = states.copy()
        game.step(child, [action])
        sign = 1 if child["to_play"][0] == states["to_play"][0] else -1
        if child["terminated"][0]:
            values[action] = float(game.returns(child)[0, states["to_play"][0]])
        else:
            values[action] = sign * max(move_values(game, child).values())
    return values


def test_it_goes_on_from_the_tree_it_has() -> None:
    game = RandomTree(3, num_actions=4, depth=9)
    search, states = analysis(game, CONFIGS["gumbel"]), game.init(1)
    search.look_at(states)
    search.think(400, never)
    line = search.lines(1)[0]
    for move in line.moves[:2]:  # ours and the reply
        game.step(states, [move])
    search.look_at(states)
    assert 0 < search.visits < line.visits
    kept = search.visits
    search.look_at(states)  # the same position again
    assert search.visits == kept
    search.look_at(game.init(1))  # one that is not below
    assert search.visits == 0
    search.think(10, never)
    search.reset()
    assert search.visits == 0


def test_only_allowed_moves_are_looked_at() -> None:
    game = RandomTree(5, num_actions=6, depth=8)
    for config in CONFIGS.values():
        search = analysis(game, config)
        search.look_at(game.init(1))
        search.think(50, never)
        search.look_at(game.init(1), allowed=[4, 2])
        assert search.visits == 0
        for _ in range(3):
            search.think(50, never)
        assert {line.moves[0] for line in search.lines(9)} <= {2, 4}
        assert sum(line.visits for line in search.lines(9)) == 150
        assert sum(line.prior for line in search.lines(9)) == pytest.approx(1, abs=1e-6)
        search.look_at(game.init(1))
        search.think(300, never)
        assert len(search.lines(9)) > 2


def test_memory_is_never_more_than_was_given() -> None:
    game = RandomTree(5, num_actions=6, depth=12)
    search = Analysis(game, HashEvaluator(game), CONFIGS["puct"], None, megabytes=0.05)
    search.look_at(game.init(1))
    made = sum(search.think(4096, never) for _ in range(3))
    assert 100 < made < 4096
    assert search.share_full == 1.0
    assert search.think(10, never) == 0
    shape = search._tree.action.shape
    states = game.init(1)
    game.step(states, [search.lines(1)[0].moves[0]])
    search.look_at(states)  # makes room
    assert search.share_full < 1.0
    assert search.think(20, never) > 0
    assert search._tree.action.shape == shape
    check_tree(search, game)


def test_without_any_simulation_it_plays_what_the_network_likes_best() -> None:
    game = RandomTree(5, num_actions=6, depth=8)
    for config in CONFIGS.values():
        search = analysis(game, replace(config, c_scale=0.5))
        search.look_at(game.init(1))
        (line,) = search.lines(3)
        evaluation = HashEvaluator(game).evaluate(game.init(1), game.legal_action_mask(game.init(1)))
        legal = game.legal_action_mask(game.init(1))[0]
        assert line.moves == (int(np.where(legal, evaluation.prior_logits[0], -np.inf).argmax()),)
        assert line.visits == 0
        assert line.value == pytest.approx(float(evaluation.value[0]))
