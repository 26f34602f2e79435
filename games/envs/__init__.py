"""Games as environments. Importing this registers every game with Gymnasium: ``Arena/ConnectFour-v0`` and so on."""

from __future__ import annotations

import gymnasium

import games
from games.envs.gymnasium_env import ArenaEnv
from games.envs.pettingzoo_env import aec_env

__all__ = ["ArenaEnv", "aec_env", "env_id"]


def env_id(game_name: str) -> str:
    """The Gymnasium id of a game: ``connect_four`` is ``Arena/ConnectFour-v0``."""
    return f"Arena/{''.join(word.capitalize() for word in game_name.split('_'))}-v0"


# Gymnasium 1.x finds no plug-ins by itself, so this import is what registers.
for _name in games.available():
    if env_id(_name) not in gymnasium.registry:
        gymnasium.register(env_id(_name), entry_point="games.envs.gymnasium_env:ArenaEnv", kwargs={"game": _name})
