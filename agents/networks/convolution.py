"""3x3 convolutions over boards, made fast on CPUs: one call with what follows them when playing, and gradients over
strips of boards when learning. What they compute is what ``nn.Conv2d`` computes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MOST_IN_A_STRIP = 16
_WORTH_STRIPS = 64
"""With fewer channels, making the strips takes the time that they save; with as many, a step takes a sixth less."""


class BoardConvolution(nn.Conv2d):
    """3x3, with zeros around the board: ``[B, C, H, W] -> [B, F, H, W]``."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__(channels, features, kernel_size=3, padding=1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name that nn.Conv2d gives it
        boards = math.gcd(len(input), _MOST_IN_A_STRIP)
        if boards == 1 or self.in_channels < _WORTH_STRIPS or not _learns_in_bf16(input):
            return super().forward(input)
        assert self.bias is not None
        with torch.autocast("cpu", enabled=False):
            bf16 = (tensor.bfloat16() for tensor in (input, self.weight, self.bias))
            return _StripConvolution.apply(*bf16, boards)


class _StripConvolution(torch.autograd.Function):
    """The same convolution, whose weights' gradient is that of a few long boards.

    oneDNN sums the gradient of the weights over one row of one board at a time, and multiplies bfloat16 in blocks of
    32: a board of seven columns fills a fifth of a block. Side by side, with a column of zeros between them, boards are
    as far apart as their margins would be, and their rows are long.
    """

    @staticmethod
    def forward(ctx: Any, planes: Tensor, weight: Tensor, bias: Tensor, boards: int) -> Tensor:
        ctx.save_for_backward(planes, weight)
        ctx.boards = boards
        return F.conv2d(planes, weight, bias, padding=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        planes, weight = ctx.saved_tensors

        def backward(gradient: Tensor, planes: Tensor, *wanted: bool) -> tuple[Tensor | None, ...]:
            ones, no_output_padding = [1, 1], [0, 0]
            return torch.ops.aten.convolution_backward(
                *(gradient, planes, weight, [len(weight)], ones, ones, ones, False, no_output_padding, 1, wanted)
            )

        of_planes = backward(gradient, planes, True, False, False)[0] if ctx.needs_input_grad[0] else None
        strips = [_strips(tensor, ctx.boards, use) for use, tensor in enumerate((gradient, planes))]
        _, *of_weights = backward(strips[0], strips[1], False, True, True)
        return of_planes, *of_weights, None


def _strips(planes: Tensor, boards: int, use: int) -> Tensor:
    """``[B, C, H, W] -> [B / boards, C, H, boards * (W + 1)]``: boards side by side, a column of zeros after each.

    What is returned is overwritten by the next call for the same ``use`` and shape.
    """
    batch, channels, height, width = planes.shape
    strips = _zeros((batch // boards, height, boards, width + 1, channels), planes.dtype, use)
    by_cell = planes.permute(0, 2, 3, 1).reshape(batch // boards, boards, height, width, channels)
    strips[:, :, :, :width] = by_cell.transpose(1, 2)
    return strips.view(batch // boards, height, -1, channels).permute(0, 3, 1, 2)


@functools.lru_cache(maxsize=8)
def _zeros(shape: tuple[int, ...], dtype: torch.dtype, use: int) -> Tensor:  # noqa: ARG001  # part of the key
    """Kept, because memory that is new to the process costs as much as what is written to it."""
    return torch.zeros(shape, dtype=dtype)


def _learns_in_bf16(planes: Tensor) -> bool:
    return (
        planes.device.type == "cpu"
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )


ACTIVATIONS: dict[str, Callable[..., Tensor]] = {"relu": torch.relu_, "silu": F.silu}
"""What a tower's layers pass through. A ReLU takes the place of what it is given, since its gradient needs nothing but
its result."""


def activated(layer: nn.Module, planes: Tensor, residual: Tensor | None = None, activation: str = "relu") -> Tensor:
    """``g(layer(planes))`` or ``g(layer(planes) + residual)``, where ``layer`` is what ``normalised`` made of a
    convolution and ``g`` one of ``ACTIVATIONS``: ``[B, C, H, W] -> [B, F, H, W]``.

    Without gradients on a CPU the sum, and a ReLU, are done within oneDNN's call of the convolution, which writes each
    number once and not three times; then the result takes the place of ``residual``. A small tower with ReLUs takes
    about half the time in bfloat16 and three quarters in float32, in which the answers are the same to the bit. These
    calls are what ``torch.compile`` would make of it, but they need no compiler. oneDNN's own SiLU takes longer than
    PyTorch's in a call of its own.
    """
    convolution = _fusable(layer, planes)
    if convolution is None:
        planes = layer(planes)
        return ACTIVATIONS[activation](planes if residual is None else planes + residual)
    given = (convolution.weight, convolution.bias, convolution.padding, convolution.stride, convolution.dilation, 1)
    relu = "relu" if activation == "relu" else None
    if residual is None:
        planes = torch.ops.mkldnn._convolution_pointwise(planes, *given, relu or "none", [], "")
    else:
        planes = torch.ops.mkldnn._convolution_pointwise_.binary(residual, planes, *given, "add", 1.0, relu, [], "")
    return planes if relu else F.silu(planes, inplace=True)


def _fusable(layer: nn.Module, planes: Tensor) -> nn.Conv2d | None:
    """The convolution that ``layer`` comes to, if ``activated`` can do it in one call."""
    convolution = layer
    if isinstance(layer, nn.Sequential) and all(isinstance(module, nn.Identity) for module in list(layer)[1:]):
        convolution = layer[0]  # its normalisation is folded
    if (
        not isinstance(convolution, nn.Conv2d)
        or torch.is_grad_enabled()
        or planes.device.type != "cpu"
        or planes.dtype != convolution.weight.dtype
        or convolution.groups != 1
        or not _has_fused_convolutions(planes.dtype)
    ):
        return None
    return convolution


@functools.cache
def _has_fused_convolutions(dtype: torch.dtype) -> bool:
    """Whether this build of PyTorch has the calls, which are not part of its documented interface."""
    operators = torch.ops.mkldnn
    if not (torch.backends.mkldnn.is_available() and hasattr(operators, "_convolution_pointwise")):
        return False
    if dtype == torch.bfloat16:
        return operators._is_mkldnn_bf16_supported()
    return dtype == torch.float32
