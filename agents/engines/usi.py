"""Engines that speak USI, which is UCI for shogi: ``usi:fairy-stockfish,movetime=100``."""

from __future__ import annotations

from agents.engines.agent import EngineAgent
from agents.engines.uci import UciEngine, UciOptions
from agents.registry import AgentKind
from games import Game
from games.notation import USI


def build(spec: str, game: Game, options: UciOptions) -> EngineAgent:
    """An agent that plays with an engine."""
    return EngineAgent(spec, game, options, lambda: UciEngine(game, options, USI))


KIND = AgentKind("usi", "an engine that speaks USI, for shogi", UciOptions, build, argument="command", others="others")
