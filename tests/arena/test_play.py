from __future__ import annotations

import dataclasses
import io
import itertools
import json
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest

import games
from agents.core import SearchResult
from arena.openings import RandomOpenings, regrets
from arena.play import GamePool, ResumeError, play_games
from arena.records import Pairing
from games import EndReason, Game, IllegalActionError
from tests.arena.helpers import NoisyAgent, assert_same, noisy_games, pairings, shortened

GAMES = ("tic_tac_toe", "connect_four")


@pytest.mark.parametrize("name", GAMES)
def test_records_are_what_the_rules_and_the_agents_say(name: str) -> None:
    game = games.make(name)
    agent = NoisyAgent(game)
    finished = list(play_games(game, [agent], pairings(20), slots=7, rng=np.random.default_rng(1)))
    assert sorted(t.pairing.number for t in finished) == list(range(20))
    told = defaultdict(list)  # by position and move: what the agent said there
    for states, _, result in agent.seen:
        for row, state in enumerate(states):
            told[str(state), int(result.action[row])].append((result.value[row], result.action_weights[row]))
    for trajectory in finished:
        state = game.init(1)
        ends = np.cumsum(trajectory.policy_lengths)
        for ply, move in enumerate(trajectory.moves):
            entries = slice(ends[ply] - trajectory.policy_lengths[ply], ends[ply])
            dense = np.zeros(game.spec.num_actions, np.float32)
            dense[trajectory.policy_actions[entries]] = trajectory.policy_weights[entries]
            candidates = told[str(state[0]), int(move)]
            assert any(v == trajectory.root_values[ply] and (w == dense).all() for v, w in candidates)
            game.step(state, [int(move)])
        assert state["terminated"][0]
        assert trajectory.terminated
        np.testing.assert_array_equal(trajectory.returns, game.returns(state)[0])
        assert trajectory.end_reason == (EndReason.WIN if trajectory.returns.any() else EndReason.DRAW)
        assert len(trajectory.policy_actions) == trajectory.policy_lengths.sum()
    assert {t.end_reason for t in finished} >= {EndReason.WIN}


def test_memory_grows_with_the_games() -> None:
    """Chess allows 11,797 plies; no more is held than the longest game so far needs."""
    game = games.make("chess")
    pool = GamePool(game, [NoisyAgent(game)], pairings(12), 4, np.random.default_rng(3))
    assert pool._moves.shape == (4, 256)
    finished = []
    while not pool.done:
        finished += pool.advance()
    longest = max(len(trajectory.moves) for trajectory in finished)
    assert 256 < longest <= pool._moves.shape[1] < 2 * longest
    for trajectory in finished:
        state = game.init(1)
        for move in trajectory.moves:
            game.step(state, [int(move)])
        assert state["terminated"][0]
        assert len(trajectory.policy_lengths) == len(trajectory.root_values) == len(trajectory.moves)
        assert len(trajectory.policy_actions) == trajectory.policy_lengths.sum()


def test_each_agent_sees_the_positions_of_its_seat_once_per_ply() -> None:
    game = games.make("connect_four")
    agents = [NoisyAgent(game, "a"), NoisyAgent(game, "b")]
    seats = [(0, 1), (1, 0)]
    pool = GamePool(game, agents, (Pairing(i, seats[i % 2]) for i in range(6)), 6, np.random.default_rng(0))
    for ply in range(5):
        pool.advance()
        for number, agent in enumerate(agents):
            assert len(agent.seen) == ply + 1  # one call for all its games
            states, slots, _ = agent.seen[-1]
            expected = [slot for slot in range(6) if seats[slot % 2][ply % 2] == number]
            assert slots.tolist() == expected
            assert (states["to_play"] == ply % 2).all()


def test_same_seed_same_games() -> None:
    game = games.make("connect_four")
    assert_same(noisy_games(game, 20, seed=3), noisy_games(game, 20, seed=3))
    moves = [[t.moves.tolist() for t in noisy_games(game, 20, seed=seed)] for seed in (3, 4)]
    assert moves[0] != moves[1]


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """What is left of a state after it was saved without pickles and loaded again."""
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    rest = json.loads(json.dumps({name: value for name, value in state.items() if name not in arrays}))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as archive:
        return {**rest, **{name: archive[name] for name in archive.files}}


@pytest.mark.parametrize("name", GAMES)
def test_stop_and_restore_equals_never_stopping(name: str) -> None:
    game = games.make(name)

    def fresh_pairings() -> Any:
        return (Pairing(i, (0, 1), opening=(i % 7,) * (i % 3 == 0)) for i in itertools.count())

    def make_pool(source: Any, seed: int) -> GamePool:
        return GamePool(game, [NoisyAgent(game), NoisyAgent(game)], source, 25, np.random.default_rng(seed))

    source = fresh_pairings()
    straight = make_pool(source, 5)
    first = [t for _ in range(50) for t in straight.advance()]
    while not straight._opened:  # games that were made ready are to be saved too
        first += straight.advance()
    straight.weights_version = 3
    state = through_a_file(straight.state())
    taken = [p[0] for p in (*state["pool"]["in_flight"], *state["pool"]["opened"]) if p]
    started = max(taken) + 1
    assert len(state["pool"]["opened"]) == len(straight._opened) > 0
    rest = [t for _ in range(50) for t in straight.advance()]
    resumed = make_pool(itertools.islice(fresh_pairings(), started, None), 99)
    resumed.restore(state)
    assert_same([t for _ in range(50) for t in resumed.advance()], rest)
    assert len(first) > 10
    assert len(rest) > 10
    assert {t.weights_version for t in rest} == {0, 3}


