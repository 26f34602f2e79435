"""A layer with its optional batch normalisation: how one is made, and how it is folded away for inference."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from games import ArenaError

NORMALISATIONS = ("none", "batch")

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class NetworkError(ArenaError):
    """A network that cannot be built as it was asked for."""


def normalised(layer: nn.Conv2d | nn.Linear, normalisation: str, *, gain: float = 1.0) -> nn.Module:
    """``layer`` initialised for a ReLU after it, with a batch normalisation behind it if ``normalisation`` is "batch".

    The weights start as He et al. (2015) derive for ReLU: normal with variance 2 / fan-in, so that neither activations
    nor backpropagated gradients shrink or grow with depth. Biases start at 0. ``gain`` scales what comes out at the
    start: the weights, or the normalisation's scale where there is one.
    """
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    if normalisation == "none":
        layer.weight.data *= gain
        return layer
    norm = nn.BatchNorm2d(layer.out_channels) if isinstance(layer, nn.Conv2d) else nn.BatchNorm1d(layer.out_features)
    nn.init.constant_(norm.weight, gain)
    return nn.Sequential(layer, norm)


def fold_normalisation(network: ModuleT) -> ModuleT:
    """A copy of ``network`` in evaluation mode, without batch normalisation and with the same outputs.

    Every ``BatchNorm`` that follows a convolution or linear layer in an ``nn.Sequential`` goes into its weights.
    """
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        for index in range(1, len(module)):
            layer, norm = module[index - 1], module[index]
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[index - 1] = fuse_conv_bn_eval(layer, norm)
            elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
                module[index - 1] = fuse_linear_bn_eval(layer, norm)
            else:
                continue
            module[index] = nn.Identity()
    return folded
