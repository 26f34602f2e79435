"""What ``arena benchmark`` and ``arena doctor`` measure. Each function prepares and warms up one thing and returns its
probe, which measures it once whenever it is called: some rows of the table, by name.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator

import numpy as np

import agents
import games
from agents.core import Evaluation
from agents.network_evaluator import NetworkEvaluator
from agents.networks import NetworkConfig, PolicyValueNetwork
from agents.search import Search, SearchConfig
from arena.config import preset
from arena.learner import Learner
from arena.play import play_games
from arena.records import Pairing
from arena.replay import Replay
from arena.self_play import SelfPlay
from arena.shards import Shard
from games import Game, sample_legal

Array = np.ndarray
Round = dict[str, float]
Probe = Callable[[], Round]

RANDOM_BYTES = 1 << 20
"""Random play has so many games that their states and masks fit in a core's own cache or nearly, 64 to 4,096."""
RANDOM_PLAY = "random play"
NETWORK_BATCH = 256
SELF_PLAY = "self-play (simulations/s)"
LARGER_SEARCHES = "self-play with the preset's larger searches (simulations/s)"
EVALUATIONS = "self-play, evaluations/s"
POSITIONS = "self-play, positions of finished games/s"
NETWORK_SHARE = "self-play, share of time in the network (%)"
LEARNING = "learning, drawing included (samples/s)"
WHOLE_LOOP = "self-play and learning in turn (positions/s)"


class UniformEvaluator:
    """Knows nothing and takes no time, so that only the tree and the rules are left to measure."""

    version = 0
    cacheable = False

    def evaluate(self, states: Array, legal_action_mask: Array) -> Evaluation:
        """Equal logits and a value of zero."""
        return Evaluation(np.zeros(legal_action_mask.shape, np.float32), np.zeros(len(states), np.float32))


def timed(seconds: float, work: Callable[[], int]) -> float:
    """Calls ``work``, which returns how much it did, for at least ``seconds``; how much per second."""
    done, started = 0, time.perf_counter()
    while True:
        done += work()
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return done / elapsed


def random_positions(game: Game, count: int, rng: np.random.Generator) -> Array:
    """``count`` positions that are not over, from all stages of random play."""
    states = game.init(count)
    for _ in range(min(3 * game.spec.max_plies, 250)):  # by then nearly all games have been started anew
        play_randomly(game, states, rng)
        states[rng.random(count) < 0.02] = game.init(1)[0]
    return states


def play_randomly(game: Game, states: Array, rng: np.random.Generator) -> None:
    """One random legal move in every game; games that it ended start again."""
    game.step_unchecked(states, sample_legal(game.legal_action_mask(states), rng))
    over = np.flatnonzero(states["terminated"])
    if len(over):
        states[over] = game.init(len(over))