def test_a_state_is_not_changed_by_playing_on() -> None:
    game = games.make("tic_tac_toe")
    pool = GamePool(
        game, [NoisyAgent(game)], (Pairing(i, (0, 0)) for i in itertools.count()), 4, np.random.default_rng(0)
    )
    pool.advance()
    state = pool.state()
    saved = {name: value.copy() for name, value in state.items() if isinstance(value, np.ndarray)}
    for _ in range(10):
        pool.advance()
    for name, value in saved.items():
        np.testing.assert_array_equal(state[name], value)


def test_a_state_of_something_else_is_refused() -> None:
    small, large = (
        GamePool(g, [NoisyAgent(g)], pairings(9), slots, np.random.default_rng(0))
        for g, slots in ((games.make("tic_tac_toe"), 2), (games.make("tic_tac_toe"), 3))
    )
    with pytest.raises(ResumeError, match="resume with the same settings"):
        large.restore(small.state())


def test_an_illegal_move_names_the_agent_the_game_and_the_move() -> None:
    game = games.make("tic_tac_toe")

    class Stubborn(NoisyAgent):
        def act(self, states: np.ndarray, rng: np.random.Generator, slots: np.ndarray | None = None) -> SearchResult:
            result = super().act(states, rng, slots)
            return SearchResult(np.full(len(states), 4), result.action_weights, result.value, result.visit_counts)

    pool = GamePool(game, [Stubborn(game, "stubborn")], pairings(2), 2, np.random.default_rng(0))
    pool.advance()
    with pytest.raises(IllegalActionError, match=r"'stubborn'.*tic_tac_toe, ply 1: action 4 is illegal"):
        pool.advance()


def test_openings_are_played_and_nothing_is_learned_from_them() -> None:
    game = games.make("connect_four")
    for trajectory in noisy_games(game, 9, opening=(3, 3, 2)):
        assert trajectory.moves[:3].tolist() == [3, 3, 2]
        assert (trajectory.policy_lengths[:3] == 0).all()
        assert np.isnan(trajectory.root_values[:3]).all()
        assert not np.isnan(trajectory.root_values[3:]).any()


def test_an_illegal_opening_is_an_error() -> None:
    with pytest.raises(IllegalActionError, match=r"opening.*ply 1: action 4 is illegal"):
        noisy_games(games.make("tic_tac_toe"), 1, opening=(4, 4))


def test_an_opening_may_end_the_game() -> None:
    (trajectory,) = noisy_games(games.make("tic_tac_toe"), 1, opening=(0, 3, 1, 4, 2))
    assert trajectory.returns.tolist() == [1, -1]
    assert trajectory.end_reason == EndReason.WIN
    assert trajectory.weights_version == 0
    assert not trajectory.policy_lengths.any()


def test_games_are_cut_at_their_longest() -> None:
    finished = noisy_games(shortened("connect_four", 6), 12)
    assert len(finished) == 12
    for trajectory in finished:
        assert len(trajectory.moves) == 6
        assert not trajectory.terminated
        assert trajectory.end_reason == EndReason.TRUNCATED
        assert not trajectory.returns.any()


def test_a_pool_without_pairings_is_done() -> None:
    game = games.make("tic_tac_toe")
    assert list(play_games(game, [NoisyAgent(game)], iter([]), slots=3, rng=np.random.default_rng(0))) == []


def test_long_sparse_targets_outgrow_their_first_buffer() -> None:
    """64 columns are not enough for a long game of Connect Four with 7 entries a ply."""
    assert max(t.policy_lengths.sum() for t in noisy_games(games.make("connect_four"), 60)) > 64


# ---- openings --------------------------------------------------------------------------------------------------------


def draw(game: Game, count: int, fraction: float, max_plies: int, seed: int = 0) -> list[tuple[int, ...]]:
    source = RandomOpenings(game, np.random.default_rng(seed), fraction=fraction, max_plies=max_plies)
    return list(itertools.islice(source, count))


@pytest.mark.parametrize("name", GAMES)
def test_openings_never_end_the_game(name: str) -> None:
    game = games.make(name)
    for opening in draw(game, 1000, 1.0, game.spec.max_plies):
        state = game.init(1)
        for action in opening:
            game.step(state, [action])
            assert not state["terminated"][0]


