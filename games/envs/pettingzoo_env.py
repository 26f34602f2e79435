"""Any two-player game as a PettingZoo AEC environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from pettingzoo import AECEnv
from pettingzoo.utils import wrappers

import games
from games.core import Array, UnsupportedError
from games.envs.spaces import RENDER_MODES, check_render_mode, observation_space, observe

SEATS = ("player_0", "player_1")


def aec_env(game_name: str, render_mode: str | None = None) -> AECEnv:
    """The game called ``game_name`` for agents ``player_0``, who moves first, and ``player_1``.

    An observation is ``{"observation": float32 [C, H, W], "action_mask": int8 [A]}``, from the observing agent's point
    of view; the mask is zero for the agent that is not to move. An illegal action raises ``IllegalActionError``.

    Raises:
        UnknownNameError: no such game.
        UnsupportedError: the game is not for two, or the render mode is unknown.
    """
    return wrappers.OrderEnforcingWrapper(TwoPlayerEnv(game_name, render_mode))


class TwoPlayerEnv(AECEnv):
    """The environment without PettingZoo's guard against calls in the wrong order; see ``aec_env``."""

    def __init__(self, game_name: str, render_mode: str | None = None) -> None:
        super().__init__()
        self.game = games.make(game_name)
        spec = self.game.spec
        if spec.num_players != 2:
            raise UnsupportedError(f"{spec.name} is for {spec.num_players} player; take its Gymnasium environment.")
        check_render_mode(render_mode)
        self.metadata = {
            "name": f"{spec.name}_v0",
            "render_modes": list(RENDER_MODES),
            "is_parallelizable": False,
            "render_fps": 1,
        }
        self.render_mode = render_mode
        self.possible_agents = list(SEATS)
        self._observation_spaces = {agent: observation_space(spec) for agent in SEATS}
        self._action_spaces = {agent: gymnasium.spaces.Discrete(spec.num_actions) for agent in SEATS}

    def observation_space(self, agent: str) -> gymnasium.Space:
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.Space:
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Starts a game. The rules hold no chance, so ``seed`` changes nothing."""
        self._states = self.game.init(1)
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}
        self._select_mover()

    def observe(self, agent: str) -> dict[str, Array]:
        return observe(self.game, self._states, self.possible_agents.index(agent))

    def step(self, action: int | None) -> None:
        agent = self.agent_selection
        if self.terminations[agent]:
            self._was_dead_step(action)
            return
        self.game.step(self._states, np.array([-1 if action is None else action]))
        self._cumulative_rewards[agent] = 0.0
        for seat, result in zip(SEATS, self.game.returns(self._states)[0], strict=True):
            self.rewards[seat] = float(result)
            self.terminations[seat] = bool(self._states["terminated"][0])
        self._select_mover()
        self._accumulate_rewards()
        if self.render_mode == "human":
            self.render()

    def _select_mover(self) -> None:
        self.agent_selection = self.possible_agents[self._states["to_play"][0]]

    def render(self) -> str | None:
        """The board as text in mode ``ansi``; printed, in colour, in mode ``human``."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() was called without a render_mode.")
            return None
        text = self.game.render(self._states[0], color=self.render_mode == "human")
        if self.render_mode == "ansi":
            return text
        print(text)
        return None

    def close(self) -> None:
        """Nothing is held open."""
