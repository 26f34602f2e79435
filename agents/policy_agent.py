"""Other people's Python as an agent: ``policy:my_agents.py:greedy``, a function that plays PettingZoo's environments.

It is called as the loops of PettingZoo's documentation do, ``action = greedy(observation, agent)``: ``observation`` is
``{"observation": …, "action_mask": …}`` and ``agent`` the name of the one to move, such as ``player_0``. It sees our
AEC environment of the game or, with ``env=pettingzoo.classic.connect_four_v3``, any other whose actions are numbered as
ours: what a policy was trained in, it can play in here.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.core import Array, ForfeitError, SearchResult
from agents.following import Followers, FollowingAgent
from agents.registry import AgentKind, option
from games import ArenaError, EndReason, Game, UnsupportedError

_USUAL_NAME = "policy"


@dataclass(frozen=True)
class PolicyOptions:
    """What ``policy:CODE,…`` accepts."""

    code: str = option("", "FILE.py:FUNCTION or a.module:FUNCTION; by default the function is called policy")
    env: str = option("", "the module of the AEC environment that it plays, with a function env(); empty = ours")

    def __post_init__(self) -> None:
        if not self.code:
            raise ArenaError("Agent 'policy' needs a function, as in policy:my_agents.py:greedy.")


class PolicyAgent(FollowingAgent[Any]):
    """A function of the observation as a ``HistoryAgent``: the environment it sees follows the moves of the game.

    Raises:
        ArenaError: there is no such function or environment, or the environment is of another game.
    """

    def __init__(self, spec: str, game: Game, options: PolicyOptions) -> None:
        self.name, self._game, self._options = spec, game, options
        self._policy = _load(options.code)
        super().__init__(Followers(game, self._begin, self._play))
        self._observe(self._begin(None), game.init(1))

    def act_after(
        self, states: Array, moves: Array, plies: Array, rng: np.random.Generator, slots: Array | None = None
    ) -> SearchResult:
        """Asks the function in every one of ``states`` ``[B]``; see ``HistoryAgent``.

        Raises:
            ForfeitError: it failed, or chose no legal move, in some of them; it holds the moves in the others.
        """
        if slots is None:
            self.reset()
        actions = np.full(len(states), -1, np.int64)
        ends: dict[int, tuple[EndReason, str]] = {}
        for row in range(len(states)):
            position, played = states[row : row + 1], tuple(moves[row, : plies[row]].tolist())
            environment = self._followers.follow(row if slots is None else int(slots[row]), position, played)
            try:
                actions[row] = self._choose(environment, position)
            except ArenaError as error:
                ends[row] = EndReason.FORFEIT, str(error)
        weights = np.zeros((len(states), self._game.spec.num_actions), np.float32)
        moved = np.flatnonzero(actions >= 0)
        weights[moved, actions[moved]] = 1.0
        values = np.full(len(states), np.nan, np.float32)
        result = SearchResult(actions, weights, values, np.zeros(weights.shape, np.int32))
        if ends:
            raise ForfeitError(ends, result)
        return result

    def _choose(self, environment: Any, states: Array) -> int:
        observation = self._observe(environment, states)
        try:
            chosen = self._policy(observation, environment.agent_selection)
            action = int(chosen) if np.ndim(chosen) == 0 and chosen == int(chosen) else -1
        except Exception as error:  # noqa: BLE001  # a stranger's code may fail in any way, and forfeits this game alone
            raise ArenaError(
                f"{self.name} failed with {type(error).__name__}: {' '.join(str(error).split())}"
            ) from None
        if not (0 <= action < self._game.spec.num_actions and self._game.legal_action_mask(states)[0, action]):
            raise ArenaError(f"{self.name} chose {str(chosen)[:40]!r}, which is no legal move.")
        return action

    def _observe(self, environment: Any, states: Array) -> Any:
        """What the one to move sees, whose legal moves must be ours."""
        observation = environment.last()[0]
        mask = observation.get("action_mask") if isinstance(observation, dict) else None
        seat = environment.possible_agents.index(environment.agent_selection)
        same_seat = seat == states["to_play"][0]
        if not same_seat or mask is None or not np.array_equal(mask, self._game.legal_action_mask(states)[0]):
            which, where = self._options.env or "the environment", self._game.state_to_string(states[0])
            raise ArenaError(f"{which} has other legal moves than {self._game.spec.name} in {where}.")
        return observation

    def _begin(self, states: Array | None) -> Any:
        if states is not None:
            raise UnsupportedError(
                f"{self.name} plays by the moves from the start of a game, which are not known here."
            )
        if not self._options.env:
            from games.envs import aec_env

            environment = aec_env(self._game.spec.name)
        else:
            environment = _attribute(_module(self._options.env), "env")()
        environment.reset()
        return environment

    def _play(self, environment: Any, states: Array, action: int) -> None:
        environment.step(action)


def _load(code: str) -> Callable[[Any, str], Any]:
    """The function that ``code`` names. Raises ArenaError where there is none."""
    place, colon, name = code.rpartition(":")
    return _attribute(_module(place if colon else code), name if colon else _USUAL_NAME)


def _module(place: str) -> Any:
    """The module ``place``, a file or a dotted name, imported."""
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        specification = importlib.util.spec_from_file_location(Path(place).stem, place)
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001  # a stranger's code may fail in any way
        said = " ".join(str(error).split())
        raise ArenaError(f"{place!r} cannot be imported: {type(error).__name__}: {said}") from None
    return module


def _attribute(module: Any, name: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if not callable(found):
        raise ArenaError(f"There is no function {name!r} in {module.__name__}.")
    return found


KIND = AgentKind("policy", "a Python function that plays PettingZoo's environments", PolicyOptions, PolicyAgent, "code")
