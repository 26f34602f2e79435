"""The recurrent network over the course of a game: GRU (Cho et al., 2014), LSTM (Hochreiter and Schmidhuber, 1997)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.networks.sequence import SequenceBackbone

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(SequenceBackbone):
    """``layers`` recurrent layers, each of ``width`` units; the features are what the last one gives: ``[B, width]``.

    Its state after a ply is all that it knows of the game, so a player need not read the game again for every move:
    ``advance`` goes on from the state of the ply before.
    """

    def __init__(
        self,
        reads: str,
        context: int,
        observation_shape: tuple[int, int, int],
        num_actions: int,
        *,
        cell: str,
        layers: int,
        width: int,
        dropout: float,
    ) -> None:
        super().__init__(reads, context, observation_shape, num_actions, width)
        self.cells = CELLS[cell](width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        if isinstance(self.cells, nn.LSTM):
            for name, bias in self.cells.named_parameters():
                if name.startswith("bias_ih"):  # the forget gate starts open (Jozefowicz et al., 2015)
                    nn.init.ones_(bias.data[width : 2 * width])
        self.feature_shape: tuple[int, ...] = (width,)

    def every_ply(self, inputs: Tensor) -> Tensor:
        return self.advance(inputs)[0]

    def advance(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Reads on: features ``[B, T, F]`` after each of ``inputs``, and the state after the last.

        A state is ``[B, S, layers, width]``, where ``S`` is 1 for a GRU and 2 for an LSTM; None is that before a game.
        """
        self.cells.flatten_parameters()  # on a GPU, where a copy of a network scatters them
        parts = None if state is None else tuple(part.contiguous() for part in state.permute(1, 2, 0, 3))
        if isinstance(self.cells, nn.LSTM):
            features, after = self.cells(self.embed(inputs), parts)
        else:
            features, hidden = self.cells(self.embed(inputs), None if parts is None else parts[0])
            after = (hidden,)
        return features, torch.stack(after).permute(2, 0, 1, 3)
