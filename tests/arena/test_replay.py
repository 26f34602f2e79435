from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

import games
from agents.search import shaped_returns
from arena.records import Trajectory
from arena.replay import Replay, ReplayConfig
from arena.shards import Shard
from games import ArenaError, EndReason, Game
from tests.agents.search.random_tree import OneRoot
from tests.arena.helpers import assert_same, noisy_games, shortened

PLAIN = ReplayConfig(symmetries=False)


def make_shard(game: Game, count: int = 20, seed: int = 0, opening: tuple[int, ...] = ()) -> Shard:
    return Shard.from_trajectories(game.spec, noisy_games(game, count, seed, opening))


def given_up(shard: Shard) -> Shard:
    """The same, had the player to move given up where the games were cut, whoever might have won."""
    returns = np.where(shard.terminated[:, None], shard.returns, np.array([[1, -1]], np.float32))
    reasons = np.where(shard.terminated, shard.end_reasons, np.int8(EndReason.RESIGNATION))
    return dataclasses.replace(shard, returns=returns, end_reasons=reasons)


def slow_samples(game: Game, shard: Shard, config: ReplayConfig, length_weight: float) -> dict[bytes, set[bytes]]:
    """Every position of a shard with its targets, one at a time, under every symmetry allowed: observation, mask and
    policy (rounded) as bytes, each with the value targets that go with it."""
    found: dict[bytes, set[bytes]] = {}
    for trajectory in shard.trajectories():
        targets = slow_value_targets(game, trajectory, config.value_lambda, length_weight)
        state = game.init(1)
        entry = 0
        for ply, move in enumerate(trajectory.moves):
            length = int(trajectory.policy_lengths[ply])
            if length:
                policy = np.zeros(game.spec.num_actions, np.float32)
                for action, weight in zip(
                    trajectory.policy_actions[entry : entry + length],
                    trajectory.policy_weights[entry : entry + length],
                    strict=True,
                ):
                    policy[action] = weight
                observation, mask = game.observe(state)[0], game.legal_action_mask(state)[0]
                for symmetry in game.symmetries if config.symmetries else game.symmetries[:1]:
                    flat = observation.reshape(len(observation), -1)[:, symmetry.observation_permutation]
                    key = key_of(flat, mask[symmetry.action_permutation], policy[symmetry.action_permutation])
                    found.setdefault(key, set()).add(np.round(np.float64(targets[ply]), 4).tobytes())
            entry += length
            game.step(state, [int(move)])
    return found


