"""Training that ties weights, so that a transformer answers a game and its images under the board's symmetries alike.

The features are cut into as many blocks as there are symmetries, and block ``g`` reads the game as symmetry ``g`` turns
it: the same vectors for the same moves, seen from another side. Each layer then treats the blocks alike (Cohen and
Welling, "Group Equivariant Convolutional Networks", 2016). Nothing of the network changes but that many of its weights
are one: to turn the game is to exchange the blocks, and the policy turns along. What is learned of one corner is known
of all of them, and a game teaches as much as all its images.

Tied weights are parametrizations (``torch.nn.utils.parametrize``) of a network built as any other. ``made_plain`` turns
them into weights, so that whoever plays knows nothing of it.

A map from features to features is kept in the basis of the group's irreducible representations, where it falls apart
into a few matrices that are free. In this basis a step of Muon is the one that it would make of the whole map.

Axes: ``G`` symmetries, ``C`` features in a block, ``A`` actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from agents.core import Array
from agents.histories import FIRST_ACTION, START
from agents.networks.core import PolicyValueNetwork
from agents.networks.heads import OutcomeHead, PolicyHead, ValueHead, answering_layers
from agents.networks.layers import NetworkError
from agents.networks.transformer import Transformer
from games import Game, start_symmetries

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class Group:
    """The symmetries of a game's board, as a group that acts on actions and on tokens.

    Attributes:
        actions: int64 ``[G, A]``, what each symmetry makes of each action; the identity first.
        tokens: int64 ``[G, FIRST_ACTION + A]``, the same of each token. A symmetry that turns the start of the game
            into another position, as a quarter turn does in Othello, makes another token of it, behind all others.
        num_tokens: how many tokens there are then.
        quotients: int64 ``[G, G]``, the symmetry that is ``g`` after the inverse of ``h``.
        representations: the irreducible ones, ``[G, d, d]`` each, orthogonal.
    """

    def __init__(self, game: Game) -> None:
        self.actions = np.stack([np.argsort(symmetry.action_permutation) for symmetry in game.symmetries])
        index = {row.tobytes(): g for g, row in enumerate(self.actions)}
        size = len(index)
        if size < len(self.actions):
            raise NetworkError(
                f"Two symmetries of {game.spec.name} do the same to all actions; they cannot be told apart."
            )
        products = np.array([[index[g[h].tobytes()] for h in self.actions] for g in self.actions])
        inverses = products.argmin(axis=1)
        self.quotients = products[:, inverses]
        self.representations = _irreducible(products, inverses)
        stays = {np.argsort(symmetry.action_permutation).tobytes() for symmetry in start_symmetries(game)}
        starts = [index[row] for row in stays]
        self.tokens = np.concatenate([np.tile(np.arange(FIRST_ACTION), (size, 1)), FIRST_ACTION + self.actions], axis=1)
        self.num_tokens = self.tokens.shape[1]
        # The symmetries that make the same of the start: g after each of those that leave it as it is.
        seen = set(starts)
        for g in range(size):
            if g not in seen:
                alike = products[g, starts]
                self.tokens[alike, START] = self.num_tokens
                self.num_tokens += 1
                seen |= set(alike.tolist())

    def __len__(self) -> int:
        return len(self.actions)


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
        raise NetworkError(
            "The symmetries of this board have representations that are not real; leave out equivariant."
        )
    return found


class _Map(nn.Module):
    """``[G * O, G * I]`` from a matrix ``[d * O, d * I]`` for each irreducible representation of ``d`` dimensions."""

    basis: Tensor

    def __init__(self, group: Group, outputs: int, inputs: int) -> None:
        super().__init__()
        self.size, self.outputs, self.inputs = len(group), outputs, inputs
        self.dimensions = [representation.shape[1] for representation in group.representations]
        self.inverses = group.quotients[0].tolist()
        flat = [rep.reshape(self.size, -1) * (rep.shape[1] / self.size) for rep in group.representations]
        per_block = np.concatenate(flat, axis=1)[group.quotients.reshape(-1)]
        self.register_buffer("basis", torch.from_numpy(per_block).float(), persistent=False)
        self.representations = [torch.from_numpy(rep).float() for rep in group.representations]

    def forward(self, *parts: Tensor) -> Tensor:
        outputs, inputs = self.outputs, self.inputs
        flat = [
            part.view(d, outputs, d, inputs).transpose(1, 2).reshape(d * d, -1)
            for part, d in zip(parts, self.dimensions, strict=True)
        ]
        with torch.autocast(self.basis.device.type, enabled=False):
            blocks = self.basis @ torch.cat(flat)
        blocks = blocks.view(self.size, self.size, outputs, inputs)
        return blocks.transpose(1, 2).reshape(self.size * outputs, self.size * inputs)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        by_symmetry = weight[: self.outputs].view(self.outputs, self.size, self.inputs)[:, self.inverses]
        return tuple(
            torch.einsum("gab,ogi->aobi", rep.to(weight), by_symmetry).reshape(d * self.outputs, d * self.inputs)
            for rep, d in zip(self.representations, self.dimensions, strict=True)
        )


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
    """``[N, G * C]`` from ``[M, C]``: to block ``g``, row ``n`` is row ``images[g, n]``."""

    images: Tensor

    def __init__(self, images: Array, rows: int) -> None:
        super().__init__()
        self.rows = rows
        self.register_buffer("images", torch.from_numpy(images), persistent=False)

    def forward(self, block: Tensor) -> Tensor:
        return block[self.images.T].flatten(start_dim=1)

    def right_inverse(self, weight: Tensor) -> Tensor:
        blocks = weight.view(len(weight), len(self.images), -1)
        block = weight.new_zeros(self.rows, blocks.shape[2])
        for g in reversed(range(len(self.images))):  # the identity last
            block[self.images[g]] = blocks[:, g]
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


def make_equivariant(network: PolicyValueNetwork, game: Game) -> None:
    """Ties the weights of a freshly built policy-value network, in place.

    Args:
        network: with a transformer that reads moves.
        game: whose symmetries are meant.

    Raises:
        NetworkError: the network reads no moves, or its width, attention heads or hidden values cannot be shared out
            among as many blocks as there are symmetries.
    """
    group = Group(game)
    backbone, policy, value = network.backbone, network.policy, network.value
    if not isinstance(backbone, Transformer) or backbone.reads != "moves":
        raise NetworkError("Only a transformer that reads moves can be equivariant.")
    assert isinstance(policy, PolicyHead)
    assert isinstance(value, (ValueHead, OutcomeHead))
    hidden = value.hidden
    assert isinstance(hidden, nn.Linear)
    shared = {"width": backbone.feature_shape[0], "heads": backbone.heads, "value_hidden": hidden.out_features}
    for what, number in shared.items():
        if number % len(group):
            raise NetworkError(
                f"An equivariant network for {game.spec.name} needs a {what} that is a multiple of the board's "
                f"{len(group)} symmetries, not {number}."
            )

    def tie(layer: nn.Module, name: str, parametrization: nn.Module) -> None:
        parametrize.register_parametrization(layer, name, parametrization)

    answering = set(answering_layers(network))
    for layer in list(network.modules()):
        if layer is policy.logits:
            tie(layer, "weight", _Table(group.actions, len(group.actions[0])))
            tie(layer, "bias", _Mean(group))
        elif isinstance(layer, nn.Linear) and layer in answering:
            tie(layer, "weight", _Repeated(group))
        elif isinstance(layer, nn.Linear):
            tie(layer, "weight", _Map(group, layer.out_features // len(group), layer.in_features // len(group)))
            if layer.bias is not None:
                tie(layer, "bias", _Repeated(group))
        elif isinstance(layer, nn.LayerNorm):
            tie(layer, "weight", _Repeated(group))
            tie(layer, "bias", _Repeated(group))
        elif layer is backbone.places:
            tie(layer, "weight", _Repeated(group))
        elif isinstance(layer, nn.Embedding):
            tie(layer, "weight", _Table(group.tokens, group.num_tokens))


def made_plain(network: ModuleT) -> ModuleT:
    """``network`` with the weights that its tied ones amount to, in place; one that is plain is left as it is."""
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
