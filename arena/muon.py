"""Muon: momentum whose matrices are made orthogonal before they are taken as steps (Jordan et al., 2024).

"Muon: An optimizer for hidden layers in neural networks", https://kellerjordan.github.io/posts/muon/. Every direction
of a weight matrix is then learned at the same pace, and not only the few in which the gradient is large. PyTorch has a
Muon of its own, but it takes no convolutions, and works in bfloat16 everywhere and one matrix at a time, which on
processors without bfloat16 costs a fifth of a training step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic that draws singular values towards 1: the steepest at 0 that stays within about 0.7 … 1.2."""


class Muon(torch.optim.Optimizer):
    """For weights with two or more axes; one with more is a matrix of its first axis by all others.

    Args:
        params: the weights.
        lr: how far one step goes; the singular values of the step are about this (times the root of rows / columns
            where a matrix has more rows than columns).
        momentum: decay per step of the mean gradient; the step looks ahead by it (Nesterov).
        weight_decay: decoupled, as in AdamW.
        precision: what matrices are made orthogonal in; the step need not be exact.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self._precision = precision
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.ndim < 2:
                    raise ValueError(f"Muon takes weights with two or more axes, not of shape {tuple(weight.shape)}.")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step from the weights' gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    shapes.setdefault((weight.shape[0], weight[0].numel()), []).append(weight)
            for (rows, columns), weights in shapes.items():
                matrices = torch.stack([self._direction(weight, group) for weight in weights])
                directions = orthogonalised(matrices.to(self._precision)).to(matrices.dtype)
                length = group["lr"] * max(1.0, rows / columns) ** 0.5
                for weight, direction in zip(weights, directions, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(direction.view(weight.shape), alpha=-length)
        return loss

    def _direction(self, weight: Tensor, group: dict[str, Any]) -> Tensor:
        """The Nesterov momentum of a weight, as a matrix."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        momentum = state["momentum_buffer"].lerp_(weight.grad, 1 - group["momentum"])
        return weight.grad.lerp(momentum, group["momentum"]).reshape(weight.shape[0], -1)


def orthogonalised(matrices: Tensor, steps: int = 5) -> Tensor:
    """Matrices ``[M, R, C]`` with the same singular vectors, and singular values of about 1 (0.7 to 1.2).

    Newton-Schulz iterations on ``matrices`` scaled to a Frobenius norm of 1, all in one batch of products.
    """
    a, b, c = _COEFFICIENTS
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    is_tall = x.shape[1] > x.shape[2]
    if is_tall:
        x = x.mT.contiguous()
    for _ in range(steps):  # x <- a x + (b xx' + c xx'xx') x, each sum within the product that it needs
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x
