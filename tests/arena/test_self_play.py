from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import games
from agents.core import Evaluation
from agents.search import Search, SearchConfig
from arena.play import ResumeError
from arena.self_play import SelfPlay, SelfPlayConfig
from arena.shards import Shard, read_shard, write_shard
from games import ArenaError, EndReason, Game
from tests.arena.helpers import assert_same
from tests.arena.test_play import through_a_file

CONFIG = SelfPlayConfig(
    slots=16,
    opening_plies=4,
    branch_fraction=0.25,
    branch_plies=2,
    branch_regret=True,
    start_simulations=12,
    start_plies=3,
    shard_positions=150,
    cache_megabytes=4,
)
SEARCH = SearchConfig(simulations=8)


class LinearEvaluator:
    """A linear function of the planes: as real as a network for everything but strength."""

    cacheable = True

    def __init__(self, game: Game) -> None:
        self.version = 0
        self._game = game
        self._weights = np.zeros((int(np.prod(game.spec.observation_shape)), game.spec.num_actions + 1), np.float32)

    def load_weights(self, weights: Mapping[str, Any], version: int) -> None:
        self._weights, self.version = weights["weights"], version

    def evaluate(self, states: np.ndarray, legal_action_mask: np.ndarray) -> Evaluation:
        assert legal_action_mask.any(axis=1).all()
        scores = self._game.observe(states).reshape(len(states), -1) @ self._weights
        return Evaluation(prior_logits=scores[:, :-1], value=np.tanh(scores[:, -1]))


