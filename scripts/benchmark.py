"""How fast is it? One table: random play, the tree, the network, self-play, learning, and other projects beside them.

    python -m scripts.benchmark                               # Connect Four, an untrained network
    python -m scripts.benchmark --checkpoint runs/c4 --peers  # a trained one, with mctx + pgx on the same weights

Everything runs on one thread, pinned to one core where the system allows it. Each round measures every row once, in
turn, so that a slow minute of the machine hits all of them; a figure is the median over the rounds, with the lowest and
the highest, and a ratio is the median of the rounds' ratios.

What is counted. A *step* is one move in one game, choosing it among the legal ones included. A *simulation* is one
descent from the root that ends in one expansion attempt, for us and for the peers alike: whether its leaf was new to
the network, in the cache, or the end of the game. An *evaluation* is one position through the network. Before each
round of self-play the cache and the trees are emptied, as they are when a training run publishes new weights.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch start their threads

import resource
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import tyro

import games
from agents.network_evaluator import NetworkEvaluator, use_one_thread
from agents.networks import NetworkConfig, PolicyValueNetwork, build_network
from agents.networks.files import find_network, load_network
from agents.search import SearchConfig
from arena.config import preset
from games import ArenaError, Game
from scripts import benchmark_probes as probes
from scripts import peer_client
from scripts.benchmark_probes import EVALUATIONS, RAW, SELF_PLAY, Round

TREE_BATCHES = (64, 256, 1024)


@dataclass(frozen=True)
class Options:
    """Measures the arena's speed on one core."""

    game: str = "connect_four"
    """The game that the tree, the network, self-play and learning are measured on."""
    network: Annotated[str | None, tyro.conf.arg(metavar="BLOCKSxCHANNELS")] = None
    """Shape of an untrained network, as in 3x32; by default that of the game's preset."""
    checkpoint: Path | None = None
    """A run or a checkpoint whose network is measured instead."""
    simulations: int = 32
    """Simulations per move in self-play."""
    games_in_flight: int = 256
    """Games that self-play, and the peers, play at once."""
    seconds: float = 3.0
    """Seconds per row and round."""
    rounds: int = 5
    """How often every row is measured."""
    peers: bool = False
    """Also measure mctx + pgx (Connect Four, ResNet), in a virtual environment of its own that is made if need be."""
    peers_directory: Path = Path(".peers")
    """Where that environment is or will be."""


def choose_network(game: Game, options: Options) -> tuple[PolicyValueNetwork, NetworkConfig, str]:
    """The network to measure, its configuration, and what to call it."""
    if options.checkpoint is not None:
        network, metadata = load_network(find_network(options.checkpoint), game)
        return network, metadata.config, f"{options.checkpoint}, {describe(metadata.config)}"
    config = preset(game.spec.name).network
    if options.network is not None:
        blocks, separator, channels = options.network.partition("x")
        if not (separator and blocks.isdecimal() and channels.isdecimal()):
            raise ArenaError(f"--network is {options.network!r}; give BLOCKSxCHANNELS, as in 3x32.")
        config = NetworkConfig(backbone="resnet", blocks=int(blocks), channels=int(channels))
    network = build_network(config, game.spec.observation_shape, game.spec.num_actions).eval()
    return network, config, f"untrained, {describe(config)}"


def describe(config: NetworkConfig) -> str:
    """The network's shape in words."""
    if config.backbone == "resnet":
        return f"ResNet {config.blocks}x{config.channels}"
    return f"{config.backbone} {'-'.join(map(str, config.hidden))}"


def one_core() -> str:
    """Pins this process, and what it starts, to one core; says what was done."""
    use_one_thread()
    if not hasattr(os, "sched_setaffinity"):
        return "one thread, not pinned to a core"
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return f"one thread on core {core}"


def with_ratios(measured: Round) -> Round:
    """Adds what follows from several rows of the same round."""
    measured["self-play, share of the network's own throughput (%)"] = 100 * measured[EVALUATIONS] / measured[RAW]
    if peer_client.ROW in measured:
        measured["self-play, ratio to mctx + pgx"] = measured[SELF_PLAY] / measured[peer_client.ROW]
    return measured


def print_table(rounds: list[Round]) -> None:
    """Median, lowest and highest of every row, as a Markdown table."""
    print(f"\n| what | median of {len(rounds)} | lowest | highest |\n|---|---:|---:|---:|")
    for name in rounds[0]:
        values = [measured[name] for measured in rounds]
        print(f"| {name} | " + " | ".join(number(value) for value in (median(values), min(values), max(values))) + " |")


def number(value: float) -> str:
    """Three significant figures, or all digits before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def run(options: Options) -> None:
    """Measures everything and prints the table."""
    game = games.make(options.game)
    network, network_config, label = choose_network(game, options)
    evaluator = NetworkEvaluator(game, network, device="cpu")
    python = peer_client.make_environment(options.peers_directory) if options.peers else None
    pinned = one_core()
    precision = str(evaluator.precision).removeprefix("torch.")
    print(
        f"{game.spec.name}; {label}, {precision}; {options.simulations} simulations a move, "
        f"{options.games_in_flight} games in flight; {pinned}",
        flush=True,
    )
    seconds = options.seconds
    table = [probes.random_play(name, seconds) for name in games.available()]
    table += [probes.tree_alone(game, batch, options.simulations, seconds) for batch in TREE_BATCHES]
    table += [probes.learning(game, network_config, seconds), probes.raw_network(game, evaluator, seconds)]
    table.append(
        probes.self_play(
            game,
            network,
            evaluator,
            simulations=options.simulations,
            games_in_flight=options.games_in_flight,
            seconds=seconds,
        )
    )
    peer = start_peer(python, network, network_config, options) if python is not None else None
    if peer is not None:
        table.append(lambda: peer.measure(seconds))
    rounds = []
    for index in range(options.rounds):
        measured: Round = {}
        for probe in table:
            measured |= probe()
        rounds.append(with_ratios(measured))
        print(f"round {index + 1} of {options.rounds}: {number(measured[SELF_PLAY])} simulations/s", flush=True)
    print_table(rounds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"\nPeak memory of this process: {peak:,.0f} MB.")
    if peer is not None:
        peer.stop()
        print(f"Peak memory of the peer ({peer.versions}): {peer.peak_megabytes:,.0f} MB.")


def start_peer(
    python: Path, network: PolicyValueNetwork, network_config: NetworkConfig, options: Options
) -> peer_client.MctxPgx:
    """mctx + pgx on the same network, games and simulations."""
    if options.game != "connect_four":
        raise ArenaError(f"--peers plays connect_four, not {options.game}; leave --peers out.")
    with tempfile.TemporaryDirectory() as scratch:
        return peer_client.MctxPgx(
            python,
            Path(scratch),
            network,
            network_config,
            num_games=options.games_in_flight,
            simulations=options.simulations,
            max_considered=SearchConfig().max_considered,
        )


if __name__ == "__main__":
    try:
        run(tyro.cli(Options, prog="python -m scripts.benchmark"))
    except ArenaError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
