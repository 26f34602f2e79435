"""Products with tied maps in the basis where they fall apart, for training on a CPU.

A map that treats as many blocks of features alike as there are symmetries is, in the basis of the irreducible
representations, a few small matrices (``agents.networks.equivariant``): for the eight symmetries of a square 27,648
numbers in place of 147,456 at width 384. So the transformer's blocks multiply by those, and the group's own matrices,
``[G, G]``, lead into that basis and back. In bfloat16 and on a GPU, where products cost less than that way does, the
plain ones are taken.

Axes: ``N`` tokens, ``G`` blocks, ``C`` features in a block. In the basis, features lie as their products read them: of
the representations of ``d`` dimensions together ``[R, d * N, d * C]``, if there are ``R``; one group after the other,
flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numba
import numpy as np
import torch
from numba import njit, prange
from torch import Tensor, nn

from agents.core import Array
from agents.networks.transformer import Block


class Basis(NamedTuple):
    """How to go into the basis of the irreducible representations and back: float32 ``[G, G]`` each, and how many
    representations there are of how many dimensions, ``(d, R)``, in their order."""

    read: Tensor
    write: Tensor
    groups: tuple[tuple[int, int], ...]

    def places(self, tokens: int, channels: int) -> Array:
        """int64 ``[G, 2]``: where each part of the first token lies, and how far it is to that of the next token."""
        places, start = [], 0
        for d, count in self.groups:
            for part in range(count * d):
                first = start + part * tokens * d * channels
                places += [(first + m * channels, d * channels) for m in range(d)]
            start += count * d * tokens * d * channels
        return np.array(places, np.int64)

    def blocks(self, channels: int) -> Array:
        """The same outside of the basis: int64 ``[G, 2]``, where each block lies in ``[N, G, C]``."""
        size = len(self.read)
        return np.stack([np.arange(size) * channels, np.full(size, size * channels)], axis=1)


class FactoredBlock(Block):
    """A ``Block`` whose maps are tied, taken apart where that pays. It gives what ``Block`` gives."""

    basis: Basis

    def projections(self, x: Tensor) -> tuple[Tensor, ...]:
        if not _pays(x):
            return super().projections(x)
        outputs = self.query.out_features // len(self.basis.read)
        matrices = [
            torch.cat([part.view(-1, outputs, part.shape[1]) for part in parts], dim=1).flatten(0, 1)
            for parts in zip(*(_matrices(layer) for layer in (self.query, self.key, self.value)), strict=True)
        ]
        there = self._left(self._product(self._entered(x), matrices), x.shape)
        return there.unflatten(-1, (3, outputs)).unbind(3)  # [B, T, G, C] each

    def mixed(self, x: Tensor) -> Tensor:
        if not _pays(x):
            return super().mixed(x)
        return self._left(self._product(self._entered(x), _matrices(self.mix)), x.shape).view(x.shape)

    def mlp(self, x: Tensor) -> Tensor:
        if not _pays(x):
            return super().mlp(x)
        hidden = self._product(self._entered(x), _matrices(self.up))
        hidden = _Rectified.apply(hidden, self.basis, x.shape[:-1].numel())
        return self._left(self._product(hidden, _matrices(self.down)), x.shape).view(x.shape)

    def _entered(self, x: Tensor) -> Tensor:
        """``[B, T, G * C]`` in the basis, flat."""
        return _Exchanged.apply(x, self.basis.read, self.basis, x.shape[:-1].numel(), True)

    def _left(self, x: Tensor, shape: torch.Size) -> Tensor:
        """The inverse: ``[B, T, G, C]``, for the ``shape`` of what entered."""
        there = _Exchanged.apply(x, self.basis.write, self.basis, shape[:-1].numel(), False)
        return there.view(*shape[:-1], len(self.basis.write), -1)

    def _product(self, x: Tensor, matrices: Sequence[Tensor]) -> Tensor:
        groups, left = self.basis.groups, iter(matrices)
        return _Product.apply(x, groups, *(torch.stack([next(left) for _ in range(count)]) for _, count in groups))


def factor(network: nn.Module, basis: Basis) -> None:
    """Makes every ``Block`` of a network, whose maps are tied, a ``FactoredBlock``, in place."""
    for block in network.modules():
        if isinstance(block, Block):
            cast(Any, block).__class__ = FactoredBlock
            cast(FactoredBlock, block).basis = basis


def unfactor(network: nn.Module) -> None:
    """The inverse of ``factor``; a network without such blocks is left as it is."""
    for block in network.modules():
        if isinstance(block, FactoredBlock):
            del block.basis
            cast(Any, block).__class__ = Block


def _pays(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def _matrices(layer: nn.Linear) -> list[Tensor]:
    """One for each representation, ``[d * C', d * C]``."""
    return list(cast(nn.ModuleDict, layer.parametrizations)["weight"].parameters(recurse=False))


class _Product(torch.autograd.Function):
    """Each representation's matrix, stacked for each group ``[R, d * C', d * C]``, times its part of ``x``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: tuple[tuple[int, int], ...], *matrices: Tensor) -> Tensor:
        ctx.save_for_backward(x, *matrices)
        ctx.groups = groups
        d, inputs, outputs = groups[0][0], matrices[0].shape[2], matrices[0].shape[1]
        there = x.new_empty(len(x) // inputs * outputs)
        sources, targets = _pieces(x, groups, inputs // d), _pieces(there, groups, outputs // d)
        for matrix, source, target in zip(matrices, sources, targets, strict=True):
            torch.bmm(source, matrix.mT, out=target)
        return there

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, *matrices = ctx.saved_tensors
        d, inputs, outputs = ctx.groups[0][0], matrices[0].shape[2], matrices[0].shape[1]
        back = torch.empty_like(x)
        sources, into = (_pieces(flat, ctx.groups, inputs // d) for flat in (x, back))
        arriving = _pieces(gradients[0].contiguous(), ctx.groups, outputs // d)
        for matrix, target, gradient in zip(matrices, into, arriving, strict=True):
            torch.bmm(gradient, matrix, out=target)
        products = (torch.bmm(gradient.mT, source) for gradient, source in zip(arriving, sources, strict=True))
        return back, None, *products


def _pieces(flat: Tensor, groups: tuple[tuple[int, int], ...], channels: int) -> list[Tensor]:
    """Views of features in the basis, ``[R, d * N, d * C]`` for each group."""
    block = len(flat) // sum(count * d**2 for d, count in groups)
    parts = flat.split([count * d**2 * block for d, count in groups])
    return [part.view(count, -1, d * channels) for part, (d, count) in zip(parts, groups, strict=True)]


class _Exchanged(torch.autograd.Function):
    """``matrix`` ``[G, G]`` times the blocks of each token, from ``[N, G, C]`` into the basis or from there; flat."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor, basis: Basis, tokens: int, enters: bool) -> Tensor:
        ctx.shape, ctx.matrix, ctx.rest = x.shape, matrix, (basis, tokens, enters)
        channels = x.numel() // (tokens * len(matrix))
        blocks, places = basis.blocks(channels), basis.places(tokens, channels)
        source, target = (blocks, places) if enters else (places, blocks)
        there = torch.empty(x.numel())
        _share_threads()
        _exchange(_array(x.reshape(-1)), _array(matrix), _array(there), source, target, tokens, channels)
        return there

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        basis, tokens, enters = ctx.rest
        back = _Exchanged.apply(gradients[0], ctx.matrix.T, basis, tokens, not enters)
        return back.view(ctx.shape), None, None, None, None


class _Rectified(torch.autograd.Function):
    """Out of the basis, through a ReLU, and back into the basis, in one pass over memory; flat."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, basis: Basis, tokens: int) -> Tensor:
        on = torch.empty(tokens, len(x) // tokens, dtype=torch.bool)
        ctx.basis = basis
        ctx.save_for_backward(on)
        return _gated(x, basis.write, basis.read, basis, on, decides=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (on,) = ctx.saved_tensors
        return _gated(gradients[0], ctx.basis.read.T, ctx.basis.write.T, ctx.basis, on, decides=False), None, None


def _gated(x: Tensor, first: Tensor, second: Tensor, basis: Basis, on: Tensor, *, decides: bool) -> Tensor:
    """``second`` times what of ``first`` times ``x`` is ``on``, bool ``[N, G * C]``; what is positive, if that is
    decided here."""
    tokens, channels = len(on), len(x) // (len(on) * len(first))
    there = torch.empty(len(x))
    _share_threads()
    arrays = _array(x), _array(first), _array(second), _array(on), _array(there)
    _gate(*arrays, basis.places(tokens, channels), tokens, channels, decides)
    return there


def _array(tensor: Tensor) -> Array:
    return tensor.detach().contiguous().numpy()


def _share_threads() -> None:
    """Lets the kernels use as many threads as PyTorch does."""
    numba.set_num_threads(min(torch.get_num_threads(), cast(Any, numba.config).NUMBA_NUM_THREADS))


CHUNK = 64  # tokens that a thread takes at once


@njit(cache=True, parallel=True, fastmath=True)
def _exchange(x, matrix, there, source, target, tokens, channels):
    for chunk in prange((tokens + CHUNK - 1) // CHUNK):
        for n in range(chunk * CHUNK, min((chunk + 1) * CHUNK, tokens)):
            _multiply(matrix, x, source, n, there, target, n, channels)


@njit(cache=True, parallel=True, fastmath=True)
def _gate(x, first, second, on, there, places, tokens, channels, decides):
    size = len(first)
    for chunk in prange((tokens + CHUNK - 1) // CHUNK):
        hidden = np.empty(size * channels, np.float32)
        rows = np.empty((size, 2), np.int64)
        for h in range(size):
            rows[h] = h * channels, 0
        for n in range(chunk * CHUNK, min((chunk + 1) * CHUNK, tokens)):
            _multiply(first, x, places, n, hidden, rows, n, channels)
            switch = on[n]
            if decides:
                for i in range(len(hidden)):
                    switch[i] = hidden[i] > 0
            for i in range(len(hidden)):
                hidden[i] = hidden[i] if switch[i] else np.float32(0)
            _multiply(second, hidden, rows, n, there, places, n, channels)


@njit(cache=True, fastmath=True)
def _multiply(matrix, x, source, n, there, target, m, channels):
    """``matrix`` ``[G, G]`` times the blocks of a token, each of them at its place."""
    size = len(matrix)
    for h in range(size):
        start = target[h, 0] + m * target[h, 1]
        row = there[start : start + channels]
        row[:] = 0
        for k in range(0, size - 1, 2):
            first, second = source[k, 0] + n * source[k, 1], source[k + 1, 0] + n * source[k + 1, 1]
            one, other = x[first : first + channels], x[second : second + channels]
            for c in range(channels):
                row[c] += matrix[h, k] * one[c] + matrix[h, k + 1] * other[c]
        if size % 2:
            start = source[size - 1, 0] + n * source[size - 1, 1]
            last = x[start : start + channels]
            for c in range(channels):
                row[c] += matrix[h, size - 1] * last[c]
