"""The environments against the checkers of PettingZoo and Gymnasium, and what those do not look at."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, render_test, seed_test

import games
from games.core import Array, Game, GameSpec
from games.envs import ArenaEnv, aec_env, env_id
from games.tic_tac_toe import TicTacToe

GAMES = list(games.families())
TWO_PLAYER = [name for name in GAMES if games.make(name).spec.num_players == 2]


@dataclass
class _Chosen:
    action: Array


class _FirstLegal:
    def __init__(self, game: Game) -> None:
        self.game, self.asked = game, 0

    def act(self, states: Array, rng: np.random.Generator) -> Any:
        self.asked += 1
        return _Chosen(np.argmax(self.game.legal_action_mask(states), axis=1))


@pytest.mark.parametrize("name", TWO_PLAYER)
def test_pettingzoo_checkers(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # The checker warns of observations that are a Dict with a mask, or zeros on an empty board, unless the
    # environment is on its lists of those that mean it. Ours does: that is how PettingZoo wants board games.
    checker = importlib.import_module("pettingzoo.test.api_test")
    for names in ("env_obs_dicts", "env_obs_space", "env_all_zeros_obs"):
        monkeypatch.setattr(checker, names, [*getattr(checker, names), str(aec_env(name).unwrapped)])
    api_test(aec_env(name), num_cycles=200)
    seed_test(lambda: aec_env(name), num_cycles=50)
    render_test(lambda render_mode=None: aec_env(name, render_mode))  # type: ignore[arg-type]


class _LegalAtFirst(gymnasium.spaces.Discrete):
    """The checker plays any action that it samples; people sample with a mask, as this does with that of the start."""

    def __init__(self, env: ArenaEnv) -> None:
        super().__init__(env.game.spec.num_actions)
        env.reset(seed=0)
        self._mask = env.action_masks().astype(np.int8)

    def sample(self, mask: Any = None, probability: Any = None) -> np.int64:
        return super().sample(self._mask if mask is None else mask, probability)


@pytest.mark.parametrize("name", GAMES)
def test_gymnasium_checker(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    # The checker plays an action sampled before it resets the environment, so every reset must lead to the same
    # position: the learner moves first, or after an opponent without chance.
    settings: list[dict[str, Any]] = [{}]
    if name in TWO_PLAYER:
        settings.append({"seat": "second", "opponent": _FirstLegal(games.make(name))})
    for options in settings:
        env = gymnasium.make(env_id(name), render_mode="ansi", **options).unwrapped
        assert isinstance(env, ArenaEnv)
        env.action_space = _LegalAtFirst(env)
        check_env(env)
        env.close()


def test_ids() -> None:
    assert env_id("connect_four") == "Arena/ConnectFour-v0"
    assert env_id("go_9x9") == "Arena/Go9x9-v0"
    assert set(map(env_id, games.available())) <= set(gymnasium.registry)


@pytest.mark.parametrize("name", TWO_PLAYER)
def test_pettingzoo_game_follows_the_rules(name: str) -> None:
    env, game, rng = aec_env(name), games.make(name), np.random.default_rng(3)
    env.reset()
    states, totals = game.init(1), dict.fromkeys(env.possible_agents, 0.0)
    for agent in env.agent_iter():
        observation, reward, terminated, truncated, _ = env.last()
        assert observation is not None
        totals[agent] += reward
        assert not truncated
        assert terminated == states["terminated"][0]
        if terminated:
            assert not observation["action_mask"].any()
            env.step(None)
            continue
        assert agent == f"player_{states['to_play'][0]}"
        np.testing.assert_array_equal(observation["observation"], game.observe(states)[0])
        np.testing.assert_array_equal(observation["action_mask"], game.legal_action_mask(states)[0])
        other = env.observe(env.possible_agents[1 - states["to_play"][0]])
        assert other is not None
        assert not other["action_mask"].any()
        as_other = states.copy()
        as_other["to_play"] = 1 - as_other["to_play"]
        np.testing.assert_array_equal(other["observation"], game.observe(as_other)[0])
        action = rng.choice(np.flatnonzero(observation["action_mask"]))
        game.step(states, [action])
        env.step(int(action))
    assert list(totals.values()) == game.returns(states)[0].tolist()


@pytest.mark.parametrize("seat", ["first", "second", "random"])
@pytest.mark.parametrize("name", TWO_PLAYER)
def test_gymnasium_games(name: str, seat: str) -> None:
    env, rng = ArenaEnv(name, seat=seat), np.random.default_rng(4)  # type: ignore[arg-type]
    start = env.game.observe(env.game.init(1))[0]
    seats, rewards = set(), []
    for episode in range(30):
        observation, info = env.reset(seed=episode)
        terminated = truncated = False
        reward = 0.0
        seats.add(int(not np.array_equal(observation["observation"], start)))
        while not terminated:
            np.testing.assert_array_equal(observation["action_mask"], info["action_mask"])
            np.testing.assert_array_equal(env.action_masks(), observation["action_mask"].astype(bool))
            assert reward == 0.0
            action = int(rng.choice(np.flatnonzero(env.action_masks())))
            observation, reward, terminated, truncated, info = env.step(action)
            assert not truncated
        rewards.append(reward)
    assert set(rewards) <= {-1.0, 0.0, 1.0}
    assert len(set(rewards)) > 1
    assert seats == {"first": {0}, "second": {1}, "random": {0, 1}}[seat]


def test_same_seed_same_game() -> None:
    def observations(seed: int) -> list[bytes]:
        env = ArenaEnv("connect_four", seat="random")
        seen = [env.reset(seed=seed)[0]["observation"].tobytes()]
        terminated = False
        while not terminated:
            observation, _, terminated, _, _ = env.step(int(np.flatnonzero(env.action_masks())[-1]))
            seen.append(observation["observation"].tobytes())
        return seen

    assert observations(4) == observations(4)
    assert observations(4) != observations(5)


def test_illegal_action_raises_the_games_error() -> None:
    env = ArenaEnv("tic_tac_toe")
    env.reset(seed=0)
    env.step(4)
    with pytest.raises(games.IllegalActionError, match="tic_tac_toe, ply 2: action 4"):
        env.step(4)
    aec = aec_env("tic_tac_toe")
    aec.reset()
    aec.step(4)
    with pytest.raises(games.IllegalActionError, match="tic_tac_toe, ply 1: action 4"):
        aec.step(4)


def test_any_opponent_with_act() -> None:
    opponent = _FirstLegal(TicTacToe())
    env = gymnasium.make("Arena/TicTacToe-v0", opponent=opponent, seat="second", max_episode_steps=2)
    observation, _ = env.reset(seed=1)
    assert observation["observation"][1, 0, 0] == 1
    _, _, terminated, truncated, _ = env.step(4)
    assert (opponent.asked, terminated, truncated) == (2, False, False)
    *_, terminated, truncated, _ = env.step(8)  # Gymnasium's time limit, and the opponent completes 1 2 3
    assert (opponent.asked, terminated) == (3, True)


def test_time_limit_truncates() -> None:
    env = gymnasium.make("Arena/ConnectFour-v0", max_episode_steps=1)
    env.reset(seed=1)
    *_, terminated, truncated, _ = env.step(0)
    assert (terminated, truncated) == (False, True)


def test_human_mode_prints(capsys: pytest.CaptureFixture[str]) -> None:
    env = ArenaEnv("connect_four", render_mode="human")
    env.reset(seed=0)
    assert "to move" in capsys.readouterr().out
    env.step(0)
    assert "\x1b[91m" in capsys.readouterr().out
    assert env.render() is None


class _Solitaire(TicTacToe):
    """One player marks every square: a game without an opponent."""

    def __init__(self, name: str = "tic_tac_toe") -> None:
        self.spec = GameSpec(name, 1, 1, 9, (2, 3, 3), 9)

    def step_unchecked(self, states: Array, actions: Array) -> None:
        super().step_unchecked(states, actions)
        states["to_play"] = 0

    def returns(self, states: Array) -> Array:
        return states["terminated"].astype(np.float32)[:, None]


def test_single_player_needs_no_opponent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(games, "make", _Solitaire)
    env = ArenaEnv("tic_tac_toe")
    env.reset(seed=0)
    steps, terminated, reward = 0, False, 0.0
    while not terminated:
        _, reward, terminated, _, _ = env.step(int(np.flatnonzero(env.action_masks())[0]))
        steps += 1
    assert (steps, reward) == (3, 1.0)
    with pytest.raises(games.UnsupportedError, match="for one player"):
        ArenaEnv("tic_tac_toe", seat="second")
    with pytest.raises(games.UnsupportedError, match="Gymnasium"):
        aec_env("tic_tac_toe")


def test_unknown_options_are_named() -> None:
    with pytest.raises(games.UnknownNameError, match="connect_four"):
        ArenaEnv("conect_four")
    with pytest.raises(games.UnknownNameError, match="connect_four"):
        aec_env("conect_four")
    with pytest.raises(games.UnsupportedError, match="third"):
        ArenaEnv("connect_four", seat="third")  # type: ignore[arg-type]
    with pytest.raises(games.UnsupportedError, match="rgb_array"):
        ArenaEnv("connect_four", render_mode="rgb_array")
    with pytest.raises(games.UnsupportedError, match="rgb_array"):
        aec_env("connect_four", render_mode="rgb_array")
