"""``arena show`` of networks that see planes: first filters; of pictures, what was taken for what, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from agents.networks.files import find_network, load_classifier, load_network
from agents.networks.insight import classify, first_filters, saliency
from arena import drawing
from arena.datasets import open_dataset
from arena.datasets.pictures import CAT, PictureDataset
from arena.view import ShowError, View, draw_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_FILTERS = 64


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
    view.save(
        "filters", lambda axes: draw_image(axes, sheet), size=(8.0, max(2.0, 8.0 * sheet.shape[0] / sheet.shape[1]))
    )


def show_confusion(view: View) -> None:
    """Which class was taken for which."""
    record, classes = view.last_measurement(), view.metadata.classes
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
    record = view.last_measurement()
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
    view.save("saliency", lambda axes: draw_image(axes, sheet), size=(6.4, 3.2))
