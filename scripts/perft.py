"""Counts the leaves of a game's tree, move by move.

python -m scripts.perft othello 8
python -m scripts.perft connect_four 6 --state "7/7/7/7/3o3/2xxo2 x"
python -m scripts.perft shogi 5 --open-spiel 3
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

import games
from games import ArenaError, Game
from games.openspiel import their_name
from games.perft import divide
from scripts.program import start


@dataclass(frozen=True)
class Options:
    """Perft with divide: how many sequences of legal moves there are, by first move and in all."""

    game: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="GAME")]
    """The game."""
    depth: Annotated[int, tyro.conf.Positional]
    """Length of the sequences, in plies; 1 or more."""
    state: str | None = None
    """The position they begin in, as the game writes it (state_to_string); by default its start."""
    open_spiel: int = 0
    """Also count to this depth from the start with OpenSpiel's rules, driven from Python, and compare the speeds."""


def run(options: Options) -> None:
    """Prints one line per first move, then the sum and the speed."""
    if options.depth < 1:
        raise ArenaError(f"The depth is {options.depth}; give 1 or more.")
    game = games.make(options.game)
    state = game.init(1) if options.state is None else game.parse_state(options.state)
    divide(game, state, 1 if options.depth == 1 else 2)  # compiles or loads the kernels
    started = time.perf_counter()
    counts = divide(game, state, options.depth)
    elapsed = time.perf_counter() - started
    for move, count in counts.items():
        print(f"{move}: {count}")
    total = sum(counts.values())
    print(f"perft({options.depth}) = {total:,} ({elapsed:.2f} s, {total / elapsed:,.0f} leaves/s)")
    if options.open_spiel:
        compare(options, game, total / elapsed)


def compare(options: Options, game: Game, ours: float) -> None:
    """Prints OpenSpiel's count and speed, and ``ours`` (leaves/s) as a multiple of it."""
    import pyspiel

    if options.state is not None or options.open_spiel < 0:
        raise ArenaError("--open-spiel counts from the start of the game, to a depth of 1 or more; leave --state out.")
    root = pyspiel.load_game(their_name(game)).new_initial_state()
    started = time.perf_counter()
    count = their_perft(root, options.open_spiel)
    theirs = count / (time.perf_counter() - started)
    known = sum(divide(game, game.init(1), options.open_spiel).values())
    print(f"OpenSpiel: perft({options.open_spiel}) = {count:,} ({theirs:,.0f} leaves/s); here {known:,}")
    print(f"Ratio of the speeds: {ours / theirs:.1f}")


def their_perft(state: Any, depth: int) -> int:
    """Leaves below a state of OpenSpiel's; the last ply is counted and not played."""
    actions = [] if state.is_terminal() else state.legal_actions()
    return len(actions) if depth == 1 else sum(their_perft(state.child(action), depth - 1) for action in actions)


if __name__ == "__main__":
    start(run, Options)
