"""AlexNet (Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012):
as it was published, for photographs, and its plan at a size for small pictures and boards.

Five convolutions, three of them with max-pooling, and three fully connected layers, the last of which is the head.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from agents.networks.layers import NetworkError, normalised

SMALLEST_PICTURE = 63
"""Pixels a side below which nothing is left of a picture after AlexNet's strides."""
LARGEST_BOARD = 19
"""Cells a side up to which ``SmallAlexNet`` does not pool: on a board every cell counts."""


class AlexNet(nn.Module):
    """The published network without its last layer: pictures ``[B, 3, 224, 224] -> [B, 4096]``.

    With a linear layer of 1,000 classes on top it has the paper's 60,965,224 parameters. The paper spread it over two
    GPUs, so convolutions 2, 4 and 5 see only the half of the planes on their own GPU: ``groups=2`` here, as a number of
    one machine. With ``groups=1``, the two towers merged, it has 62,378,344.

    The paper says 224 x 224 pixels and 55 x 55 outputs of the first convolution, which takes two pixels of padding to
    the left and one to the right; it is two on both sides here, and the last column is not reached. Local response
    normalisation has the paper's k = 2, n = 5, alpha = 1e-4, beta = 0.75 (PyTorch divides its alpha by n). Weights
    start from a normal distribution with deviation 0.01; biases from 1 in convolutions 2, 4 and 5 and in the hidden
    fully connected layers, else from 0. Half of the units of both are dropped in training.
    """

    def __init__(self, observation_shape: tuple[int, int, int], groups: int = 2, dropout: float = 0.5) -> None:
        super().__init__()
        planes, height, width = observation_shape
        if min(height, width) < SMALLEST_PICTURE:
            raise NetworkError(
                f"The backbone alexnet needs pictures of {SMALLEST_PICTURE} × {SMALLEST_PICTURE} or more, not "
                f"{height} × {width}; use alexnet_small."
            )

        def norm() -> nn.Module:
            return nn.LocalResponseNorm(size=5, alpha=5e-4, beta=0.75, k=2.0)

        def pool() -> nn.Module:
            return nn.MaxPool2d(kernel_size=3, stride=2)

        conv1 = nn.Conv2d(planes, 96, kernel_size=11, stride=4, padding=2)
        conv2 = nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=groups)
        conv3 = nn.Conv2d(256, 384, kernel_size=3, padding=1)
        conv4 = nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=groups)
        conv5 = nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=groups)
        self.convolutions = nn.Sequential(
            *(conv1, nn.ReLU(inplace=True), norm(), pool()),
            *(conv2, nn.ReLU(inplace=True), norm(), pool()),
            *(conv3, nn.ReLU(inplace=True)),
            *(conv4, nn.ReLU(inplace=True)),
            *(conv5, nn.ReLU(inplace=True), pool()),
        )
        side = [(((size - 7) // 4 + 1 - 1) // 2 - 1) // 2 for size in (height, width)]  # after two poolings
        flat = 256 * ((side[0] - 1) // 2) * ((side[1] - 1) // 2)
        fc6, fc7 = nn.Linear(flat, 4096), nn.Linear(4096, 4096)
        self.hidden = nn.Sequential(
            *(nn.Flatten(), nn.Dropout(dropout), fc6, nn.ReLU(inplace=True)),
            *(nn.Dropout(dropout), fc7, nn.ReLU(inplace=True)),
        )
        for layer in (conv1, conv2, conv3, conv4, conv5, fc6, fc7):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.constant_(layer.bias, float(layer in (conv2, conv4, conv5, fc6, fc7)))
        self.feature_shape: tuple[int, ...] = (4096,)

    def forward(self, observation: Tensor) -> Tensor:
        return self.hidden(self.convolutions(observation))


class SmallAlexNet(nn.Module):
    """The same plan for 32 x 32 pictures and for boards: ``[B, C, H, W] -> [B, hidden[1]]``.

    Five convolutions, as wide in proportion as AlexNet's (96, 256, 384, 384, 256, of which ``channels`` is the first),
    all 3 x 3; max-pooling after the first, the second and the fifth, but not on boards; then two hidden fully connected
    layers. Batch normalisation, where it is asked for, takes the place of local response normalisation.
    """

    def __init__(
        self,
        observation_shape: tuple[int, int, int],
        channels: int,
        hidden: Sequence[int],
        normalisation: str,
        dropout: float,
    ) -> None:
        super().__init__()
        if len(hidden) != 2:
            raise NetworkError(
                f"The backbone alexnet_small has two hidden fully connected layers; give hidden two widths, not "
                f"{hidden}."
            )
        planes, *sides = observation_shape
        pools = min(sides) > LARGEST_BOARD
        layers: list[nn.Module] = []
        for number, proportion in enumerate((96, 256, 384, 384, 256), start=1):
            wider = max(1, round(channels * proportion / 96))
            convolution = nn.Conv2d(planes, wider, kernel_size=3, padding=1)
            layers += [normalised(convolution, normalisation), nn.ReLU(inplace=True)]
            planes = wider
            if pools and number in (1, 2, 5):
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, padding=1))
                sides = [(side + 1) // 2 for side in sides]
        self.convolutions = nn.Sequential(*layers)
        layers = [nn.Flatten()]
        units = planes * sides[0] * sides[1]
        for width in hidden:
            layers += [nn.Dropout(dropout), normalised(nn.Linear(units, width), normalisation), nn.ReLU(inplace=True)]
            units = width
        self.hidden = nn.Sequential(*layers)
        self.feature_shape: tuple[int, ...] = (units,)

    def forward(self, observation: Tensor) -> Tensor:
        return self.hidden(self.convolutions(observation))
