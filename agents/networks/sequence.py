"""What backbones that read a game as a sequence have in common: the recurrent net and the transformer.

To whoever evaluates it such a backbone is one like any other: observations ``[B, C, H, W]`` in, features ``[B, F]``
out. Its observation is the game so far, written into planes by ``agents.histories``: at most ``context`` tokens (moves)
or positions, in their order. In training, ``every_ply`` gives the features after each of them at once.

Axes: ``T`` tokens, at most ``context``.
"""

from __future__ import annotations

import abc
import math

import torch
from torch import Tensor, nn

from agents.histories import FIRST_ACTION, TOKEN_BASE, observation_shape_of
from agents.networks.layers import NetworkError


class SequenceBackbone(nn.Module, abc.ABC):
    """Embeds what it reads, and leaves to a subclass what to make of the sequence.

    Args:
        reads: ``"moves"`` or ``"positions"``.
        context: how many tokens it sees at most.
        observation_shape: ``(C, H, W)`` of the histories.
        num_actions: ``A``; the tokens are nothing (0), the start (1) and action ``a`` (``FIRST_ACTION + a``).
        width: of the embedding.

    Raises:
        NetworkError: the observation is not a history of this kind and length.
    """

    feature_shape: tuple[int, ...]

    def __init__(
        self, reads: str, context: int, observation_shape: tuple[int, int, int], num_actions: int, width: int
    ) -> None:
        super().__init__()
        planes, height, columns = observation_shape
        board = (planes // context - 1, height, columns)
        if observation_shape != observation_shape_of(reads, context, board) or min(board[1:]) < 1:
            raise NetworkError(
                f"A backbone that reads {reads}, at most {context} of them, cannot read observations of shape "
                f"{observation_shape}."
            )
        self.reads, self.context, self._board = reads, context, board
        self._num_actions, self._width = num_actions, width
        self.tokens = self.new_embedding()

    @abc.abstractmethod
    def every_ply(self, inputs: Tensor) -> Tensor:
        """Features ``[B, T, F]`` after each of ``inputs``: tokens int64 ``[B, T]``, or planes ``[B, T, C, H, W]``.

        Those at ``t`` depend on ``inputs[:, :t + 1]`` alone, so whatever stands after the end of a game does no harm.
        """

    def forward(self, observation: Tensor) -> Tensor:
        inputs, lengths = self.read(observation)
        if len(inputs) and not observation.is_cuda:  # a GPU would have to wait for the number
            inputs = inputs[:, : int(lengths.max())]
        features = self.every_ply(inputs)
        return features[torch.arange(len(features), device=features.device), lengths - 1]

    def read(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs of ``every_ply`` ``[B, context, …]`` and how many of them there are (int64 ``[B]``, 1 or more)."""
        if self.reads == "moves":
            digits = (observation[:, :, 0] * TOKEN_BASE).round().long()
            inputs = digits[:, 0] * TOKEN_BASE + digits[:, 1]
            lengths = (inputs > 0).sum(dim=1)
        else:
            planes, height, columns = self._board
            stacked = observation.reshape(len(observation), self.context, planes + 1, height, columns)
            inputs, lengths = stacked[:, :, :planes], stacked[:, :, planes, 0, 0].round().long().sum(dim=1)
        return inputs, lengths.clamp(min=1)

    def new_embedding(self) -> nn.Module:
        """A further table of vectors for ``embed``, freshly initialised."""
        if self.reads == "positions":
            return nn.Linear(math.prod(self._board), self._width)
        table = nn.Embedding(FIRST_ACTION + self._num_actions, self._width)
        nn.init.normal_(table.weight, std=self._width**-0.5)
        return table

    def embed(self, inputs: Tensor, table: nn.Module | None = None) -> Tensor:
        """Vectors ``[B, T, width]`` for inputs as ``every_ply`` takes them; ``table`` in place of the first one."""
        table = self.tokens if table is None else table
        return table(inputs if self.reads == "moves" else inputs.flatten(start_dim=2))
