"""The feed-forward network: any number of fully connected hidden layers over the flattened planes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from agents.networks.layers import normalised


class Mlp(nn.Module):
    """Hidden layers ``[B, C, H, W] -> [B, F]``, where ``F`` is the width of the last one.

    With one hidden layer, and a linear layer of a head on top, it is the textbook network ``ỹ = w · g(W x + b) + b'``:
    ``x`` is the flattened observation, ``W, b`` are the layer here, ``g`` is the ReLU, and ``w, b'`` are the head's.
    Each further hidden layer is another ``g(W x + b)`` in between; with ``normalisation="batch"`` every ``W x + b`` is
    batch-normalised before ``g``. All of it is trained by backpropagation from ``normalised``'s initial weights.
    """

    def __init__(self, observation_shape: tuple[int, int, int], hidden: Sequence[int], normalisation: str) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(observation_shape)
        for units in hidden:
            layers += [normalised(nn.Linear(width, units), normalisation), nn.ReLU(inplace=True)]
            width = units
        self.layers = nn.Sequential(*layers)
        self.feature_shape: tuple[int, ...] = (width,)

    def forward(self, observation: Tensor) -> Tensor:
        return self.layers(observation)
