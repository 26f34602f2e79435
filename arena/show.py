"""``arena show``: looks at a run, in the terminal and as PNG files.

What there is to see depends on the run: learning curves of any; how far its sureness is right, where it learned from
data; first filters where a network sees planes; of pictures the confusion matrix, the ROC and what the answer for one
picture hangs on; of games the policy over a board; of a transformer what its activations know of the board.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from agents.networks.description import read_description
from agents.networks.files import find_network
from arena import drawing
from arena.show_games import show_policy, show_probe
from arena.show_pictures import show_confusion, show_filters, show_roc, show_saliency
from arena.view import ShowError, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray


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
    for name in what or tuple(name for name, (applies, _) in PARTS.items() if applies(view)):
        applies, draw = PARTS[name]
        if not applies(view):
            kind = "a classifier of pictures" if metadata.classes else f"a {metadata.config.backbone} that plays"
            raise ShowError(f"{run} holds {kind}, which has no {name} to show.")
        draw(view)


# ---- curves ----------------------------------------------------------------------------------------------------------

_CURVES = ("policy_loss", "value_loss", "class_loss", "log_loss", "outcome_log_loss", "top1", "illegal", "elo")


def show_curves(view: View) -> None:
    """The course of losses and accuracies, in training and on held-out examples."""
    records = view.records()
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


_SURENESS = {"bins": "the move, or the class", "outcome_bins": "who wins"}


def _is_calibrated(view: View) -> bool:
    return view.metrics.is_file() and any(record.get(name) for record in view.records() for name in _SURENESS)


def show_calibration(view: View) -> None:
    """How often the network is right where it is how sure: a reliability diagram of what was measured last."""
    record = view.last_measurement()
    courses = {name: np.array(record[name]) for name in _SURENESS if record.get(name)}
    for name, bins in courses.items():
        view.say(f"How sure of {_SURENESS[name]}, and how often right ({record['kind']} split):")
        table = Table()
        for heading in ("sure", "right", "answers"):
            table.add_column(heading, justify="right")
        for sure, right, count in bins[bins[:, 2] > 0]:
            table.add_row(f"{sure:.1%}", f"{right:.1%}", f"{count:.0f}")
        view.console.print(table)

    def draw(axes: Axes) -> None:
        for name, bins in courses.items():
            filled = bins[bins[:, 2] > 0]
            axes.plot(filled[:, 0], filled[:, 1], marker="o", label=_SURENESS[name])
        axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
        axes.set(xlabel="sure", ylabel="right", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.legend()

    view.save("calibration", draw, size=(5.0, 5.0))


# ---- what there is ---------------------------------------------------------------------------------------------------


def _is_of_pictures(view: View) -> bool:
    return bool(view.metadata.classes)


def _reads_moves(view: View) -> bool:
    config = view.metadata.config
    return config.backbone == "transformer" and config.sequence == "moves"


PARTS: dict[str, tuple[Callable[[View], bool], Callable[[View], None]]] = {
    "curves": (lambda _: True, show_curves),
    "calibration": (_is_calibrated, show_calibration),
    "filters": (lambda view: view.metadata.config.reads == "planes", show_filters),
    "confusion": (_is_of_pictures, show_confusion),
    "roc": (lambda view: len(view.metadata.classes) == 2, show_roc),
    "saliency": (_is_of_pictures, show_saliency),
    "policy": (lambda view: not _is_of_pictures(view), show_policy),
    "probe": (_reads_moves, show_probe),
}
"""What there is to see: which runs have it, and what draws it."""
