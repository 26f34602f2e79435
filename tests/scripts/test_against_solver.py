"""The record of games against the exact solver says where they were thrown away."""

from __future__ import annotations

import numpy as np

import agents
import games
from arena.play import play_games
from arena.records import Pairing
from scripts.against_solver import written


def test_moves_that_throw_a_result_away_are_marked() -> None:
    game = games.make("tic_tac_toe")
    players = [agents.make("random", game), agents.make("solver", game)]
    pairings = (Pairing(number, seats=(0, 1)) for number in range(30))
    marks = 0
    for trajectory in play_games(game, players, pairings, slots=30, rng=np.random.default_rng(0)):
        states = game.init(1)
        for ply, (action, move) in enumerate(zip(trajectory.moves.tolist(), written(game, trajectory), strict=True)):
            scores = game.solve(states)[0]
            assert (move[-1] == "?") == (ply > 0 and np.sign(scores[action]) < np.sign(scores.max()))
            assert move.rstrip("?") == game.action_to_string(states[0], action)
            marks += move[-1] == "?"
            game.step(states, [action])
    assert marks > 10
