"""Self-play of Connect Four with mctx and pgx, as the peer of ``scripts/benchmark.py --peers``.

It runs in a virtual environment of its own (``scripts/peers/requirements.txt``) and imports nothing of the arena. One
compiled function makes one ply in every game: a Gumbel search (``mctx.gumbel_muzero_policy``, with the Q-transform of
pgx's AlphaZero example) over the true rules, then the chosen move; finished games start again. The network is the
arena's ResNet in plain JAX, float32, with the arena's own weights and its normalisation already folded into the
convolutions: nothing that inference does not need.

What is counted: a *simulation* is one descent from the root that ends in one expansion attempt, so a ply of ``B``
games at ``S`` simulations counts ``B * S``. Every one of them evaluates the network, and so does each root
(``B`` more evaluations a ply), because mctx has neither a cache nor a short cut for positions where the game is over.

Protocol, one JSON object a line: after compiling it writes the versions and what the network says of a probe position;
then, for every line ``{"seconds": s}`` that it reads, it plays whole plies for at least ``s`` seconds and writes
``{"seconds", "plies", "simulations", "evaluations", "games_finished", "peak_megabytes"}``. End of input ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time

# One thread: the arena's side is measured on one, and XLA reads these when it starts.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import mctx
import numpy as np
import pgx


def read_parameters(path: str, blocks: int, activation: str) -> dict:
    """The weights at ``path``: a ``.npz`` with the tensors of PyTorch's ``state_dict`` as ``0``, ``1``, … in its order.

    Convolutions become ``[3, 3, in, out]`` (NHWC) and dense layers ``[in, out]``. ``activation`` is that of the tower,
    by its name in ``jax.nn``.
    """
    with np.load(path, allow_pickle=False) as archive:
        tensors = iter([archive[str(index)] for index in range(len(archive.files))])

    def layer() -> dict:
        weight, bias = next(tensors), next(tensors)
        return {"weight": jnp.asarray(weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T), "bias": bias}

    parameters = {
        "activation": jax.tree_util.Partial(getattr(jax.nn, activation)),
        "stem": layer(),
        "blocks": [(layer(), layer()) for _ in range(blocks)],
        "policy_convolution": layer(),
        "policy_logits": layer(),
        "value_convolution": layer(),
        "value_hidden": layer(),
        "value": layer(),
    }
    if next(tensors, None) is not None:
        raise SystemExit(f"{path} holds more tensors than a ResNet of {blocks} blocks has.")
    return parameters


def convolve(layer: dict, x: jax.Array) -> jax.Array:
    """A stride-1, same-size convolution of ``x [B, H, W, C]``."""
    y = jax.lax.conv_general_dilated(x, layer["weight"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y + layer["bias"]


def dense(layer: dict, x: jax.Array) -> jax.Array:
    """``x [B, in]`` to ``[B, out]``."""
    return x @ layer["weight"] + layer["bias"]


def flattened(x: jax.Array) -> jax.Array:
    """``[B, H, W, C]`` to ``[B, C * H * W]``, in the order in which the arena's heads read it."""
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


def apply_network(parameters: dict, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Logits ``[B, A]`` and the mover's value ``[B]`` of observations ``[B, H, W, 2]``, which are (mine, theirs)."""
    stones = observation.astype(jnp.float32)
    mine, theirs = jnp.moveaxis(stones.sum(axis=(1, 2), keepdims=True), -1, 0)
    began = jnp.broadcast_to((mine == theirs)[..., None], (*stones.shape[:-1], 1))  # the arena's third plane
    activation = parameters["activation"]
    x = activation(convolve(parameters["stem"], jnp.concatenate([stones, began], axis=-1)))
    for first, second in parameters["blocks"]:
        x = activation(x + convolve(second, activation(convolve(first, x))))
    policy = flattened(jax.nn.relu(convolve(parameters["policy_convolution"], x)))
    value = flattened(jax.nn.relu(convolve(parameters["value_convolution"], x)))
    value = jnp.tanh(dense(parameters["value"], jax.nn.relu(dense(parameters["value_hidden"], value))))
    return dense(parameters["policy_logits"], policy), value[:, 0]


def masked(logits: jax.Array, legal: jax.Array) -> jax.Array:
    """Logits with illegal moves at the smallest float, so that search never visits them."""
    logits = logits - jnp.max(logits, axis=-1, keepdims=True)
    return jnp.where(legal, logits, jnp.finfo(logits.dtype).min)


def select(condition: jax.Array, first: pgx.State, second: pgx.State) -> pgx.State:
    """Row by row: ``first`` where ``condition [B]`` holds, else ``second``."""
    return jax.tree.map(lambda a, b: jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b), first, second)


