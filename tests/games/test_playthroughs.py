"""Whole games, written out ply by ply in ``playthroughs/``: a change of rules, planes, hashes or text shows as a diff.

``python -m tests.games.test_playthroughs`` plays a random game of every game that has no file yet, and
writes the files of the others anew from the moves that stand in them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import games
from games.core import Game

FOLDER = Path(__file__).parent / "playthroughs"
# Of a game in several sizes, the smallest.
NAMES = [min(names, key=lambda name: games.make(name).spec.num_actions) for names in games.families().values()]


def random_moves(game: Game, seed: int) -> list[int]:
    rng, states, moves = np.random.default_rng(seed), game.init(1), []
    while not states["terminated"][0]:
        moves.append(int(rng.choice(np.flatnonzero(game.legal_action_mask(states)[0]))))
        game.step(states, moves[-1:])
    return moves


def playthrough(game: Game, moves: list[int]) -> str:
    """Everything that the game says about every position of one game."""
    lines = [f"game: {game.spec.name}, version {game.spec.version}", f"actions: {' '.join(map(str, moves))}"]
    states = game.init(1)
    for action in [*moves, None]:
        state = states[0]
        lines += ["", f"# ply {state['ply']}, seat {state['to_play']} to move", game.render(state)]
        lines.append(f"text: {game.state_to_string(state)}")
        lines.append(f"hash: {int(game.hash(states)[0]):016x}")
        legal = np.flatnonzero(game.legal_action_mask(states)[0])
        lines.append(f"legal: {' '.join(f'{a}={game.action_to_string(state, int(a))}' for a in legal)}".rstrip())
        lines.append(f"returns: {' '.join(f'{value:g}' for value in game.returns(states)[0])}")
        lines.append("planes:")
        for rows in game.observe(states)[0].swapaxes(0, 1):
            lines.append("  ".join("".join("." if value == 0 else f"{value:g}" for value in row) for row in rows))
        if action is not None:
            lines.append(f"action: {action}")
            game.step(states, [action])
    return "\n".join(lines) + "\n"


def recorded_moves(text: str) -> list[int]:
    return [int(action) for action in text.splitlines()[1].removeprefix("actions: ").split()]


@pytest.mark.parametrize("name", NAMES)
def test_playthrough(name: str) -> None:
    expected = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert playthrough(games.make(name), recorded_moves(expected)) == expected


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in NAMES:
        path, game = FOLDER / f"{name}.txt", games.make(name)
        moves = recorded_moves(path.read_text(encoding="utf-8")) if path.exists() else random_moves(game, seed=1)
        path.write_text(playthrough(game, moves), encoding="utf-8")
