"""Self-play of Connect Four with OpenSpiel's Python AlphaZero, as the peer of ``scripts/benchmark.py --peers``.

It runs in a virtual environment of its own (``scripts/peers/requirements.txt``) and imports nothing of the arena. The
search is OpenSpiel's ``MCTSBot`` with its ``AlphaZeroEvaluator``, set up as its ``alpha_zero.py`` sets up self-play:
PUCT, Dirichlet noise at the root, no tree reuse, one position through the network at a time. Its cache is emptied
before each measurement, and four games in five begin with up to 16 random moves: otherwise it would play the same
positions over and over, all of them in the cache. The network is OpenSpiel's own ResNet of as many blocks and channels,
untrained, as its ``alpha_zero.py`` makes and asks it by default; or, with ``--our-network``, the
arena's in plain JAX with the arena's own weights, compiled for a batch of one, which shows what their search could do.

What is counted: a *simulation* is one descent from the root, as everywhere.

Protocol: that of ``mctx_pgx.py``; ``--games`` is accepted and means nothing, since games are played one by one.
"""

from __future__ import annotations

import importlib.metadata
import json
import resource
import sys
import time

from mctx_pgx import apply_network, read_parameters, reader  # sets XLA's threads, so it comes before jax

# isort: split
import jax
import jax.numpy as jnp
import numpy as np
import pyspiel
from open_spiel.python.algorithms import mcts
from open_spiel.python.algorithms.alpha_zero import model_nnx
from open_spiel.python.algorithms.alpha_zero.evaluator import AlphaZeroEvaluator

UCT_C = 1.5
TEMPERATURE_DROP = 10  # plies whose move is drawn from the visits


def their_model(game, blocks: int, channels: int) -> model_nnx.Model:
    """OpenSpiel's own network; how it would be trained does not matter here."""
    shape, actions = game.observation_tensor_shape(), game.num_distinct_actions()
    return model_nnx.Model.build_model(
        "resnet", shape, actions, nn_width=channels, nn_depth=blocks, weight_decay=1e-4, learning_rate=1e-3, path=None
    )


class OurModel:
    """What ``AlphaZeroEvaluator`` asks: our network, on OpenSpiel's observation of one position."""

    def __init__(self, parameters: dict) -> None:
        def infer(observation, mask):
            logits, value = apply_network(parameters, observation)
            return value[0], jax.nn.softmax(jnp.where(mask, logits[0], -jnp.inf))

        self._infer = jax.jit(infer)

    def inference(self, observation: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
        """Value for the player to move, and the policy over all moves."""
        first, second, _ = observation.reshape(3, 6, 7)[:, ::-1]  # x, o, empty; top row first
        mine, theirs = (first, second) if first.sum() == second.sum() else (second, first)
        planes = np.stack([mine, theirs], axis=-1)[None].astype(np.float32)
        value, policy = self._infer(planes, mask.astype(bool))
        return float(value), np.asarray(policy)


def make_bot(game, model, simulations: int, rng: np.random.RandomState) -> mcts.MCTSBot:
    """As ``_init_bot`` of OpenSpiel's ``alpha_zero.py``."""
    return mcts.MCTSBot(
        game,
        UCT_C,
        simulations,
        AlphaZeroEvaluator(game, model),
        solve=False,
        dirichlet_noise=(0.25, 1.0),
        child_selection_fn=mcts.SearchNode.puct_value,
        verbose=False,
        dont_return_chance_node=True,
        random_state=rng,
    )


def play_ply(state, bot: mcts.MCTSBot, rng: np.random.RandomState) -> None:
    """As ``_play_game`` of OpenSpiel's ``alpha_zero.py``."""
    root = bot.mcts_search(state)
    if len(state.history()) >= TEMPERATURE_DROP:
        state.apply_action(root.best_child().action)
        return
    visits = np.array([child.explore_count for child in root.children], dtype=np.float64)
    state.apply_action(root.children[rng.choice(len(visits), p=visits / visits.sum())].action)


def opening(game, rng: np.random.RandomState):
    """A new game: the start, or in four cases out of five the position after up to 16 random moves, none the last."""
    state = game.new_initial_state()
    for _ in range(rng.randint(17) if rng.random_sample() < 0.8 else 0):
        after = state.clone()
        after.apply_action(int(rng.choice(state.legal_actions())))
        if after.is_terminal():
            break
        state = after
    return state


def main() -> None:
    """Compiles, then answers requests until the input ends."""
    parser = reader(__doc__)
    parser.add_argument("--our-network", action="store_true")
    options = parser.parse_args()
    game = pyspiel.load_game("connect_four")
    rng = np.random.RandomState(options.seed)
    parameters = read_parameters(options.weights, options.blocks, options.activation)
    versions = {name: importlib.metadata.version(name) for name in ("open_spiel", "jax")}
    hello: dict = {"versions": versions}
    if options.our_network:
        model = OurModel(parameters)
        state = game.new_initial_state()
        for move in options.probe:
            state.apply_action(move)
        observation, mask = np.asarray(state.observation_tensor()), np.asarray(state.legal_actions_mask())
        value, policy = model.inference(observation, mask)
        hello |= {"logits": np.log(policy).tolist(), "value": value}
    else:
        model = their_model(game, options.blocks, channels=parameters["stem"]["weight"].shape[-1])
    bot = make_bot(game, model, options.simulations, rng)
    play_ply(opening(game, rng), bot, rng)  # what is compiled is compiled now
    print(json.dumps(hello), flush=True)

    state = opening(game, rng)
    for line in sys.stdin:
        bot.evaluator._cache.clear()  # its own clear_cache would make JAX compile again
        seconds = float(json.loads(line)["seconds"])
        plies = finished = 0
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds or plies == 0:
            play_ply(state, bot, rng)
            plies += 1
            if state.is_terminal():
                finished += 1
                state = opening(game, rng)
        report = {
            "seconds": elapsed,
            "plies": plies,
            "simulations": plies * options.simulations,
            "games_finished": finished,
            "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