def test_opening_lengths_and_moves_are_uniform() -> None:
    drawn = draw(games.make("connect_four"), 6000, 1.0, 5)
    lengths = Counter(len(opening) for opening in drawn)
    assert set(lengths) == set(range(6))
    assert all(abs(count - 1000) < 150 for count in lengths.values())  # 5 standard deviations
    firsts = Counter(opening[0] for opening in drawn if opening)
    assert set(firsts) == set(range(7))
    assert all(abs(count - 5000 / 7) < 140 for count in firsts.values())


def test_the_fraction_is_of_games_that_may_begin_at_random() -> None:
    drawn = draw(games.make("connect_four"), 4000, 0.25, 3)
    assert abs(sum(bool(opening) for opening in drawn) - 4000 * 0.25 * 0.75) < 150
    assert not any(draw(games.make("connect_four"), 300, 0.0, 3))


def test_openings_restore_exactly() -> None:
    game = games.make("connect_four")
    straight = RandomOpenings(game, np.random.default_rng(1), fraction=0.7, max_plies=6)
    list(itertools.islice(straight, 300))
    state = json.loads(json.dumps(straight.state()))
    resumed = RandomOpenings(game, np.random.default_rng(2), fraction=0.7, max_plies=6)
    resumed.restore(state)
    assert list(itertools.islice(resumed, 600)) == list(itertools.islice(straight, 600))


def test_games_are_left_where_they_are_wanted() -> None:
    game = games.make("connect_four")
    source = RandomOpenings(game, np.random.default_rng(3), fraction=0.0, max_plies=0, branch_fraction=1.0)
    source.remember([3, 3, 3, 3], [0.0, 1.0, 0.0, 3.0])
    source.remember([0, 0], [0.0, 4.0])
    lengths = Counter((opening[0], len(opening)) for opening in itertools.islice(source, 4000))
    assert set(lengths) == {(3, 2), (3, 4), (0, 2)}
    for key, expected in {(3, 2): 500, (3, 4): 1500, (0, 2): 2000}.items():
        assert abs(lengths[key] - expected) < 160  # 5 standard deviations


@pytest.mark.parametrize("length_weight", [0.0, 0.3])
def test_regret_is_how_far_the_search_was_from_the_result(length_weight: float) -> None:
    game = games.make("tic_tac_toe")
    played, other = noisy_games(game, 2, opening=(0, 3, 1, 4))
    values = np.linspace(-1, 1, len(played.moves)).astype(np.float32)
    values[:4] = np.nan
    for returns in ([1.0, -1.0], [0.0, 0.0]):
        ended = dataclasses.replace(
            played, root_values=values, returns=np.array(returns, np.float32), terminated=True, end_reason=EndReason.WIN
        )
        shrink = 1 - length_weight * len(played.moves) / game.spec.max_plies
        expected = [0.0] * 4 + [(values[ply] - shrink * returns[ply % 2]) ** 2 for ply in range(4, len(played.moves))]
        np.testing.assert_allclose(regrets(game, [other, ended], length_weight)[1], expected, atol=1e-6)
        cut = dataclasses.replace(ended, terminated=False, end_reason=EndReason.TRUNCATED)
        last = len(values) - 1
        expected = [0.0] * 4 + [
            (values[ply] - values[last] * (-1) ** (last - ply)) ** 2 for ply in range(4, len(values))
        ]
        np.testing.assert_allclose(regrets(game, [cut, other], length_weight)[0], expected, atol=1e-6)


def test_branches_follow_a_past_game_and_then_leave_it_at_random() -> None:
    game = games.make("connect_four")
    past = [tuple(int(move) for move in trajectory.moves) for trajectory in noisy_games(game, 30)]
    source = RandomOpenings(game, np.random.default_rng(3), fraction=0.0, max_plies=0, branch_fraction=0.5)
    assert not any(itertools.islice(source, 64))  # there is no game to branch from yet
    for moves in past:
        source.remember(moves, [1.0] * len(moves))
    resumed = RandomOpenings(game, np.random.default_rng(4), fraction=0.0, max_plies=0, branch_fraction=0.5)
    resumed.restore(json.loads(json.dumps(source.state())))
    drawn = list(itertools.islice(source, 2000))
    assert drawn == list(itertools.islice(resumed, 2000))
    branches = [opening for opening in drawn if opening]
    assert abs(len(branches) - 1000) < 112  # 5 standard deviations
    assert all(any(opening[:-1] == moves[: len(opening) - 1] for moves in past) for opening in branches)
    left = [opening for opening in branches if opening not in {moves[: len(opening)] for moves in past}]
    assert 0.7 < len(left) / len(branches) < 1.0  # some six in seven
    longer = RandomOpenings(
        game, np.random.default_rng(3), fraction=0.0, max_plies=0, branch_fraction=1.0, branch_plies=4
    )
    longer.remember(past[0][:1], [1.0])  # which can only be left at once
    assert set(map(len, itertools.islice(longer, 300))) == {1, 2, 3, 4}
    for opening in branches:
        state = game.init(1)
        for action in opening:
            game.step(state, [action])
        assert not state["terminated"][0]
