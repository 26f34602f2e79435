"""The feed-forward network: any number of fully connected hidden layers over the flattened planes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from agents.networks.layers import normalised


class Mlp(nn.Module):
    """Hidden layers ``[B, C, H, W] -> [B, F]``, where ``F`` is the width of the last one.

    In the lecture's notation, a network with one hidden layer is ``ỹ = w · g(W x + b) + b``: ``x`` is the flattened
    observation; ``W`` and the inner ``b`` are the weights and biases of the hidden layer, which is here; ``g`` is the
    ReLU; ``w`` and the outer ``b``, numbers of their own, are those of the linear layer in a head on top. A second
    hidden layer is another ``g(W x + b)`` whose ``x`` is what the first one gives, and so on. With
    ``normalisation="batch"`` every ``W x + b`` is batch-normalised before ``g``. All of it is trained by
    backpropagation from ``normalised``'s initial weights.
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