def make_ply(env, simulations: int, max_considered: int):
    """The compiled ply: ``(parameters, states, key) -> (states, how many games finished)``."""
    step = jax.vmap(env.step)
    init = jax.vmap(env.init)

    def recurrent(parameters, _key, action, states):
        mover = states.current_player
        states = step(states, action)
        logits, value = apply_network(parameters, states.observation)
        reward = states.rewards[jnp.arange(len(mover)), mover]
        over = states.terminated
        output = mctx.RecurrentFnOutput(
            reward=reward,
            discount=jnp.where(over, 0.0, -1.0),
            prior_logits=masked(logits, states.legal_action_mask),
            value=jnp.where(over, 0.0, value),
        )
        return output, states

    @jax.jit
    def ply(parameters, states, key):
        search_key, init_key = jax.random.split(key)
        logits, value = apply_network(parameters, states.observation)
        result = mctx.gumbel_muzero_policy(
            params=parameters,
            rng_key=search_key,
            root=mctx.RootFnOutput(prior_logits=logits, value=value, embedding=states),
            recurrent_fn=recurrent,
            num_simulations=simulations,
            invalid_actions=~states.legal_action_mask,
            max_num_considered_actions=max_considered,
            qtransform=mctx.qtransform_completed_by_mix_value,
        )
        states = step(states, result.action)
        over = states.terminated
        fresh = init(jax.random.split(init_key, len(over)))
        states = select(over, fresh, states)
        return states, over.sum()

    return ply


def spread_out(env, games: int, key) -> pgx.State:
    """``games`` states at all stages of the game, by random play with restarts, so that no ply is untypical."""
    step = jax.jit(jax.vmap(env.step))
    init = jax.jit(jax.vmap(env.init))
    states = init(jax.random.split(key, games))
    for _ in range(64):
        key, move_key, init_key, coin_key = jax.random.split(key, 4)
        moves = jax.random.categorical(move_key, jnp.where(states.legal_action_mask, 0.0, -jnp.inf))
        states = step(states, moves)
        restart = states.terminated | (jax.random.uniform(coin_key, (games,)) < 0.02)
        fresh = init(jax.random.split(init_key, games))
        states = jax.tree.map(
            lambda a, b, r=restart: jnp.where(r.reshape(-1, *[1] * (a.ndim - 1)), a, b), fresh, states
        )
    return states


def probe(env, parameters: dict, moves: list[int]) -> dict:
    """What the network says of the position after ``moves``, for the caller to hold against its own."""
    state = env.init(jax.random.PRNGKey(0))
    for move in moves:
        state = env.step(state, move)
    logits, value = apply_network(parameters, state.observation[None])
    return {"logits": logits[0].tolist(), "value": float(value[0])}


def reader(description: str | None) -> argparse.ArgumentParser:
    """What every peer is started with."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="the network, as read_parameters takes it")
    parser.add_argument("--blocks", type=int, required=True)
    parser.add_argument("--activation", choices=("relu", "silu"), required=True)
    parser.add_argument("--simulations", type=int, required=True)
    parser.add_argument("--max-considered", type=int, required=True)
    parser.add_argument("--games", type=int, required=True)
    parser.add_argument("--probe", type=int, nargs="*", default=[], help="moves to the position that is reported")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main() -> None:
    """Compiles, then answers requests until the input ends."""
    options = reader(__doc__).parse_args()
    env = pgx.make("connect_four")
    key, games_key = jax.random.split(jax.random.PRNGKey(options.seed))
    parameters = read_parameters(options.weights, options.blocks, options.activation)
    ply = make_ply(env, options.simulations, options.max_considered)
    states = spread_out(env, options.games, games_key)
    states, _ = jax.block_until_ready(ply(parameters, states, key))
    versions = {"jax": jax.__version__, "mctx": mctx.__version__, "pgx": pgx.__version__}
    print(json.dumps({"versions": versions, **probe(env, parameters, options.probe)}), flush=True)

    for line in sys.stdin:
        seconds = float(json.loads(line)["seconds"])
        plies = finished = 0
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds or plies == 0:
            key, ply_key = jax.random.split(key)
            states, over = ply(parameters, states, ply_key)
            finished += int(over)  # waits for the ply, so the clock does too
            plies += 1
        simulations = plies * options.games * options.simulations
        report = {
            "seconds": elapsed,
            "plies": plies,
            "simulations": simulations,
            "evaluations": simulations + plies * options.games,
            "games_finished": finished,
            "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
