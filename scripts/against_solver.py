"""Plays an agent, as first player from the empty board, against the exact solver's best play, and prints the record.

    python -m scripts.against_solver runs/c4 --games 20 --simulations 200

In a game that the first player wins with perfect play, such as Connect Four, a perfect agent wins them all. The solver
draws among its best moves, so the games differ although the agent has no randomness of its own. A move of the agent's
with which it throws away a win or a draw is marked with ?.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

import agents
import games
from agents.network_evaluator import use_one_thread
from arena.play import play_games
from arena.records import Pairing, Trajectory
from games import Game
from scripts.program import start


@dataclass(frozen=True)
class Options:
    """An agent as first player against the exact solver."""

    run: Annotated[Path, tyro.conf.Positional]
    """A training run or one checkpoint."""
    game: str = "connect_four"
    """A game with an exact solver."""
    games: int = 20
    """How many games."""
    simulations: int = 200
    """The agent's simulations per move; 0 = its raw policy."""
    seed: int = 0
    """What the solver's choices among its best moves are drawn from."""


def run(options: Options) -> None:
    """Plays the games and prints each of them, then the record."""
    use_one_thread()
    game = games.make(options.game)
    players = [
        agents.make(f"net:{options.run},simulations={options.simulations}", game),
        agents.make("solver", game),
    ]
    pairings = (Pairing(number, seats=(0, 1)) for number in range(options.games))
    started = time.perf_counter()
    results = []
    for trajectory in play_games(game, players, pairings, slots=options.games, rng=np.random.default_rng(options.seed)):
        results.append(float(trajectory.returns[0]))
        outcome = {1.0: "won", 0.0: "drawn", -1.0: "lost"}[results[-1]]
        moves = " ".join(written(game, trajectory))
        print(f"game {trajectory.pairing.number + 1:3d}: {outcome:5s} {moves}", flush=True)
    won, drawn, lost = (results.count(value) for value in (1.0, 0.0, -1.0))
    print(
        f"{players[0].name} as first player against the solver: {won} won, {drawn} drawn, {lost} lost "
        f"(seed {options.seed}, {time.perf_counter() - started:.0f} s)"
    )


def written(game: Game, trajectory: Trajectory) -> list[str]:
    """The moves of a game whose second player was the solver; a first player's move that threw something away has a ?
    behind it, but nobody judges the very first."""
    left = np.append(-trajectory.root_values[1::2], trajectory.returns[0])  # to the agent, by the solver
    thrown_away = set(2 * np.flatnonzero(np.diff(left) < 0) + 2)
    states, moves = game.init(1), []
    for ply, action in enumerate(trajectory.moves.tolist()):
        moves.append(game.action_to_string(states[0], action) + "?" * (ply in thrown_away))
        game.step(states, [action])
    return moves


if __name__ == "__main__":
    start(run, Options)
