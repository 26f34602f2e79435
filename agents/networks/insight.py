"""What a trained network looks at: its first filters, what an answer hangs on, and what its activations know.

Axes: ``N`` positions, ``D`` width of an activation, ``S`` cells of a board.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from agents.core import Array
from agents.networks.core import Classifier, NetworkConfig, NetworkError, PolicyValueNetwork, build_network
from agents.networks.transformer import Transformer

RIDGE = 1e-2
"""Of the linear probe: how much the squares of its weights cost, beside activations of variance one."""


def first_filters(network: PolicyValueNetwork | Classifier, observation_shape: tuple[int, int, int]) -> Array:
    """float32 ``[F, C, h, w]``: the weights of the first layer, as pictures of what each of its units looks for.

    Raises:
        NetworkError: the first layer sees no planes: the network reads tokens.
    """
    for layer in network.backbone.modules():
        if isinstance(layer, nn.Conv2d):
            return layer.weight.detach().float().numpy()
        if isinstance(layer, nn.Linear):
            if layer.in_features == int(np.prod(observation_shape)):
                return layer.weight.detach().float().numpy().reshape(-1, *observation_shape)
            break
    raise NetworkError("The first layer of this network reads no planes, so it has no filters to be seen.")


def saliency(network: Classifier, picture: Array, label: int) -> Array:
    """float32 ``[H, W]``, 0 or more: how fast the logit of class ``label`` changes with each pixel of ``picture``
    ``[C, H, W]``, the most of its planes (Simonyan, Vedaldi and Zisserman, 2014)."""
    shown = torch.from_numpy(picture)[None].requires_grad_()
    network.eval()(shown)[0, label].backward()
    assert shown.grad is not None
    return shown.grad[0].abs().amax(dim=0).numpy()


def classify(network: Classifier, picture: Array) -> Array:
    """float64 ``[K]``: how probable the classes are for ``picture`` ``[C, H, W]``."""
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(picture)[None])[0].double().softmax(dim=0).numpy()


def untrained(config: NetworkConfig, observation_shape: tuple[int, int, int], num_actions: int) -> PolicyValueNetwork:
    """A network with random weights, always the same, to hold a trained one against."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_network(config, observation_shape, num_actions)


def activations(network: PolicyValueNetwork, inputs: Array, there: Array) -> list[Array]:
    """The residual stream of a transformer before its first block and after each: float32 ``[N, D]``, for the ``N``
    places of ``inputs`` ``[B, T]`` where ``there`` (bool ``[B, T]``) is true, in order.

    Raises:
        NetworkError: the network is no transformer.
    """
    backbone = network.backbone
    if not isinstance(backbone, Transformer):
        raise NetworkError("Only a transformer has a stream of activations to probe.")
    chosen = torch.from_numpy(there)
    with torch.inference_mode():
        return [stream[chosen].float().numpy() for stream in backbone.eval().streams(torch.from_numpy(inputs))]


@dataclass(frozen=True)
class Probe:
    """A linear reading of a board from activations.

    Attributes:
        mean, scale: ``[D]``, by which activations are centred and brought to variance one.
        weights: ``[D + 1, S, K]``, the last row for the constant; the largest of ``K`` says what is on a cell.
    """

    mean: Array
    scale: Array
    weights: Array

    @classmethod
    def fit(cls, activation: Array, board: Array, kinds: int) -> Probe:
        """Ridge regression from ``activation`` ``[N, D]`` to what is on each cell, ``board`` (int ``[N, S]``)."""
        mean, scale = activation.mean(axis=0), activation.std(axis=0) + 1e-6
        x = _with_constant((activation - mean) / scale)
        gram = x.T @ x + RIDGE * len(x) * torch.eye(x.shape[1], dtype=torch.float64)
        target = torch.from_numpy(board[..., None] == np.arange(kinds)).double().flatten(start_dim=1)
        weights = torch.linalg.solve(gram, x.T @ target)
        return cls(mean, scale, weights.numpy().reshape(-1, board.shape[1], kinds))

    def read(self, activation: Array) -> Array:
        """int64 ``[N, S]``: what it takes to be on each cell."""
        x = _with_constant((activation - self.mean) / self.scale).numpy()
        return np.einsum("nd,dsk->nsk", x, self.weights).argmax(axis=2)


def _with_constant(x: Array) -> Tensor:
    return torch.from_numpy(np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1)).double()