def random_play(name: str, seconds: float) -> Probe:
    """Random play of our game ``name`` through the batch interface."""
    game, rng = games.make(name), np.random.default_rng(0)
    batch = min(max(RANDOM_BYTES // (game.dtype.itemsize + game.spec.num_actions), 64), 4096)
    states = random_positions(game, batch, rng)

    def ours() -> int:
        play_randomly(game, states, rng)
        return batch

    return lambda: {f"{RANDOM_PLAY}, {name} (steps/s)": timed(seconds, ours)}


def tree_alone(game: Game, batch: int, simulations: int, seconds: float) -> Probe:
    """The search without a network: its kernels and the game's rules."""
    rng = np.random.default_rng(0)
    states = random_positions(game, batch, rng)
    config = SearchConfig(simulations=simulations, reuse_tree=False)
    search = Search(game, UniformEvaluator(), config)
    search.act(states, rng)

    def work() -> int:
        search.act(states, rng)
        return batch * simulations

    return lambda: {f"search with a free evaluator, {batch} games (simulations/s)": timed(seconds, work)}


def raw_network(game: Game, evaluator: NetworkEvaluator, seconds: float, batch: int = NETWORK_BATCH) -> Probe:
    """The network on a batch of random positions, their planes included."""
    states = random_positions(game, batch, np.random.default_rng(0))
    masks = game.legal_action_mask(states)
    evaluator.evaluate(states, masks)

    def work() -> int:
        evaluator.evaluate(states, masks)
        return batch

    return lambda: {raw_row(batch): timed(seconds, work)}


def raw_row(batch: int) -> str:
    """The name of a row of ``raw_network``."""
    return f"network alone, batch {batch} (positions/s)"


def self_play(
    game: Game,
    network: PolicyValueNetwork,
    evaluator: NetworkEvaluator,
    *,
    simulations: int,
    games_in_flight: int,
    seconds: float,
    start_simulations: int = 0,
) -> Probe:
    """Whole self-play as a training worker does it, the only one of its learner, warmed up until games of all lengths
    end. Every move has ``simulations``, as other projects have it, unless ``start_simulations`` says otherwise, as the
    preset may. New weights, which empty the cache, come after as many positions as in training, so a round shorter than
    that says less than a mean of several."""
    base = preset(game.spec.name)
    publish_positions = base.learner.publish_steps * base.learner.batch_size / base.learner.samples_per_position
    search_config = dataclasses.replace(base.search, simulations=simulations)
    config = dataclasses.replace(base.self_play, slots=games_in_flight, start_simulations=start_simulations)
    worker = SelfPlay(game, evaluator, search_config, config, seed=0)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    ended, since_publication = 0, math.inf
    while ended < 2 * games_in_flight:
        ended += worker.play().num_games

    def probe() -> Round:
        nonlocal since_publication
        total = dict.fromkeys(("simulations", "evaluations", "batches", "cache_hits", "duplicates", "terminals"), 0)
        elapsed = network_seconds = 0.0
        positions = 0
        while elapsed < seconds:
            if since_publication >= publish_positions:
                worker.set_weights(weights, evaluator.version + 1)
                since_publication = 0
            fresh = worker.play().num_positions
            positions += fresh
            since_publication += fresh
            assert worker.stats is not None
            elapsed += worker.stats.seconds
            network_seconds += worker.stats.search.seconds_network
            total = {name: count + getattr(worker.stats.search, name) for name, count in total.items()}
        return {
            SELF_PLAY: total["simulations"] / elapsed,
            EVALUATIONS: total["evaluations"] / elapsed,
            POSITIONS: positions / elapsed,
            NETWORK_SHARE: 100 * network_seconds / elapsed,
            "self-play, simulations answered by the cache (%)": 100 * total["cache_hits"] / total["simulations"],
            "self-play, duplicates within a batch (%)": 100 * total["duplicates"] / total["simulations"],
            "self-play, simulations that ended a game (%)": 100 * total["terminals"] / total["simulations"],
            "self-play, mean batch that reached the network": total["evaluations"] / total["batches"],
        }

    return probe


def learning(game: Game, network_config: NetworkConfig, seconds: float) -> Probe:
    """Drawing from a replay of random games, and training steps on what was drawn."""
    config, rng = preset(game.spec.name), np.random.default_rng(0)
    pairings: Iterator[Pairing] = (Pairing(number, (0,) * game.spec.num_players) for number in range(2000))
    trajectories = list(play_games(game, [agents.make("random", game)], pairings, slots=512, rng=rng))
    replay = Replay(game, config.replay, seed=0, length_weight=0.0)
    replay.add(Shard.from_trajectories(game.spec, trajectories))
    learner = Learner(game.spec, network_config, config.learner, seed=0, threads=1)
    size = config.learner.batch_size

    def draw() -> int:
        replay.sample(size)
        return size

    def learn() -> int:
        learner.step(replay.sample(size), progress=0.0)
        return size

    learn()
    return lambda: {
        f"replay, batch {size} (samples/s)": timed(seconds, draw),
        LEARNING: timed(seconds, learn),
    }


def whole_loop(game: Game, network: PolicyValueNetwork, network_config: NetworkConfig, seconds: float) -> Probe:
    """Training with the game's preset on one core: a shard of self-play, then the steps owed for it, in turn.

    The learner starts from fresh weights, but ``network`` goes on playing, so that games are those of its strength.
    """
    config = preset(game.spec.name)
    worker = SelfPlay(game, NetworkEvaluator(game, network, device="cpu"), config.search, config.self_play, seed=1)
    worker.set_weights({name: tensor.numpy() for name, tensor in network.state_dict().items()}, version=1)
    replay = Replay(game, config.replay, seed=1, length_weight=config.search.length_weight)
    learner = Learner(game.spec, network_config, config.learner, seed=1, threads=1)
    ended, owed = 0, 0.0
    while ended < config.self_play.slots:  # until games of all lengths end
        shard = worker.play()
        replay.add(shard)
        ended += shard.num_games

    def work() -> int:
        nonlocal owed
        shard = worker.play()
        replay.add(shard)
        owed += shard.num_positions * config.learner.samples_per_position
        while owed >= config.learner.batch_size:
            learner.step(replay.sample(config.learner.batch_size), progress=0.5)
            owed -= config.learner.batch_size
        return shard.num_positions

    return lambda: {WHOLE_LOOP: timed(seconds, work)}