def weights_for(game: Game, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shape = (int(np.prod(game.spec.observation_shape)), game.spec.num_actions + 1)
    return {"weights": (rng.standard_normal(shape) / 4).astype(np.float32)}


def make(game: Game, seed: Any = 0, config: SelfPlayConfig = CONFIG, search: SearchConfig = SEARCH) -> SelfPlay:
    worker = SelfPlay(game, LinearEvaluator(game), search, config, seed)
    worker.set_weights(weights_for(game, 1), 1)
    return worker


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four"])
@pytest.mark.parametrize("policy", ["gumbel", "puct"])
def test_shards_are_games_that_the_rules_allow(name: str, policy: Any, tmp_path: Any) -> None:
    game = games.make(name)
    worker = make(game, search=SearchConfig(policy=policy, simulations=8))
    for _ in range(2):
        shard = worker.play()
        assert shard.num_positions >= CONFIG.shard_positions
        write_shard(tmp_path / "a.npz", shard)
        assert_same(read_shard(tmp_path / "a.npz", game), shard)  # replays every game by the rules
        assert (shard.weights_versions == 1).all()
        searched = ~np.isnan(shard.root_values)
        np.testing.assert_array_equal(searched, shard.policy_lengths > 0)
        assert 0 < (~searched).sum() < len(searched) / 2  # openings
        stats = worker.stats
        assert stats is not None
        assert stats.games == shard.num_games
        assert stats.plies == len(shard.moves)
        assert stats.positions == shard.num_positions
        assert stats.search.simulations > 0
        assert stats.first_player_wins + stats.draws <= stats.games
        assert stats.truncated == 0


def test_numbers_go_on_and_shard_size_can_be_asked_for() -> None:
    worker = make(games.make("tic_tac_toe"))
    shards = [worker.play(), worker.play(500)]
    assert shards[1].num_positions >= 500
    numbers = np.concatenate([shard.numbers for shard in shards])
    assert len(set(numbers.tolist())) == len(numbers)
    assert numbers.max() < len(numbers) + CONFIG.slots


def test_workers_and_their_replacements_play_different_games() -> None:
    game = games.make("tic_tac_toe")
    shards = [make(game, seed).play() for seed in ((7, 0, 0), (7, 0, 0), (7, 1, 0), (7, 0, 1))]
    assert_same(shards[0], shards[1])
    for other in shards[2:]:
        assert shards[0].moves.tolist() != other.moves.tolist()
        assert shards[0].seeds[0] != other.seeds[0]


def test_games_tell_the_oldest_weights_that_played_in_them() -> None:
    game = games.make("connect_four")
    worker = make(game)
    worker.play()
    worker.set_weights(weights_for(game, 2), 2)
    versions = np.concatenate([worker.play().weights_versions for _ in range(2)])
    assert set(versions.tolist()) == {1, 2}


def test_only_full_searches_are_learned_from() -> None:
    game = games.make("tic_tac_toe")
    config = dataclasses.replace(CONFIG, start_simulations=0)
    shard = make(
        game, config=config, search=SearchConfig(simulations=8, fast_simulations=2, full_probability=0.3)
    ).play()
    searched = ~np.isnan(shard.root_values)
    share = (shard.policy_lengths[searched] > 0).mean()
    assert 0.15 < share < 0.45


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four"])
@pytest.mark.parametrize("reuse_tree", [False, True])
@pytest.mark.parametrize("resign_value", [0.3, 1.0])
def test_stop_and_restore_equals_never_stopping(name: str, reuse_tree: bool, resign_value: float) -> None:
    game = games.make(name)
    search = SearchConfig(simulations=8, reuse_tree=reuse_tree)
    config = dataclasses.replace(CONFIG, resign_value=resign_value, to_the_end=0.5, cut_fraction=0.3)
    straight = make(game, config=config, search=search)
    straight.play()
    state = through_a_file(straight.state())
    expected: list[Shard] = [straight.play()]
    straight.set_weights(weights_for(game, 2), 2)
    expected.append(straight.play())
    resumed = make(game, seed=99, config=config, search=search)
    resumed.restore(state)
    assert_same(resumed.play(), expected[0])
    resumed.set_weights(weights_for(game, 2), 2)
    assert_same(resumed.play(), expected[1])


def test_games_from_the_start_are_searched_more_in_their_first_plies(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, asked = Search.begin, []

    def begin(self: Search, states: Any, rng: Any, slots: Any, simulations: int | None = None) -> None:
        openings = [worker._pool._in_flight[slot].opening for slot in slots]
        asked.extend(
            (bool(opening), int(ply), simulations) for opening, ply in zip(openings, states["ply"], strict=True)
        )
        plain(self, states, rng, slots, simulations)

    monkeypatch.setattr(Search, "begin", begin)
    worker = make(games.make("connect_four"))
    worker.play(300)
    assert all(simulations == (12 if not opened and ply < 3 else None) for opened, ply, simulations in asked)
    larger = sum(simulations is not None for _, _, simulations in asked)
    assert 0 < larger < len(asked)
    assert worker.stats is not None
    more = worker.stats.search.simulations - 8 * worker.stats.search.moves
    assert 4 * (larger - CONFIG.slots) <= more <= 4 * larger  # some of the last searches are not finished


@pytest.mark.parametrize("length_weight", [0.0, 0.3])
def test_games_are_given_up_but_for_some(length_weight: float) -> None:
    """Whatever is given up has been expected on two plies, and what is played on says how often that was wrong."""
    game = games.make("connect_four")
    search = SearchConfig(simulations=8, length_weight=length_weight)
    config = dataclasses.replace(CONFIG, resign_value=0.2, to_the_end=0.25, shard_positions=2000)
    worker = make(game, config=config, search=search)
    shard = worker.play()
    stats = worker.stats
    assert stats is not None
    assert stats.resigned == (shard.end_reasons == EndReason.RESIGNATION).sum() > 20
    played_on = wrong = 0
    for trajectory in shard.trajectories():
        value, number = trajectory.root_values, trajectory.pairing.number
        win = 0.2 * (1 - length_weight * np.arange(1, len(value) + 1) / game.spec.max_plies)
        wins = np.stack([value * (-1) ** np.arange(len(value)) * sign >= win for sign in (1, -1)])
        twice = wins[:, 1:] & wins[:, :-1]
        if number * 0.75**0.5 % 1 < 0.25:
            assert trajectory.terminated
            when = np.argmax(twice.any(axis=0)) if twice[:, :-1].any() else -1
            if when >= 0:
                played_on += 1
                wrong += trajectory.returns[int(np.argmax(twice[:, when]))] <= 0
        else:
            assert not twice[:, :-1].any()
            if not trajectory.terminated:
                winner = int(np.argmax(twice[:, -1]))
                assert twice[winner, -1]
                assert trajectory.returns.tolist() == [1 - 2 * winner, 2 * winner - 1]
    assert (stats.played_on, stats.resigned_wrongly) == (played_on, wrong)
    assert played_on > 5


def test_games_that_were_cut_do_not_say_whether_giving_up_was_wrong() -> None:
    """Nobody knows what they would have come to."""
    game = games.make("connect_four")
    config = dataclasses.replace(CONFIG, resign_value=0.01, to_the_end=1.0, cut_fraction=1.0, cut_plies=4)
    worker = make(game, config=config)
    shard = worker.play()
    assert worker.stats is not None
    assert worker.stats.truncated > 20
    assert worker.stats.played_on <= shard.terminated.sum()


def test_some_games_are_cut_so_many_plies_after_their_opening() -> None:
    game = games.make("connect_four")
    worker = make(game, config=dataclasses.replace(CONFIG, cut_fraction=0.4, cut_plies=3, shard_positions=2000))
    shard = worker.play()
    assert worker.stats is not None
    assert worker.stats.truncated == (~shard.terminated).sum() > 50
    searched = shard.lengths - shard.opening_lengths
    assert (searched[~shard.terminated] == 3).all()
    assert (shard.end_reasons[~shard.terminated] == EndReason.TRUNCATED).all()
    is_short = searched <= 3
    assert abs(is_short.mean() - 0.4) < 0.1  # the shortest games end first, so that there are more of them


def test_without_regret_games_branch_alike_whatever_their_length() -> None:
    game = games.make("connect_four")
    for regret in (False, True):
        worker = make(game, config=dataclasses.replace(CONFIG, branch_regret=regret))
        lengths = worker.play().lengths
        assert len(set(lengths.tolist())) > 1
        ends = [weights[-1] for _, weights in worker.state()["pairings"]["openings"]["games"]]
        assert len(ends) == len(lengths)
        assert np.allclose(ends, 1.0) is not regret


def test_a_state_of_another_game_is_refused() -> None:
    with pytest.raises(ResumeError, match="connect_four"):
        make(games.make("tic_tac_toe")).restore(make(games.make("connect_four")).state())


@pytest.mark.parametrize("setting", [{"slots": 0}, {"opening_fraction": 1.5}, {"cache_megabytes": 0}])
def test_settings_out_of_range_are_named(setting: dict[str, Any]) -> None:
    with pytest.raises(ArenaError, match=next(iter(setting))):
        SelfPlayConfig(**setting)
