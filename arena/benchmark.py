"""How fast is it? One table: random play, the tree, the network, self-play, learning, and the whole loop.

Everything runs on one thread, pinned to one core where the system allows it. Each round measures every row once, in
turn, so that a slow minute of the machine hits all of them; a figure is the median over the rounds, with the lowest and
the highest, and a ratio is the median of the rounds' ratios.

What is counted. A *step* is one move in one game, choosing it among the legal ones included. A *simulation* is one
descent from the root that ends in one expansion attempt: whether its leaf was new to the network, in the cache, or the
end of the game. An *evaluation* is one position through the network. Before each round of self-play the cache and the
trees are emptied, as they are when a training run publishes new weights.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

import games
from agents.network_evaluator import NetworkEvaluator, use_one_thread
from agents.networks import NetworkConfig, PolicyValueNetwork, build_network
from agents.networks.files import find_network, load_network
from arena import probes
from arena.config import preset
from arena.probes import EVALUATIONS, LARGER_SEARCHES, NETWORK_BATCH, SELF_PLAY, Probe, Round, raw_row
from games import ArenaError, Game

if TYPE_CHECKING:
    from arena.options import Benchmark

TREE_BATCHES = (64, 256, 1024)


@dataclass(frozen=True)
class Subject:
    """What is measured: the game, the network, and how it searches."""

    game: Game
    network: PolicyValueNetwork
    network_config: NetworkConfig
    label: str
    simulations: int
    games_in_flight: int


def choose(options: Benchmark) -> Subject:
    """The subject that ``options`` describe.

    Raises:
        ArenaError: no such game, or a network that is not one.
    """
    base = preset(options.game)
    game = games.make(options.game)
    simulations, in_flight = options.simulations, options.games_in_flight
    if options.checkpoint is not None:
        network, metadata = load_network(find_network(options.checkpoint), game)
        config, label = metadata.config, f"{options.checkpoint}, {describe(metadata.config)}"
    else:
        config = base.network
        if options.network is not None:
            blocks, separator, channels = options.network.partition("x")
            if not (separator and blocks.isdecimal() and channels.isdecimal()):
                raise ArenaError(f"--network is {options.network!r}; give BLOCKSxCHANNELS, as in 3x32.")
            config = NetworkConfig(backbone="resnet", blocks=int(blocks), channels=int(channels))
        network = build_network(config, game.spec.observation_shape, game.spec.num_actions).eval()
        label = f"untrained, {describe(config)}"
    return Subject(
        game,
        network,
        config,
        label,
        simulations=base.search.simulations if simulations is None else simulations,
        games_in_flight=base.self_play.slots if in_flight is None else in_flight,
    )


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


def own_probes(subject: Subject, seconds: float) -> list[Probe]:
    """One probe for each part of the arena."""
    game, network = subject.game, subject.network
    evaluator = NetworkEvaluator(game, network, device="cpu")

    def self_play(start_simulations: int) -> Probe:
        return probes.self_play(
            game,
            network,
            evaluator,
            simulations=subject.simulations,
            games_in_flight=subject.games_in_flight,
            seconds=4 * seconds,  # about as long as Connect Four's learner takes from new weights to new weights
            start_simulations=start_simulations,
        )

    table = [
        *(probes.random_play(name, seconds) for name in games.families()),
        *(probes.tree_alone(game, batch, subject.simulations, seconds) for batch in TREE_BATCHES),
        probes.learning(game, subject.network_config, seconds),
        probes.raw_network(game, evaluator, seconds),
        self_play(0),
        probes.whole_loop(game, network, subject.network_config, seconds),
    ]
    larger = preset(game.spec.name).self_play.start_simulations
    if larger:
        as_trained = self_play(larger)
        table.append(lambda: {LARGER_SEARCHES: as_trained()[SELF_PLAY]})
    return table


def measure(table: Sequence[Probe], rounds: int, with_ratios: Callable[[Round], Round] = lambda row: row) -> None:
    """Measures every probe of ``table`` once in each round, and prints the table. ``with_ratios`` adds to a round what
    follows from several of its rows."""
    measured = []
    for _ in track(range(rounds), "measuring", console=Console(stderr=True), transient=True):
        row: Round = {}
        for probe in table:
            row |= probe()
        row["self-play, share of the network's own throughput (%)"] = (
            100 * row[EVALUATIONS] / row[raw_row(NETWORK_BATCH)]
        )
        measured.append(with_ratios(row))
    print_table(measured)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"\nPeak memory of this process: {peak:,.0f} MB.")


def print_table(rounds: list[Round]) -> None:
    """Median, lowest and highest of every row, as a Markdown table."""
    print(f"\n| what | median of {len(rounds)} | lowest | highest |\n|---|---:|---:|---:|")
    for name in rounds[0]:
        values = [measured[name] for measured in rounds]
        print(f"| {name} | " + " | ".join(number(value) for value in (median(values), min(values), max(values))) + " |")


def number(value: float) -> str:
    """Three significant figures, or all digits before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def announce(subject: Subject, pinned: str) -> None:
    """Says what is going to be measured."""
    print(
        f"{subject.game.spec.name}; {subject.label}; {subject.simulations} simulations a move, "
        f"{subject.games_in_flight} games in flight; {pinned}",
        flush=True,
    )


def run(options: Benchmark) -> None:
    """Measures everything and prints the table."""
    if options.rounds < 1 or not options.seconds > 0:
        raise ArenaError(f"--rounds is {options.rounds} and --seconds {options.seconds}; both must be above zero.")
    subject = choose(options)
    announce(subject, one_core())
    measure(own_probes(subject, options.seconds), options.rounds)
