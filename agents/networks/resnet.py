"""AlphaZero's residual tower (Silver et al., 2018, after He et al., 2016)."""

from __future__ import annotations

from torch import Tensor, nn

from agents.networks.convolution import BoardConvolution, activated
from agents.networks.layers import normalised


class ResidualBlock(nn.Module):
    """``x -> g(x + conv(g(conv(x))))``, ``g`` being the activation, with 3x3 convolutions: ``[B, F, H, W]`` to the same
    shape. Without gradients its result may take the place of ``x``; see ``activated``.

    The branch starts at zero, so every block starts as the identity and depth costs nothing at first. Without
    normalisation this is what keeps training stable: Fixup (Zhang, Dauphin and Ma, 2019) zeroes the last layer of each
    branch and scales the initial weights of the others by ``blocks ** (-1 / (2 m - 2))``, with ``m = 2``.
    Fixup's scalar biases are the convolutions' own here, and its scalar multipliers are left out, so that a block is
    nothing but two convolutions. With batch normalisation the zero goes into the last scale (Goyal et al., 2017).
    """

    def __init__(self, channels: int, blocks: int, normalisation: str, activation: str) -> None:
        super().__init__()
        gain = blocks**-0.5 if normalisation == "none" else 1.0
        self.conv1 = normalised(BoardConvolution(channels, channels), normalisation, gain=gain)
        self.conv2 = normalised(BoardConvolution(channels, channels), normalisation, gain=0.0)
        self.activation = activation

    def forward(self, planes: Tensor) -> Tensor:
        hidden = activated(self.conv1, planes, activation=self.activation)
        return activated(self.conv2, hidden, planes, self.activation)


class ResNet(nn.Module):
    """A 3x3 stem and ``blocks`` residual blocks: ``[B, C, H, W] -> [B, channels, H, W]``."""

    def __init__(
        self,
        observation_shape: tuple[int, int, int],
        blocks: int,
        channels: int,
        normalisation: str,
        activation: str,
    ) -> None:
        super().__init__()
        planes, height, width = observation_shape
        self.stem = normalised(BoardConvolution(planes, channels), normalisation)
        tower = (ResidualBlock(channels, blocks, normalisation, activation) for _ in range(blocks))
        self.blocks = nn.Sequential(*tower)
        self.activation = activation
        self.feature_shape: tuple[int, ...] = (channels, height, width)

    def forward(self, observation: Tensor) -> Tensor:
        return self.blocks(activated(self.stem, observation, activation=self.activation))
