"""``arena show``: looks at a run, in the terminal and as PNG files.

What there is to see depends on the run: learning curves of any; first filters where a network sees planes; of pictures
the confusion matrix, the ROC and what the answer for one picture hangs on; of games the policy over a board; of a
transformer what its activations know of the board.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

import games
from agents.histories import as_seen
from agents.networks.description import NetworkMetadata, read_description
from agents.networks.files import find_network, load_classifier, load_network
from agents.networks.insight import Probe, activations, classify, first_filters, saliency, untrained
from arena import drawing
from arena.checkpoint import read_config
from arena.datasets import SequenceBatch, Source, open_dataset
from arena.datasets.games_of_others import SequenceDataset
from arena.datasets.pictures import CAT, PictureDataset
from arena.learn_config import LearnConfig, from_toml
from games import ArenaError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray

PROBE_GAMES = 600
"""Games whose positions the probe is fitted to; it is tried on a third as many others."""
MOST_FILTERS = 64


class ShowError(ArenaError):
    """Something that this run has not got to show."""


@dataclass(frozen=True)
class View:
    """A run that is looked at.

    Attributes:
        run: its directory.
        out: where PNG files go; None where matplotlib is missing.
        console: where it is drawn in characters.
        metadata: of its newest network.
        data: where the data lies; None = where the run found it.
        moves: of a game: the moves that lead to the position whose policy is shown.
        index: of pictures: which one of the test split.
    """

    run: Path
    out: Path | None
    console: Console
    metadata: NetworkMetadata
    data: Path | None = None
    moves: tuple[str, ...] = ()
    index: int | None = None

    @property
    def config(self) -> LearnConfig:
        """Of the run; only supervised runs have data to look at again."""
        config = read_config(self.run, from_toml)
        return config if self.data is None else dataclasses.replace(config, data=self.data)

    def save(self, name: str, draw: Callable[[Any], None], size: tuple[float, float] = (6.4, 4.0)) -> None:
        """One PNG; ``draw`` is given the axes."""
        if self.out is None:
            return
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(figsize=size, layout="constrained")
        draw(axes)
        path = self.out / f"{name}.png"
        figure.savefig(path, dpi=150)
        plt.close(figure)
        self.console.print(f"→ {path}", highlight=False, soft_wrap=True, markup=False)

    def draw(self, rgb: Array) -> None:
        """A picture uint8 ``[H, W, 3]``, in colours where there are any."""
        in_color = self.console.is_terminal and self.console.color_system is not None
        drawn = drawing.picture(rgb) if in_color else "\n".join(drawing.shades(rgb))
        self.console.print(drawn, highlight=False, markup=False, crop=True, no_wrap=True, overflow="crop")

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)


def show(
    run: Path,
    what: tuple[str, ...] = (),
    *,
    console: Console,
    out: Path | None = None,
    data: Path | None = None,
    moves: tuple[str, ...] = (),
    index: int | None = None,
) -> None:
    """Shows ``what`` of a run; by default all that it has.

    Raises:
        ArenaError: no run, nothing of that kind to show, or data that is not there.
    """
    metadata = read_description(find_network(run))[0]
    if importlib.util.find_spec("matplotlib") is None:
        out = None
        console.print("No PNG files: they take matplotlib (pip install 'game-arena[plot]').", highlight=False)
    else:
        out = out or run / "show"
        out.mkdir(parents=True, exist_ok=True)
    view = View(run, out, console, metadata, data, moves, index)
    for name in what or tuple(name for name, (applies, _) in PARTS.items() if applies(metadata)):
        applies, draw = PARTS[name]
        if not applies(metadata):
            kind = "a classifier of pictures" if metadata.classes else f"a {metadata.config.backbone} that plays"
            raise ShowError(f"{run} holds {kind}, which has no {name} to show.")
        draw(view)


# ---- curves ----------------------------------------------------------------------------------------------------------

_CURVES = ("policy_loss", "value_loss", "class_loss", "log_loss", "outcome_log_loss", "top1", "illegal", "elo")


def show_curves(view: View) -> None:
    """The course of losses and accuracies, in training and on held-out examples."""
    path = view.run / "metrics.jsonl"
    if not path.is_file():
        raise ShowError(f"{view.run} has no metrics.jsonl, so there are no curves to show.")
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for name in _CURVES:
        courses = {}
        for kind in ("train", "validation", "judge"):
            points = [(r["step"], r[name]) for r in records if r["kind"] == kind and isinstance(r.get(name), float)]
            if len(points) > 1:
                courses[kind] = np.array(points, np.float64)
        for kind, points in courses.items():
            view.say(f"{name}, {kind}, steps {points[0, 0]:.0f} to {points[-1, 0]:.0f}:")
            for line in drawing.curve(points[:, 0], points[:, 1]):
                view.say(line)

        def draw(axes: Axes, name: str = name, courses: dict[str, Array] = courses) -> None:
            for kind, points in courses.items():
                axes.plot(points[:, 0], points[:, 1], label=kind, marker="." if len(points) < 50 else "")
            axes.set(xlabel="training step", ylabel=name.replace("_", " "))
            axes.legend()

        if courses:
            view.save(f"curve_{name}", draw)


# ---- pictures and planes ---------------------------------------------------------------------------------------------


def show_filters(view: View) -> None:
    """What the units of the first layer look for."""
    directory, metadata = find_network(view.run), view.metadata
    if metadata.classes:
        network: Any = load_classifier(directory)[0]
    else:
        network = load_network(directory)[0]
    filters = first_filters(network, metadata.observation_shape)[:MOST_FILTERS]
    if filters.shape[1] == 3 and metadata.classes:
        top = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
        shown = (127.5 * (filters / np.maximum(top, 1e-12) + 1)).astype(np.uint8).transpose(0, 2, 3, 1)
        colors = "its three colours"
    else:  # of a board the planes stand side by side
        shown = np.stack([drawing.signed(np.concatenate(list(each), axis=1)) for each in filters])
        colors = "its planes side by side, red for and blue against"
    sheet = drawing.grid(shown, columns=max(1, min(16, view.console.width // (shown.shape[2] + 1))))
    view.say(f"The first {len(filters)} filters of the first layer, {colors}:")
    view.draw(sheet)
    view.save("filters", lambda axes: _image(axes, sheet), size=(8.0, max(2.0, 8.0 * sheet.shape[0] / sheet.shape[1])))


def _image(axes: Axes, sheet: Array) -> None:
    axes.imshow(sheet, interpolation="nearest")
    axes.set_axis_off()


def _last(view: View) -> dict[str, Any]:
    """The newest measurement of the run: of the test split, or of the held-out examples while it goes on."""
    path = view.run / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = [record for line in lines if (record := json.loads(line))["kind"] in ("validation", "test")]
    if not found:
        raise ShowError(f"{view.run} has not been measured yet; that happens at its first checkpoint.")
    return found[-1]


def show_confusion(view: View) -> None:
    """Which class was taken for which."""
    record, classes = _last(view), view.metadata.classes
    confusion = np.array(record["confusion"])
    table = Table(title=f"What was said ({record['kind']} split), a row for each true class")
    table.add_column("", justify="right")
    for name in classes:
        table.add_column(name[:6], justify="right")
    for name, row in zip(classes, confusion, strict=True):
        table.add_row(name, *(str(count) for count in row))
    view.console.print(table)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)

    def draw(axes: Axes) -> None:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(classes)), classes, rotation=60)
        axes.set_yticks(range(len(classes)), classes)
        axes.set(xlabel="said", ylabel="true")
        for y, x in np.ndindex(shares.shape):
            axes.text(x, y, str(confusion[y, x]), ha="center", va="center", color="w" if shares[y, x] > 0.5 else "k")

    view.save("confusion", draw, size=(7.0, 6.0))


def show_roc(view: View) -> None:
    """How many of the others must be taken for a cat to find how many of the cats."""
    record = _last(view)
    if "roc" not in record:
        raise ShowError(f"{view.run} has {len(view.metadata.classes)} classes, and a ROC is of two.")
    points = np.array(record["roc"])
    view.say(f"True against false positives, area {record['auc']:.4f}:")
    for line in drawing.curve(points[:, 0], points[:, 1]):
        view.say(line)

    def draw(axes: Axes) -> None:
        axes.plot(points[:, 0], points[:, 1], label=f"area {record['auc']:.4f}")
        axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
        axes.set(xlabel="false positives", ylabel="true positives", aspect="equal")
        axes.legend()

    view.save("roc", draw, size=(5.0, 5.0))


def show_saliency(view: View) -> None:
    """What the answer for one picture of the test split hangs on; by default the first one of a cat."""
    dataset = open_dataset(view.config.source)
    assert isinstance(dataset, PictureDataset)
    classes, size = view.metadata.classes, dataset.sizes["test"]
    labels = dataset.batch("test", np.arange(size)).label
    index = view.index
    if index is None:
        index = int(np.argmax(labels == classes.index(CAT))) if CAT in classes else 0
    if not 0 <= index < size:
        raise ShowError(f"--index is {index}; the test split has pictures 0 to {size - 1}.")
    network, _ = load_classifier(find_network(view.run))
    shown = dataset.batch("test", np.array([index])).observation[0]
    chances = classify(network, shown)
    said = int(chances.argmax())
    where = saliency(network, shown, said)
    view.say(f"Picture {index}: {classes[labels[index]]}; the network says {classes[said]} ({chances[said]:.1%}).")
    sheet = drawing.grid(np.stack([dataset.picture("test", index), drawing.heat(where)]), columns=2, gap=2)
    view.draw(sheet)
    view.save("saliency", lambda axes: _image(axes, sheet), size=(6.4, 3.2))


# ---- games -----------------------------------------------------------------------------------------------------------


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
    planes = open_dataset(Source(config.dataset, config.data, "positions", config.network.context, augment=False))
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


def _plays(metadata: NetworkMetadata) -> bool:
    return not metadata.classes


PARTS: dict[str, tuple[Callable[[NetworkMetadata], bool], Callable[[View], None]]] = {
    "curves": (lambda _: True, show_curves),
    "filters": (lambda metadata: metadata.config.reads == "planes", show_filters),
    "confusion": (lambda metadata: bool(metadata.classes), show_confusion),
    "roc": (lambda metadata: len(metadata.classes) == 2, show_roc),
    "saliency": (lambda metadata: bool(metadata.classes), show_saliency),
    "policy": (_plays, show_policy),
    "probe": (
        lambda metadata: metadata.config.backbone == "transformer" and metadata.config.sequence == "moves",
        show_probe,
    ),
}
"""What there is to see: which networks have it, and what draws it."""
