"""``arena benchmark`` with other projects beside it, in one table.

    python -m scripts.benchmark                               # Connect Four, an untrained network, OpenSpiel's rules
    python -m scripts.benchmark --checkpoint runs/c4 --peers  # a trained one, with mctx + pgx and OpenSpiel's AlphaZero

What is measured and how is told in arena/benchmark.py. The peers play with the same weights (OpenSpiel's AlphaZero as
it comes: with a network of the same shape), the same number of simulations and, where they can, the same number of
games at once, in turn with us on the same core.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch start their threads

import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import games
from agents.search import SearchConfig
from arena import benchmark
from arena.options import Benchmark
from arena.probes import LARGER_SEARCHES, RANDOM_PLAY, SELF_PLAY, Probe, Round, timed
from games import ArenaError, UnsupportedError
from games.openspiel import their_name
from scripts import peer_client
from scripts.program import start


@dataclass(frozen=True)
class Options(Benchmark):
    """Measures the arena's speed on one core, beside other projects."""

    peers: bool = False
    """Also measure mctx + pgx and OpenSpiel's Python AlphaZero (Connect Four, ResNet), in a virtual environment that is
    made for them if need be."""
    peers_directory: Path = Path(".peers")
    """Where that environment is or will be."""


def open_spiel_random_play(name: str, seconds: float) -> Probe | None:
    """Random play of the same game in OpenSpiel, from Python; None where it is not installed or has none."""
    try:
        import pyspiel

        theirs = their_name(games.make(name))
    except (ImportError, UnsupportedError):
        return None
    game: Any = pyspiel.load_game(theirs)

    def playout() -> int:
        state, plies = game.new_initial_state(), 0
        while not state.is_terminal():
            legal = state.legal_actions()
            state.apply_action(legal[int(random.random() * len(legal))])
            plies += 1
        return plies

    return lambda: {f"{RANDOM_PLAY}, {name}, OpenSpiel from Python (steps/s)": timed(seconds, playout)}


def with_ratios(row: Round) -> Round:
    """Adds our figures as multiples of the others' of the same round."""
    for name in games.families():
        theirs = row.get(f"{RANDOM_PLAY}, {name}, OpenSpiel from Python (steps/s)")
        if theirs is not None:
            row[f"{RANDOM_PLAY}, {name}, ratio"] = row[f"{RANDOM_PLAY}, {name} (steps/s)"] / theirs
    for name in peer_client.PEERS:
        theirs = row.get(f"{name}, self-play (simulations/s)")
        if theirs is not None:
            row[f"self-play, ratio to {name}"] = row[SELF_PLAY] / theirs
            if LARGER_SEARCHES in row:
                row[f"self-play with the preset's larger searches, ratio to {name}"] = row[LARGER_SEARCHES] / theirs
    return row


def run(options: Options) -> None:
    """Measures everything and prints the table."""
    subject = benchmark.choose(options)
    if options.peers and options.game != "connect_four":
        raise ArenaError(f"--peers plays connect_four, not {options.game}; leave --peers out.")
    python = peer_client.make_environment(options.peers_directory) if options.peers else None
    benchmark.announce(subject, benchmark.one_core())
    table = benchmark.own_probes(subject, options.seconds)
    others = (open_spiel_random_play(name, options.seconds) for name in games.families())
    table += [probe for probe in others if probe is not None]
    peers = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in peer_client.PEERS if python is not None else ():
            assert python is not None
            peer = peer_client.Peer(
                name,
                python,
                Path(scratch),
                subject.network,
                subject.network_config,
                num_games=subject.games_in_flight,
                simulations=subject.simulations,
                max_considered=SearchConfig().max_considered,
            )
            peers.append(peer)
            table.append(lambda peer=peer: peer.measure(options.seconds))
    benchmark.measure(table, options.rounds, with_ratios)
    for peer in peers:
        peer.stop()
        print(f"Peak memory of the peer {peer.versions}: {peer.peak_megabytes:,.0f} MB.")


if __name__ == "__main__":
    start(run, Options)
