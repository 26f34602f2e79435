"""Drawing for a terminal: curves, pictures and heat maps, in characters."""

from __future__ import annotations

import numpy as np
from rich.style import Style
from rich.text import Text

Array = np.ndarray

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_RAMP = " .:-=+*#%@"


def curve(steps: Array, values: Array, width: int = 60, height: int = 8) -> list[str]:
    """Lines with the course of ``values`` over ``steps``, as columns of means, and the values at top and bottom."""
    edges = np.linspace(steps.min(), steps.max() + 1e-9, width + 1)
    column = np.clip(np.searchsorted(edges, steps, side="right") - 1, 0, width - 1)
    counts = np.bincount(column, minlength=width)
    means = np.bincount(column, values, width) / np.maximum(counts, 1)
    filled = np.flatnonzero(counts)
    means = np.interp(np.arange(width), filled, means[filled])
    low, high = float(means.min()), float(means.max())
    eighths = np.rint((means - low) / max(high - low, 1e-12) * (8 * height - 1)).astype(int) + 1
    lines = []
    for row in range(height - 1, -1, -1):
        cells = np.clip(eighths - 8 * row, 0, 8)
        label = f"{high:10.4g} " if row == height - 1 else f"{low:10.4g} " if row == 0 else " " * 11
        lines.append(label + "".join(_EIGHTHS[cell] for cell in cells))
    return lines


def picture(rgb: Array) -> Text:
    """A picture uint8 ``[H, W, 3]``; two pixels to a character."""
    if len(rgb) % 2:
        rgb = np.concatenate([rgb, np.zeros_like(rgb[:1])])
    text = Text()
    for upper, lower in zip(rgb[::2], rgb[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append("▀", Style(color=_color(above), bgcolor=_color(below)))
        text.append("\n")
    return text


def shades(rgb: Array) -> list[str]:
    """The same picture by its brightness alone, two characters to a pixel, where there are no colours."""
    brightness = rgb @ np.array([0.299, 0.587, 0.114])
    ramp = np.minimum(brightness / 256 * len(_RAMP), len(_RAMP) - 1).astype(int)
    return ["".join(2 * _RAMP[cell] for cell in row) for row in ramp]


def _color(pixel: Array) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(int(part) for part in pixel))


def heat(values: Array) -> Array:
    """uint8 ``[H, W, 3]``: numbers of 0 or more as shades from black over red and yellow to white."""
    share = values / max(float(values.max()), 1e-12)
    return (255 * np.clip(np.stack([3 * share, 3 * share - 1, 3 * share - 2], axis=-1), 0, 1)).astype(np.uint8)


def signed(values: Array) -> Array:
    """uint8 ``[H, W, 3]``: negative numbers in blue, positive ones in red, nothing in white."""
    share = values / max(float(np.abs(values).max()), 1e-12)
    red, blue = np.clip(1 + share, 0, 1), np.clip(1 - share, 0, 1)
    return (255 * np.stack([red, np.minimum(red, blue), blue], axis=-1)).astype(np.uint8)


def grid(pictures: Array, columns: int, gap: int = 1) -> Array:
    """uint8 ``[H, W, 3]``: pictures ``[N, h, w, 3]`` side by side in rows of ``columns``, on grey."""
    count, height, width, _ = pictures.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 64, np.uint8)
    for number, each in enumerate(pictures):
        y, x = (number // columns) * (height + gap), (number % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = each
    return sheet
