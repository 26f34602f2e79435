"""``arena show`` of networks that play: the policy over a board, and what a transformer's activations know of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

import games
from agents.histories import as_seen
from agents.networks.files import find_network, load_network
from agents.networks.insight import Probe, activations, untrained
from arena import drawing
from arena.datasets import SequenceBatch, open_dataset
from arena.datasets.games_of_others import SequenceDataset
from arena.view import ShowError, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray

PROBE_GAMES = 600
"""Games whose positions the probe is fitted to; it is tried on a third as many others."""


def show_policy(view: View) -> None:
    """What the network would play in a position, over the board, without a mask; illegal moves are marked."""
    from agents.network_evaluator import NetworkEvaluator

    metadata = view.metadata
    game = as_seen(games.make(metadata.game), metadata.config.reads, metadata.config.context)
    network, _ = load_network(find_network(view.run), game)
    states = game.init(1)
    for text in view.moves:
        game.step(states, [game.parse_action(states[0], text)])
    legal = game.legal_action_mask(states)
    answer = NetworkEvaluator(game, network, device="cpu", precision="fp32").evaluate(states, legal)
    logits = answer.prior_logits[0].astype(np.float64)
    chances = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    view.say(game.render(states[0]))
    view.say(f"The network expects {answer.value[0]:+.2f} for the player to move, and would play:")
    for action in np.argsort(-chances)[:8]:
        mark = "" if legal[0, action] else "  (illegal)"
        name = game.action_to_string(states[0], int(action)) if legal[0, action] else f"action {action}"
        view.say(f"  {name:>8} {chances[action]:6.1%} {'█' * round(40 * chances[action])}{mark}")
    board = _over_the_board(games.make(metadata.game), chances)
    if board is not None:
        view.draw(np.repeat(np.repeat(drawing.heat(board), 2, axis=0), 2, axis=1))

        def draw(axes: Axes) -> None:
            axes.imshow(board, cmap="hot", vmin=0)
            for y, x in np.ndindex(board.shape):
                if board[y, x] > 0.005:
                    axes.text(x, y, f"{100 * board[y, x]:.0f}", ha="center", va="center", color="tab:blue")
            axes.set_axis_off()

        view.save("policy", draw, size=(5.0, 5.0))


def _over_the_board(game: games.Game, chances: Array) -> Array | None:
    """``[H, W]`` where the first ``H * W`` actions are the cells of the board; None in games that move otherwise."""
    _, height, width = game.spec.observation_shape
    if game.spec.num_actions not in (height * width, height * width + 1):
        return None
    return chances[: height * width].reshape(height, width)


def show_probe(view: View) -> None:
    """How well a linear reading of the transformer's activations, layer by layer, knows the board."""
    found = probe_board(view)
    table = Table(title="Squares that a linear probe reads right from the activations, held-out games")
    for name in ("after", "trained", "untrained"):
        table.add_column(name, justify="right")
    for layer, shares in enumerate(zip(found.trained, found.untrained, strict=True)):
        table.add_row("embedding" if layer == 0 else f"block {layer}", *(f"{share:.2%}" for share in shares))
    view.console.print(table)
    view.say(f"Guessing the commonest content of each square at each ply would be right for {found.guess:.2%}.")

    def draw(axes: Axes) -> None:
        layers = range(len(found.trained))
        axes.plot(layers, found.trained, marker="o", label="trained")
        axes.plot(layers, found.untrained, marker="o", label="untrained, same shape")
        axes.axhline(found.guess, color="gray", linestyle=":", label="commonest content at this ply")
        axes.set(xlabel="after block", ylabel="squares read right")
        axes.legend()

    view.save("probe", draw)


@dataclass(frozen=True)
class Reading:
    """How much of the board a linear probe reads right, as a share of squares in held-out games.

    Attributes:
        trained: by layer of the network, the embedding first.
        untrained: the same for a network of the same shape with random weights.
        guess: for whoever only knows the ply.
    """

    trained: tuple[float, ...]
    untrained: tuple[float, ...]
    guess: float


def probe_board(view: View, num_games: int = PROBE_GAMES) -> Reading:
    """Fits a probe to positions of training games and tries it on those of test games: what is on each square, empty,
    the mover's or the other's."""
    config, metadata = view.config, view.metadata
    dataset = open_dataset(dataclasses.replace(config.source, augment=False))
    planes = open_dataset(dataclasses.replace(config.source, reads="positions", augment=False))
    assert isinstance(dataset, SequenceDataset)
    if metadata.config.sequence != "moves":
        raise ShowError(f"{view.run} reads the boards themselves, so there is nothing to probe.")
    network, _ = load_network(find_network(view.run))
    random = untrained(metadata.config, metadata.observation_shape, metadata.num_actions)
    fit, held = (
        np.arange(min(count, dataset.sizes[split])) for split, count in (("train", num_games), ("test", num_games // 3))
    )
    boards = {}
    for split, rows in (("train", fit), ("test", held)):
        batch = planes.batch(split, rows)
        assert isinstance(batch, SequenceBatch)
        there, depth = batch.action >= 0, np.nonzero(batch.action >= 0)[1]
        boards[split] = _contents(batch.inputs[there]), there, depth
    shares = []
    for each in (network, random):
        streams = {
            split: activations(each, dataset.batch(split, rows).inputs, boards[split][1])
            for split, rows in (("train", fit), ("test", held))
        }
        kinds = int(boards["train"][0].max()) + 1
        shares.append(
            tuple(
                float((Probe.fit(a, boards["train"][0], kinds).read(b) == boards["test"][0]).mean())
                for a, b in zip(streams["train"], streams["test"], strict=True)
            )
        )
    return Reading(shares[0], shares[1], _guess(boards["train"], boards["test"]))


def _contents(planes: Array) -> Array:
    """int64 ``[N, S]``: 0 for an empty cell, else one more than the plane ``[N, C, H, W]`` that marks it."""
    flat = planes.reshape(len(planes), planes.shape[1], -1)
    if not np.isin(flat, (0, 1)).all() or flat.sum(axis=1).max(initial=0) > 1:
        raise ShowError("The planes of this game mark a cell more than once, so they are not read as a board.")
    return np.where(flat.any(axis=1), flat.argmax(axis=1) + 1, 0)


def _guess(fit: tuple[Array, Array, Array], held: tuple[Array, Array, Array]) -> float:
    """How often what is commonest on a square at a ply, in ``fit``, is there in ``held``."""
    (board, _, depth), (other, _, other_depth) = fit, held
    right = 0
    for ply in np.unique(other_depth):
        here = board[depth == ply] if (depth == ply).any() else board
        counts = np.stack([(here == kind).sum(axis=0) for kind in range(int(board.max()) + 1)])
        right += int((other[other_depth == ply] == counts.argmax(axis=0)).sum())
    return right / other.size
