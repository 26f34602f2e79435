"""What a classifier of pictures is for, as a ``GameSpec`` says what a player is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PictureSpec:
    """The facts about a set of pictures that its network needs.

    Attributes:
        name: of the set, such as ``"cifar10"``.
        version: raised whenever the classes or the way that pictures are shown change.
        classes: their names.
        observation_shape: ``(C, H, W)``.
    """

    name: str
    version: int
    classes: tuple[str, ...]
    observation_shape: tuple[int, int, int]
