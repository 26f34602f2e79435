"""Heads: what turns a backbone's features into answers. Any head sits on any backbone.

Axes: ``B`` positions, ``F`` features, ``H, W`` board cells, ``A`` actions, ``K`` classes. A backbone gives ``[B, F]``
or ``[B, F, H, W]``; its ``feature_shape`` (without ``B``) says which, and the heads are built to fit.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.networks.layers import ModuleT, normalised

POLICY_INIT_STD = 0.01
"""Small enough that an untrained policy is nearly uniform: the first search then explores instead of trusting noise."""

OUTCOMES = ("loss", "draw", "win")
"""What a game can come to for the player to move, in the order of ``OutcomeHead``'s logits."""


class FlatFeatures(nn.Module):
    """Features as one vector ``[B, num_features]`` per position.

    Planes pass through a 1x1 convolution to ``channels`` planes and a ReLU first, as in AlphaZero's heads (Silver et
    al., 2018); features that are flat already pass through untouched.
    """

    def __init__(self, feature_shape: tuple[int, ...], channels: int, normalisation: str) -> None:
        super().__init__()
        self.layers: nn.Module = nn.Identity()
        self.num_features = feature_shape[0]
        if len(feature_shape) == 3:
            convolution = normalised(nn.Conv2d(feature_shape[0], channels, kernel_size=1), normalisation)
            # Flattened first: the gradient of a ReLU is slow where what comes back has another layout in memory.
            self.layers = nn.Sequential(convolution, nn.Flatten(), nn.ReLU(inplace=True))
            self.num_features = channels * feature_shape[1] * feature_shape[2]

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


class PreciseLinear(nn.Linear):
    """A linear layer that computes in float32 whatever the layers before it compute in.

    Of two values near 1, bfloat16 keeps apart only those that differ by 0.004, which is what half a ply is worth where
    sooner wins count more; what gives the value must not round it. ``in_precision`` keeps its weights in float32 too.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name that nn.Linear gives it
        with torch.autocast(input.device.type, enabled=False):
            return F.linear(input.float(), self.weight.float(), self.bias.float())


def in_precision(network: ModuleT, precision: torch.dtype) -> ModuleT:
    """``network`` in ``precision``, but for its ``PreciseLinear`` layers; changes it in place."""
    precise = [layer for layer in network.modules() if isinstance(layer, PreciseLinear)]
    weights = [layer.state_dict() for layer in precise]
    network.to(precision)
    for layer, exact in zip(precise, weights, strict=True):
        layer.float().load_state_dict(exact)
    return network


class PolicyHead(nn.Module):
    """Features -> raw policy logits ``[B, A]``."""

    def __init__(self, feature_shape: tuple[int, ...], num_actions: int, channels: int, normalisation: str) -> None:
        super().__init__()
        self.flat = FlatFeatures(feature_shape, channels, normalisation)
        self.logits = nn.Linear(self.flat.num_features, num_actions)
        nn.init.normal_(self.logits.weight, std=POLICY_INIT_STD / math.sqrt(self.flat.num_features))
        nn.init.zeros_(self.logits.bias)

    def forward(self, features: Tensor) -> Tensor:
        return self.logits(self.flat(features))


class ValueHead(nn.Module):
    """Features -> value ``[B]`` in [-1, 1], for the player to move; exactly 0 until trained."""

    def __init__(self, feature_shape: tuple[int, ...], channels: int, hidden: int, normalisation: str) -> None:
        super().__init__()
        self.flat = FlatFeatures(feature_shape, channels, normalisation)
        self.hidden = normalised(nn.Linear(self.flat.num_features, hidden), "none")
        self.value = PreciseLinear(hidden, 1)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def forward(self, features: Tensor) -> Tensor:
        return torch.tanh(self.value(torch.relu(self.hidden(self.flat(features))))).squeeze(1)


class OutcomeHead(nn.Module):
    """Features -> value ``[B]`` in [-1, 1] for the player to move, by way of its three outcomes: the chance of a win
    less that of a loss. Exactly 0 until trained.

    ``outcome_logits`` are of (loss, draw, win), so that the head can be trained, and judged, as a classifier.
    """

    def __init__(self, feature_shape: tuple[int, ...], channels: int, hidden: int, normalisation: str) -> None:
        super().__init__()
        self.flat = FlatFeatures(feature_shape, channels, normalisation)
        self.hidden = normalised(nn.Linear(self.flat.num_features, hidden), "none")
        self.logits = PreciseLinear(hidden, len(OUTCOMES))
        nn.init.zeros_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)

    def outcome_logits(self, features: Tensor) -> Tensor:
        """Logits ``[B, 3]`` of ``OUTCOMES``."""
        return self.logits(torch.relu(self.hidden(self.flat(features))))

    def forward(self, features: Tensor) -> Tensor:
        chances = self.outcome_logits(features).softmax(dim=1)
        return chances[:, 2] - chances[:, 0]


class ClassifierHead(nn.Module):
    """Features -> class logits ``[B, K]``; planes are averaged over the image first (He et al., 2016)."""

    def __init__(self, feature_shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        self.has_planes = len(feature_shape) == 3
        self.logits = nn.Linear(feature_shape[0], num_classes)
        nn.init.normal_(self.logits.weight, std=0.01)
        nn.init.zeros_(self.logits.bias)

    def forward(self, features: Tensor) -> Tensor:
        return self.logits(features.mean(dim=(2, 3)) if self.has_planes else features)


def answering_layers(network: nn.Module) -> list[nn.Linear]:
    """The last layer of every head in ``network``: what gives its answers. All other layers are hidden."""
    layers = []
    for module in network.modules():
        if isinstance(module, (PolicyHead, OutcomeHead, ClassifierHead)):
            layers.append(module.logits)
        elif isinstance(module, ValueHead):
            layers.append(module.value)
    return layers
