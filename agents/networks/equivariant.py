"""Training that ties weights, so that a network answers a position and its images under the board's symmetries alike.

The features are cut into as many blocks as there are symmetries, and block ``g`` reads the game as symmetry ``g`` turns
it. Each layer then treats the blocks alike (Cohen and Welling, "Group Equivariant Convolutional Networks", 2016).
Nothing of the network changes but that many of its weights are one: to turn the board is to exchange the blocks and to
turn their cells, and the policy turns along. What is learned of one corner is known of all of them, and a position
teaches as much as all its images.

Tied weights are parametrizations (``torch.nn.utils.parametrize``) of a network built as any other. ``made_plain`` turns
them into weights, so that whoever plays knows nothing of it.

A map to features is kept in the basis of the group's irreducible representations, where it falls apart into a few
matrices that are free. In this basis a step of Muon is the one that it would make of the whole map.

Axes: ``G`` symmetries, ``C`` features in a block, ``A`` actions, ``S`` cells of the board or of a kernel.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import games
from agents.core import Array
from agents.histories import FIRST_ACTION, START
from agents.networks.core import PolicyValueNetwork
from agents.networks.factored import Basis, factor, unfactor
from agents.networks.heads import OutcomeHead, PolicyHead, ValueHead, answering_layers
from agents.networks.layers import NetworkError
from agents.networks.resnet import ResNet
from agents.networks.transformer import Transformer
from games import Game, start_symmetries

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class Group:
    """The symmetries of a game's board, as a group that acts on actions, cells and tokens; the identity first.

    Attributes:
        actions: int64 ``[G, A]``, what each symmetry makes of each action.
        cells: int64 ``[G, S]``, the same of each cell, row by row.
        tokens: int64 ``[G, FIRST_ACTION + A]``, the same of each token. A symmetry that turns the start of the game
            into another position, as a quarter turn does in Othello, makes another token of it, behind all others.
        num_tokens: how many tokens there are then.
        blocks: int64 ``[G, G]``: block ``k`` of the features becomes block ``blocks[g, k]``, which is ``k`` after the
            inverse of ``g``, since it is that one which then reads what it read.
        representations: the irreducible ones, ``[G, d, d]`` each, orthogonal.
    """

    def __init__(self, game: Game) -> None:
        symmetries = game.symmetries
        self.actions = np.stack([symmetry.image_of_action for symmetry in symmetries])
        self.cells = np.stack([symmetry.image_of_cell for symmetry in symmetries])
        self._columns = game.spec.observation_shape[2]
        index = {row.tobytes(): g for g, row in enumerate(self.actions)}
        size = len(index)
        if size < len(self.actions):
            raise NetworkError(f"Two symmetries of {game.spec.name} do the same to all actions.")
        products = np.array([[index[g[h].tobytes()] for h in self.actions] for g in self.actions])
        inverses = products.argmin(axis=1)
        self.blocks = products[:, inverses].T
        self.representations = _irreducible(products, inverses)
        self.tokens = np.concatenate([np.tile(np.arange(FIRST_ACTION), (size, 1)), FIRST_ACTION + self.actions], axis=1)
        self.num_tokens = self.tokens.shape[1]
        # Those that make the same of the start are one of them after each of those that leave it as it is.
        stays = [index[symmetry.image_of_action.tobytes()] for symmetry in start_symmetries(game)]
        known = set(stays)
        for g in range(size):
            if g not in known:
                self.tokens[products[g, stays], START] = self.num_tokens
                self.num_tokens += 1
                known |= set(products[g, stays].tolist())

    def __len__(self) -> int:
        return len(self.actions)

    def kernel(self, size: int) -> Array:
        """int64 ``[G, S]``: what each symmetry makes of the cells of a kernel of ``size`` by ``size``, row by row."""
        corner, right, below = (np.stack(np.divmod(self.cells[:, i], self._columns), 1) for i in (0, 1, self._columns))
        rows, columns = np.divmod(np.arange(size**2), size) - np.array(size // 2)
        turned = rows[:, None] * (below - corner)[:, None] + columns[:, None] * (right - corner)[:, None] + size // 2
        return turned[..., 0] * size + turned[..., 1]

    def basis(self) -> Basis:
        """That of the irreducible representations. In it each of ``d`` dimensions has ``d`` parts, of ``d`` blocks
        each, which one matrix of ``_Map`` turns into ``d`` others."""
        dimensions = [rep.shape[1] for rep in self.representations]
        read = [_adapted(rep, self.blocks).transpose(2, 1, 0).reshape(-1, len(self)) for rep in self.representations]
        write = [
            rep.transpose(0, 2, 1).reshape(len(self), -1) * (d / len(self)) ** 0.5
            for rep, d in zip(self.representations, dimensions, strict=True)
        ]
        return Basis(
            torch.from_numpy(np.concatenate(read)).float(),
            torch.from_numpy(np.concatenate(write, axis=1)).float(),
            tuple(sorted(Counter(dimensions).items())),
        )

    @functools.cache  # noqa: B019  # groups are kept
    def bases(self, from_features: bool, kernel: int) -> tuple[Tensor, Tensor, list[tuple[int, int]]]:
        """How ``_Map`` makes a weight of its matrices, for what it reads: blocks, if it reads features, of kernels.

        Returns:
            float32 ``[G * N, K]``, what each of ``K`` entries of the matrices gives to each block of rows and each of
            the ``N`` things read; ``[K, N]``, the entries that the first block of rows tells; and for each
            representation that occurs in what is read its dimensions, and how often it occurs.
        """
        blocks = self.blocks if from_features else np.zeros((len(self), 1), np.int64)
        cells = self.kernel(kernel)
        read = (blocks[:, :, None] * cells.shape[1] + cells[:, None, :]).reshape(len(self), -1)
        pairs = [(rep, _adapted(rep, read)) for rep in self.representations]
        pairs = [(rep, vectors) for rep, vectors in pairs if vectors.size]
        rows = [np.einsum("hab,jmb->hjam", rep, vectors) * (rep.shape[1] / len(self)) ** 0.5 for rep, vectors in pairs]
        basis = np.concatenate([part.reshape(read.size, -1) for part in rows], axis=1)
        # Row h reads j as the first reads what h makes of it.
        inverse = np.zeros((read.shape[1], basis.shape[1]))
        np.add.at(inverse, read.ravel(), basis / (basis**2).sum(axis=0))
        dimensions = [(rep.shape[1], vectors.shape[1]) for rep, vectors in pairs]
        return torch.from_numpy(basis).float(), torch.from_numpy(inverse.T.copy()).float(), dimensions


def _irreducible(products: Array, inverses: Array) -> list[Array]:
    """The irreducible representations of a group given by its table, as real orthogonal matrices.

    They are what the group does to the eigenspaces of a random symmetric matrix that commutes with all it does to
    itself from the left (Dixon, "Computing irreducible representations of groups", 1970).
    """
    size = len(products)
    each = np.arange(size)
    left, right = np.zeros((2, size, size, size))
    for g in range(size):
        left[g, products[g, each], each] = 1
        right[g, products[each, inverses[g]], each] = 1
    mixture = np.random.default_rng(0).random(size)
    levels, vectors = np.linalg.eigh(np.einsum("g,gij->ij", mixture + mixture[inverses], right))
    found: list[Array] = []
    for level in np.unique(levels.round(9)):
        basis = vectors[:, np.abs(levels - level) < 1e-8]
        representation = np.einsum("ia,gij,jb->gab", basis, left, basis)
        character = np.trace(representation, axis1=1, axis2=2)
        if not any(np.allclose(character, np.trace(other, axis1=1, axis2=2)) for other in found):
            found.append(representation)
    if sum(representation.shape[1] ** 2 for representation in found) != size:
        raise NetworkError("No network can be equivariant under symmetries whose representations are not real.")
    return sorted(found, key=lambda representation: representation.shape[1])


def _adapted(representation: Array, images: Array) -> Array:
    """``[N, M, d]``: vectors over what the group exchanges as ``images`` ``[G, N]`` says, orthonormal, of which each
    ``[N, d]`` turns as ``representation`` does (Serre, "Linear Representations of Finite Groups", 2.7)."""
    size, dimension = representation.shape[:2]
    exchanges = np.zeros((size, images.shape[1], images.shape[1]))
    for g in range(size):
        exchanges[g, images[g], np.arange(images.shape[1])] = 1
    first = np.einsum("gb,gij->bij", representation[:, :, 0], exchanges) * (dimension / size)
    levels, vectors = np.linalg.eigh(first[0])
    return np.einsum("bij,jm->imb", first, vectors[:, levels > 0.5])


class _Map(nn.Module):
    """A map to features, ``[G * O, N]``, from a matrix ``[d * O, M * I]`` for each irreducible representation of ``d``
    dimensions.

    Args:
        group: the symmetries.
        shape: of the weight: features by what it reads, which is blocks (or one), of each ``I`` channels, of each the
            cells of a kernel.
        from_features: whether it reads features, which have blocks.
        kernel: its size; 1 for what is no convolution.
    """

    basis: Tensor
    inverse: Tensor

    def __init__(self, group: Group, shape: torch.Size, from_features: bool, kernel: int) -> None:
        super().__init__()
        self.shape, self.size, self.outputs = shape, len(group), shape[0] // len(group)
        self.lead, self.trail = len(group) if from_features else 1, kernel**2
        self.channels = math.prod(shape[1:]) // (self.lead * self.trail)
        basis, inverse, self.dimensions = group.bases(from_features, kernel)
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("inverse", inverse, persistent=False)

    def forward(self, *parts: Tensor) -> Tensor:
        flat = [
            part.view(d, self.outputs, m, self.channels).transpose(1, 2).reshape(d * m, -1)
            for part, (d, m) in zip(parts, self.dimensions, strict=True)
        ]
        with torch.autocast(self.basis.device.type, enabled=False):
            weight = self.basis @ torch.cat(flat)
        weight = weight.view(self.size, self.lead, self.trail, self.outputs, self.channels)
        return weight.permute(0, 3, 1, 4, 2).reshape(self.shape)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        first = weight[: self.outputs].reshape(self.outputs, self.lead, self.channels, self.trail)
        flat = self.inverse.to(weight) @ first.permute(1, 3, 0, 2).reshape(self.lead * self.trail, -1)
        return tuple(
            part.view(d, m, self.outputs, self.channels).transpose(1, 2).reshape(d * self.outputs, m * self.channels)
            for part, (d, m) in zip(flat.split([d * m for d, m in self.dimensions]), self.dimensions, strict=True)
        )


class _Rows(nn.Module):
    """The same map from its first block of rows as it is, ``[O, N]``, where the matrices of ``_Map`` would be too many:
    a linear layer over a whole board.

    Row ``h`` reads what the first row reads of what symmetry ``h`` makes of it. ``shape`` and ``cells`` are as there.
    """

    entries: Tensor

    def __init__(self, group: Group, shape: torch.Size, cells: Array) -> None:
        super().__init__()
        size, trail = len(group), cells.shape[1]
        self.outputs = shape[0] // size
        per_block = shape[1] // size
        within = np.arange(0, per_block, trail)[:, None] + cells[:, None, None]
        columns = group.blocks[:, :, None, None] * per_block + within
        entries = np.arange(self.outputs)[:, None] * shape[1] + columns.reshape(size, 1, -1)
        self.register_buffer("entries", torch.from_numpy(entries.reshape(shape)), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        return rows.view(-1)[self.entries]

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight[: self.outputs].clone()


class _Repeated(nn.Module):
    """``[…, G * C]`` from ``[…, C]``: the same for every block."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.size = len(group)

    def forward(self, block: Tensor) -> Tensor:
        return block.repeat(*(1,) * (block.ndim - 1), self.size)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight[..., : weight.shape[-1] // self.size].clone()


class _Table(nn.Module):
    """``[N, G * C * S]`` from ``[M, C * S]``: to block ``g``, row ``n`` is row ``images[g, n]``, its cells turned."""

    entries: Tensor

    def __init__(self, images: Array, columns: int, cells: Array | None = None) -> None:
        super().__init__()
        cells = np.zeros((len(images), 1), np.int64) if cells is None else cells
        self.shape = int(images.max()) + 1, columns // len(images)
        turned = np.arange(0, self.shape[1], cells.shape[1])[:, None] + cells[:, None]  # [G, C, S]
        entries = images.T[:, :, None, None] * self.shape[1] + turned
        self.register_buffer("entries", torch.from_numpy(entries.reshape(images.shape[1], -1)), persistent=False)

    def forward(self, block: Tensor) -> Tensor:
        return block.view(-1)[self.entries]

    def right_inverse(self, weight: Tensor) -> Tensor:
        block = weight.new_zeros(self.shape)
        parts = zip(weight.split(self.shape[1], 1), self.entries.split(self.shape[1], 1), strict=True)
        for part, entries in reversed(list(parts)):
            block.view(-1)[entries] = part  # the identity last
        return block


class _Mean(nn.Module):
    """``[A]`` from ``[A]``: each entry the mean of those of its images."""

    images: Tensor

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.register_buffer("images", torch.from_numpy(group.actions), persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        return weight[self.images].mean(dim=0)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight.clone()


@functools.cache
def group_of(name: str) -> Group:
    """The symmetries of the game called ``name``."""
    return Group(games.make(name))


def make_equivariant(network: PolicyValueNetwork, name: str) -> None:
    """Ties the weights of a freshly built policy-value network, in place.

    Args:
        network: with a tower of residual blocks without batch normalisation, or a transformer that reads moves.
        name: of the game whose symmetries are meant.

    Raises:
        NetworkError: another network, or its features, attention heads, heads' planes or hidden values cannot be shared
            out among as many blocks as there are symmetries.
    """
    group = group_of(name)
    backbone, policy, value = network.backbone, network.policy, network.value
    assert isinstance(backbone, (ResNet, Transformer))
    assert isinstance(policy, PolicyHead)
    assert isinstance(value, (ValueHead, OutcomeHead))
    for what, number in _shared_out(backbone, policy, value, group).items():
        if number % len(group):
            raise NetworkError(
                f"An equivariant network for {name} needs {what} to be a multiple of the board's {len(group)} "
                f"symmetries, not {number}."
            )

    def tie(layer: nn.Module, **parametrizations: nn.Module) -> None:
        for parameter, parametrization in parametrizations.items():
            if getattr(layer, parameter) is not None:
                parametrize.register_parametrization(layer, parameter, parametrization)

    answering = set(answering_layers(network))
    reads_board = isinstance(backbone, ResNet)  # the heads' linear layers do
    stem = backbone.stem if isinstance(backbone, ResNet) else None
    places = backbone.places if isinstance(backbone, Transformer) else None
    for layer in list(network.modules()):
        if layer is policy.logits:
            cells = group.cells if reads_board else None
            tie(layer, weight=_Table(group.actions, policy.flat.num_features, cells), bias=_Mean(group))
        elif isinstance(layer, nn.Linear) and layer in answering:
            tie(layer, weight=_Repeated(group))
        elif isinstance(layer, nn.Linear):
            shape = layer.weight.shape
            weight = _Rows(group, shape, group.cells) if reads_board else _Map(group, shape, True, 1)
            tie(layer, weight=weight, bias=_Repeated(group))
        elif isinstance(layer, nn.Conv2d):
            weight = _Map(group, layer.weight.shape, layer is not stem, layer.kernel_size[0])
            tie(layer, weight=weight, bias=_Repeated(group))
        elif isinstance(layer, nn.LayerNorm):
            tie(layer, weight=_Repeated(group), bias=_Repeated(group))
        elif isinstance(layer, nn.Embedding):
            is_table = layer is not places
            tie(layer, weight=_Table(group.tokens, layer.embedding_dim) if is_table else _Repeated(group))
    if isinstance(backbone, Transformer):
        factor(backbone, group.basis())


def _shared_out(
    backbone: ResNet | Transformer, policy: PolicyHead, value: ValueHead | OutcomeHead, group: Group
) -> dict[str, int]:
    """What is shared out among the blocks, by the name of its setting."""
    assert isinstance(value.hidden, nn.Linear)
    hidden = {"value_hidden": value.hidden.out_features}
    if isinstance(backbone, Transformer):
        return {"width": backbone.feature_shape[0], "heads": backbone.heads} | hidden
    cells = group.cells.shape[1]
    planes = {"policy_channels": policy.flat.num_features // cells, "value_channels": value.flat.num_features // cells}
    return {"channels": backbone.feature_shape[0]} | planes | hidden


def made_plain(network: ModuleT) -> ModuleT:
    """``network`` with the weights that its tied ones amount to, in place; one that is plain is left as it is."""
    unfactor(network)
    for layer in list(network.modules()):
        for name in list(getattr(layer, "parametrizations", {})):
            parametrize.remove_parametrizations(layer, name)
    return network


@torch.no_grad()
def take_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Gives a network, tied or plain, the weights of a plain one, by name.

    Raises:
        NetworkError: weights that are not tied as the network's are.
    """
    for path, weight in weights.items():
        owner, _, name = path.rpartition(".")
        layer = network.get_submodule(owner)
        if parametrize.is_parametrized(layer, name):
            setattr(layer, name, weight)
            if not torch.allclose(getattr(layer, name), weight, rtol=1e-3, atol=1e-5):
                raise NetworkError(
                    "The network to start from was not trained as an equivariant one; leave the network settings out, "
                    "and its own are used."
                )
        else:
            getattr(layer, name).copy_(weight)