def searched_positions(game: Game, shard: Shard) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Observation, policy ``[A]`` and value target of every position of a shard that has a policy, one at a time."""
    for trajectory in shard.trajectories():
        targets = slow_value_targets(game, trajectory, PLAIN.value_lambda, 0.0)
        state, entry = game.init(1), 0
        for ply, move in enumerate(trajectory.moves):
            entries = slice(entry, entry := entry + int(trajectory.policy_lengths[ply]))
            if trajectory.policy_lengths[ply]:
                policy = np.zeros(game.spec.num_actions, np.float32)
                policy[trajectory.policy_actions[entries]] = trajectory.policy_weights[entries]
                yield game.observe(state)[0], policy / policy.sum(), targets[ply]
            game.step(state, [int(move)])


def least_image(game: Game, observation: np.ndarray) -> bytes:
    """The same for all images of a position."""
    flat = observation.reshape(len(observation), -1)
    return min(flat[:, symmetry.observation_permutation].tobytes() for symmetry in game.symmetries)


def slow_value_targets(game: Game, trajectory: Trajectory, decay: float, length_weight: float) -> list[float]:
    """The lambda-return of every ply, each as a sum of its own over the plies after it."""
    state, seats = game.init(1), []
    for move in trajectory.moves:
        seats.append(int(state["to_play"][0]))
        game.step(state, [int(move)])
    plies = np.array([len(seats)])
    result = shaped_returns(trajectory.returns[None], plies, game.spec.max_plies, length_weight)[0]
    targets = []
    for ply, seat in enumerate(seats):
        total, left = 0.0, 1.0
        for later in range(ply, len(seats)):
            if not np.isnan(root := trajectory.root_values[later]):
                total += left * (1 - decay) * (root if seats[later] == seat else -root)
                left *= decay
        last = result[seat]
        if trajectory.end_reason in (EndReason.TRUNCATED, EndReason.RESIGNATION):
            last = trajectory.root_values[-1] * (1 if seats[-1] == seat else -1)
        targets.append(total + left * last)
    return targets


def key_of(observation: np.ndarray, mask: np.ndarray, policy: np.ndarray) -> bytes:
    return observation.astype(np.uint8).tobytes() + mask.tobytes() + np.round(policy, 5).astype(np.float32).tobytes()


@pytest.mark.parametrize("symmetries", [False, True])
@pytest.mark.parametrize("length_weight", [0.0, 0.3])
@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four", "cut", "given up", "extra turns"])
def test_samples_are_those_of_a_slow_rebuild(name: str, symmetries: bool, length_weight: float) -> None:
    others = {
        "cut": shortened("connect_four", 9),
        "given up": shortened("connect_four", 9),
        "extra turns": OneRoot(5, depth=8),
    }
    game = others.get(name) or games.make(name)
    config = ReplayConfig(symmetries=symmetries, value_lambda=0.7)
    opening = () if name == "extra turns" else (3,)
    shards = [make_shard(game, 12, seed, opening) for seed in range(3)]
    if name == "given up":
        shards = [given_up(shard) for shard in shards]
    expected: dict[bytes, set[bytes]] = {}
    for shard in shards:
        for key, values in slow_samples(game, shard, config, length_weight).items():
            expected.setdefault(key, set()).update(values)
    replay = Replay(game, config, 0, length_weight=length_weight)
    for shard in shards:
        replay.add(shard)
    seen = set()
    for _ in range(40):
        batch = replay.sample(256)
        assert batch.observation.shape == (256, *game.spec.observation_shape)
        assert [a.dtype for a in (batch.observation, batch.policy_target, batch.value_target, batch.weight)] == (
            [np.dtype(np.float32)] * 4
        )
        np.testing.assert_allclose(batch.policy_target.sum(axis=1), 1, atol=1e-5)
        assert (batch.weight == 1).all()
        for row in range(256):
            key = key_of(batch.observation[row], batch.legal_action_mask[row], batch.policy_target[row])
            assert key in expected
            assert np.round(np.float64(batch.value_target[row]), 4).tobytes() in expected[key] or any(
                abs(np.frombuffer(v)[0] - batch.value_target[row]) < 2e-4 for v in expected[key]
            )
            seen.add(key)
    assert len(seen) > 0.95 * len(expected)  # every position can be drawn


def test_symmetry_mirrors_a_known_position() -> None:
    """One game of Connect Four whose only target is at ply 2: stones in column 0 and a policy on column 1."""
    game = games.make("connect_four")
    (trajectory, *_) = noisy_games(game, 1, opening=(0, 0))
    lengths = np.zeros_like(trajectory.policy_lengths)
    lengths[2] = 1
    shard = make_shard(game, 1, opening=(0, 0))
    one = Shard(
        **{
            **{name: getattr(shard, name) for name in Shard.__dataclass_fields__},
            "policy_lengths": lengths,
            "policy_actions": np.array([1], np.int32),
            "policy_weights": np.array([1], np.float16),
        }
    )
    replay = Replay(game, ReplayConfig(), 0, length_weight=0.0)
    replay.add(one)
    assert replay.num_positions == 1
    batch = replay.sample(64)
    counts: Counter[int] = Counter()
    for observation, policy in zip(batch.observation, batch.policy_target, strict=True):
        column = 0 if policy[1] == 1 else 6
        assert policy[{0: 1, 6: 5}[column]] == 1
        assert observation[0, 5, column] == 1
        assert observation[1, 4, column] == 1
        assert observation[:2].sum() == 2
        assert (observation[2] == 1).all()
        counts[column] += 1
    assert set(counts) == {0, 6}
    assert min(counts.values()) > 15


def test_positions_are_drawn_uniformly() -> None:
    game = games.make("connect_four")
    replay = Replay(game, PLAIN, 0, length_weight=0.0)
    replay.add(make_shard(game, 4))
    draws = Counter(row.tobytes() for _ in range(100) for row in replay.sample(replay.num_positions).policy_target)
    assert len(draws) == replay.num_positions
    assert max(abs(count - 100) for count in draws.values()) < 50  # 5 standard deviations


def test_positions_that_games_share_are_counted_once() -> None:
    game = games.make("tic_tac_toe")
    replay = Replay(game, PLAIN, 0, length_weight=0.0)
    shards = [make_shard(game, 30, seed=1), make_shard(game, 30, seed=2), make_shard(game, 30, seed=1)]
    boards: set[bytes] = set()
    for shard in shards:
        replay.add(shard)
        boards |= {least_image(game, observation) for observation, _, _ in searched_positions(game, shard)}
        assert replay.num_different == len(boards) < replay.num_positions


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four"])
def test_distinct_positions_are_drawn_equally_often_with_the_newest_policy_and_the_mean_value(name: str) -> None:
    game = games.make(name)
    replay = Replay(game, ReplayConfig(symmetries=False, distinct=True), 0, length_weight=0.0)
    newest: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    values: dict[bytes, list[float]] = {}
    for seed in (1, 2, 1, 3):
        shard = make_shard(game, 12, seed, opening=() if name == "tic_tac_toe" else (seed, 3))
        replay.add(shard)
        replay.sample(1)
        for observation, policy, value in searched_positions(game, shard):
            position = least_image(game, observation)
            newest[position] = observation, policy
            values.setdefault(position, []).append(value)
    assert replay.num_different == len(newest) < 0.8 * replay.num_positions
    times = 40
    batch = replay.sample(times * len(newest))
    counts: Counter[bytes] = Counter()
    for observation, policy, value in zip(batch.observation, batch.policy_target, batch.value_target, strict=True):
        position = least_image(game, observation)
        counts[position] += 1
        np.testing.assert_array_equal(newest[position][0], observation)
        np.testing.assert_allclose(newest[position][1], policy, atol=1e-5)
        assert value == pytest.approx(np.mean(values[position]), abs=1e-5)
    assert len(counts) == len(newest)
    # Five standard deviations of some 500 counts: of a thousand runs with other seeds one or two would fail.
    assert max(abs(count - times) for count in counts.values()) < 5 * times**0.5


def test_images_of_games_are_games() -> None:
    """In Othello a quarter turn of the start exchanges the colours, so that only half of the symmetries make games."""
    for name, count in (("tic_tac_toe", 8), ("connect_four", 2), ("othello", 4)):
        game = games.make(name)
        replay = Replay(game, ReplayConfig(), 0, length_weight=0.0)
        assert len(replay._images) == count
        shard = make_shard(game, 4)
        images = [
            Shard(**{**{f: getattr(shard, f) for f in Shard.__dataclass_fields__}, "moves": image[shard.moves]})
            for image in replay._images
        ]
        for image in images:
            replay.add(image)
            np.testing.assert_array_equal(replay._keys(image), replay._keys(shard))
        assert replay.num_different <= shard.num_positions


def test_late_positions_are_drawn_as_often_as_their_weight_says() -> None:
    game = games.make("tic_tac_toe")
    replay = Replay(game, ReplayConfig(symmetries=False, late_weight=0.25), 0, length_weight=0.0)
    shard = make_shard(game, 40)
    replay.add(shard)
    stones = replay.sample(20_000).observation[:, :2].sum(axis=(1, 2, 3))
    drawn = Counter(int(count) for count in stones)
    there = Counter(int(ply) for played in shard.trajectories() for ply in np.flatnonzero(played.policy_lengths))
    weights = {ply: count * (1.0 if ply < 4.5 else 0.25) for ply, count in there.items()}
    assert min(weights) < 4.5 < max(weights)
    for ply, weight in weights.items():
        expected = 20_000 * weight / sum(weights.values())
        # Five standard deviations: of ten thousand runs with other seeds fewer than one would fail.
        assert abs(drawn[ply] - expected) < 5 * expected**0.5, ply


def test_positions_without_a_target_are_never_drawn() -> None:
    game = games.make("connect_four")
    shard = make_shard(game, 20, opening=(3, 3))
    assert 0 < shard.num_positions < len(shard.moves)
    replay = Replay(game, PLAIN, 0, length_weight=0.0)
    replay.add(shard)
    assert replay.num_positions == shard.num_positions
    batch = replay.sample(2000)
    assert (batch.policy_target.sum(axis=1) > 0.99).all()
    assert (batch.observation.sum(axis=(1, 2, 3)) >= 2).all()


def test_the_window_drops_whole_old_shards_and_memory_stays_flat() -> None:
    game = games.make("tic_tac_toe")
    config = ReplayConfig(window_fraction=0.5, window_min=300, window_max=900)
    replay = Replay(game, config, 0, length_weight=0.0)
    sizes: list[int] = []
    held: list[int] = []
    for number in range(120):
        shard = make_shard(game, 20, seed=number % 30)
        sizes.append(shard.num_positions)
        replay.add(shard)
        assert replay.total_positions == sum(sizes)
        assert replay.window == min(max(sum(sizes) // 2, 300), 900)
        assert replay.num_positions == sum(sizes[-replay.num_shards :])
        if replay.num_shards < len(sizes):
            assert replay.window <= replay.num_positions
        assert replay.num_positions - sizes[-replay.num_shards] < replay.window  # no shard could be spared
        held.append(replay.nbytes)
    assert max(held[60:]) < 1.1 * held[60] < 600_000
    # What is left is what a replay of the last shards alone would hold.
    recent = Replay(game, ReplayConfig(window_min=900, window_max=900), 0, length_weight=0.0)
    for number in range(120 - replay.num_shards, 120):
        recent.add(make_shard(game, 20, seed=number % 30))
    replay.sample(7)
    recent.sample(7)
    assert_same(replay.sample(200), recent.sample(200))


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    game = games.make("connect_four")
    replays = [Replay(game, ReplayConfig(), seed, length_weight=0.0) for seed in (1, 1, 2)]
    for replay in replays:
        replay.add(make_shard(game))
    first, same, other = (replay.sample(64) for replay in replays)
    assert_same(first, same)
    assert not np.array_equal(first.value_target, other.value_target)


def test_restore_goes_on_exactly_with_the_shards_of_the_window() -> None:
    game = games.make("tic_tac_toe")
    config = ReplayConfig(window_fraction=0.4, window_min=200, window_max=2000)
    shards = [make_shard(game, 15, seed) for seed in range(40)]
    straight = Replay(game, config, 3, length_weight=0.1)
    for shard in shards[:30]:
        straight.add(shard)
        straight.sample(16)
    state = json.loads(json.dumps(straight.state()))
    assert state["first_shard"] > 0
    resumed = Replay(game, config, 99, length_weight=0.1)
    resumed.restore(state)
    for shard in shards[state["first_shard"] : 30]:
        resumed.add(shard)
    for shard in shards[30:]:
        assert_same(straight.sample(32), resumed.sample(32))
        straight.add(shard)
        resumed.add(shard)
        assert (straight.num_shards, straight.total_positions) == (resumed.num_shards, resumed.total_positions)
        assert straight.state() == resumed.state()


def test_restore_wants_an_empty_replay() -> None:
    game = games.make("tic_tac_toe")
    replay = Replay(game, PLAIN, 0, length_weight=0.0)
    state = replay.state()
    replay.add(make_shard(game))
    with pytest.raises(ValueError, match="before adding shards"):
        replay.restore(state)


def test_misuse_is_explained() -> None:
    game, other = games.make("tic_tac_toe"), games.make("connect_four")
    replay = Replay(game, PLAIN, 0, length_weight=0.0)
    with pytest.raises(ValueError, match="add a shard first"):
        replay.sample(4)
    with pytest.raises(ArenaError, match="'connect_four' version 1 cannot"):
        replay.add(make_shard(other, 1))
    with pytest.raises(ArenaError, match="value_lambda=2"):
        ReplayConfig(value_lambda=2)
    with pytest.raises(ArenaError, match="window_max=1 "):
        ReplayConfig(window_max=1)
