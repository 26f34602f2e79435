"""What ``arena show`` draws on: a run, the terminal, and the folder of its PNG files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from agents.networks.description import NetworkMetadata
from arena import drawing
from arena.checkpoint import read_config
from arena.learn_config import LearnConfig, from_toml
from games import ArenaError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray


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

    @property
    def metrics(self) -> Path:
        """The file of all that the run measured."""
        return self.run / "metrics.jsonl"

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

    def records(self) -> list[dict[str, Any]]:
        """All that the run measured, in order.

        Raises:
            ShowError: it has no metrics.
        """
        if not self.metrics.is_file():
            raise ShowError(f"{self.run} has no metrics.jsonl, so there are no curves to show.")
        return [json.loads(line) for line in self.metrics.read_text(encoding="utf-8").splitlines()]

    def last_measurement(self) -> dict[str, Any]:
        """The newest one of the run: of the test split, or of the held-out examples while it goes on.

        Raises:
            ShowError: there is none.
        """
        found = [record for record in self.records() if record["kind"] in ("validation", "test")]
        if not found:
            raise ShowError(f"{self.run} has not been measured yet; that happens at its first checkpoint.")
        return found[-1]


def draw_image(axes: Axes, sheet: Array) -> None:
    """Draws a picture uint8 ``[H, W, 3]`` and nothing around it."""
    axes.imshow(sheet, interpolation="nearest")
    axes.set_axis_off()
