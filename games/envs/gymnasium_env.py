"""Any game as a Gymnasium environment: the learner holds one seat, an opponent the other."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import gymnasium
import numpy as np

import games
from games.core import Array, UnsupportedError
from games.envs.spaces import RENDER_MODES, LegalDiscrete, check_render_mode, observation_space, observe

Seat = Literal["first", "second", "random"]


class Choice(Protocol):
    """What an opponent answers; ``action`` is int ``[B]``."""

    @property
    def action(self) -> Array: ...


class Opponent(Protocol):
    """Anything that chooses moves for states ``[B]``; every agent of the package ``agents`` does."""

    def act(self, states: Array, rng: np.random.Generator) -> Choice: ...


class ArenaEnv(gymnasium.Env[Any, Any]):
    """One game, one learner.

    The observation is ``{"observation": float32 [C, H, W], "action_mask": int8 [A]}``; the mask is in ``info`` too, and
    ``action_masks()`` gives it as booleans. The reward is the learner's result (1, 0 or -1, or what the game returns)
    when the game ends and 0 before. The rules end every game, so ``truncated`` is always False here; a time limit, if
    one is wanted, is Gymnasium's ``TimeLimit``. An illegal action raises ``games.IllegalActionError``.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 1}  # noqa: RUF012

    def __init__(
        self, game: str, *, opponent: Opponent | None = None, seat: Seat = "first", render_mode: str | None = None
    ) -> None:
        """Sets up ``game``; a game for two is played against ``opponent`` (None: uniformly random legal moves).

        Raises:
            UnknownNameError: no such game.
            UnsupportedError: no such seat or render mode, or an opponent in a game for one.
        """
        self.game = games.make(game)
        spec = self.game.spec
        if seat not in ("first", "second", "random"):
            raise UnsupportedError(f"Unknown seat {seat!r}; accepted are first, second and random.")
        if spec.num_players == 1 and (opponent is not None or seat != "first"):
            raise UnsupportedError(f"{spec.name} is for one player; leave opponent and seat as they are.")
        check_render_mode(render_mode)
        self.render_mode = render_mode
        self.observation_space = observation_space(spec)
        self.action_space = LegalDiscrete(spec.num_actions, self.action_masks)
        self.opponent, self.seat = opponent, seat
        self._states, self._seat = self.game.init(1), 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        super().reset(seed=seed)
        self._states = self.game.init(1)
        self._seat = int(self.np_random.integers(2)) if self.seat == "random" else int(self.seat == "second")
        self._play_opponent()
        self._draw()
        return self._observe()

    def step(self, action: int) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        self.game.step(self._states, np.array([action]))
        self._play_opponent()
        self._draw()
        observation, info = self._observe()
        reward = float(self.game.returns(self._states)[0, self._seat])
        return observation, reward, bool(self._states["terminated"][0]), False, info

    def action_masks(self) -> Array:
        """bool ``[A]``, True = legal; the name is the one that sb3-contrib's MaskablePPO calls."""
        return self.game.legal_action_mask(self._states)[0]

    def render(self) -> str | None:
        """The board as text in mode ``ansi``; in mode ``human`` every reset and step has printed it already."""
        return self.game.render(self._states[0]) if self.render_mode == "ansi" else None

    def _draw(self) -> None:
        if self.render_mode == "human":
            print(self.game.render(self._states[0], color=True))

    def _play_opponent(self) -> None:
        while not self._states["terminated"][0] and self._states["to_play"][0] != self._seat:
            if self.opponent is None:
                actions = self.np_random.choice(np.flatnonzero(self.action_masks()), size=1)
            else:
                actions = self.opponent.act(self._states.copy(), self.np_random).action
            self.game.step(self._states, actions)

    def _observe(self) -> tuple[dict[str, Array], dict[str, Any]]:
        observation = observe(self.game, self._states, self._seat)
        return observation, {"action_mask": observation["action_mask"]}
