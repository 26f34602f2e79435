"""What both kinds of environment share: the observation, its space and the render modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from games.core import Array, Game, GameSpec, UnsupportedError

RENDER_MODES = ("ansi", "human")


def observation_space(spec: GameSpec) -> gymnasium.spaces.Dict:
    """``observation`` (planes within [-1, 1]) and ``action_mask`` (1 = legal), the keys that PettingZoo expects."""
    return gymnasium.spaces.Dict(
        {
            "observation": gymnasium.spaces.Box(-1.0, 1.0, spec.observation_shape, np.float32),
            "action_mask": gymnasium.spaces.MultiBinary(spec.num_actions),
        }
    )


class LegalDiscrete(gymnasium.spaces.Discrete):
    """All actions of a game; ``sample()`` without a mask draws among those that are legal at that moment.

    So the plain loop of every Gymnasium tutorial, and Gymnasium's own checker, play legal moves.
    """

    def __init__(self, num_actions: int, legal_action_mask: Callable[[], Array]) -> None:
        super().__init__(num_actions)
        self._legal_action_mask = legal_action_mask

    def sample(self, mask: Any = None, probability: Any = None) -> np.int64:
        if mask is None and probability is None:
            mask = self._legal_action_mask().astype(np.int8)
        return super().sample(mask, probability)


def observe(game: Game, states: Array, seat: int) -> dict[str, Array]:
    """What ``seat`` sees of the one game in ``states`` ``[1]``; its mask is all zeros when it is not to move."""
    seen = states.copy()
    seen["to_play"] = seat
    mask = game.legal_action_mask(states)[0] & (states["to_play"][0] == seat)
    return {"observation": game.observe(seen)[0], "action_mask": mask.astype(np.int8)}


def check_render_mode(render_mode: str | None) -> None:
    """Raises UnsupportedError unless ``render_mode`` is one that the environments have."""
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise UnsupportedError(f"Unknown render mode {render_mode!r}; accepted are {', '.join(RENDER_MODES)} and None.")
