"""What a network is: a backbone, which maps observations to features, under heads, which map features to answers.

To add a backbone, write one module with one ``nn.Module`` that maps observations ``[B, C, H, W]`` to features
``[B, *feature_shape]`` and has an attribute ``feature_shape``, which is ``(F,)`` or ``(F, H, W)``; then add one line to
``BACKBONES`` that builds it from a ``NetworkConfig``. One that reads the course of a game and not a position is a
``SequenceBackbone`` and a line of ``SEQUENCE_BACKBONES``; its observations are those of ``agents.histories``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

from torch import Tensor, nn

from agents.histories import READS
from agents.networks.alexnet import AlexNet, SmallAlexNet
from agents.networks.convolution import ACTIVATIONS
from agents.networks.heads import ClassifierHead, OutcomeHead, PolicyHead, ValueHead
from agents.networks.layers import NORMALISATIONS, NetworkError
from agents.networks.mlp import Mlp
from agents.networks.recurrent import CELLS, Recurrent
from agents.networks.resnet import ResNet
from agents.networks.sequence import SequenceBackbone
from agents.networks.transformer import Transformer
from games import UnknownNameError
from games.registry import unknown_name

ObservationShape = tuple[int, int, int]


@dataclass(frozen=True)
class NetworkConfig:
    """Enough to build a network again for a given game; what a checkpoint's JSON keeps.

    A field that is newer than a checkpoint takes its default when that checkpoint is read, so the default of a new
    field must mean what networks did before it.

    Attributes:
        backbone: resnet, mlp, alexnet, alexnet_small, recurrent or transformer.
        blocks: residual blocks (resnet).
        channels: planes in the tower (resnet), or of the first convolution (alexnet_small).
        hidden: widths of the hidden layers, first to last (mlp), or of the two fully connected ones (alexnet_small).
        normalisation: ``"none"`` or ``"batch"``; batch normalisation costs nothing at inference, where it is folded.
        activation: what the tower's layers pass through (resnet): ``"relu"``, or ``"silu"``, of which a step takes
            longer and teaches more.
        policy_channels: planes that the policy head reads, where the features are planes.
        value_channels: planes that the value head reads, where the features are planes.
        value_hidden: width of the value head's hidden layer.
        layers: recurrent layers, or blocks (transformer).
        width: units of each of them (recurrent, transformer).
        heads: attention heads, which share out the width (transformer).
        context: how many tokens are seen at most: the start of the game and its last moves (recurrent, transformer).
        sequence: what one token is, ``"moves"`` or ``"positions"`` (recurrent, transformer).
        cell: ``"gru"`` or ``"lstm"`` (recurrent).
        dropout: share of units dropped in training (alexnet_small, recurrent, transformer; alexnet's is 0.5).
        outcomes: whether the value head gives the chances of loss, draw and win, and the value by way of them.
        equivariant: whether training ties weights so that a position and its images under the symmetries of the board
            are answered alike (resnet without normalisation, transformer over moves; ``agents.networks.equivariant``).

    Raises:
        UnknownNameError: an unknown backbone, normalisation, activation, kind of sequence or cell.
        NetworkError: a size that is no integer, or out of bounds.
    """

    backbone: str = "resnet"
    blocks: int = 4
    channels: int = 48
    hidden: tuple[int, ...] = (256, 256)
    normalisation: str = "none"
    activation: str = "relu"
    policy_channels: int = 4
    value_channels: int = 2
    value_hidden: int = 64
    layers: int = 4
    width: int = 128
    heads: int = 4
    context: int = 64
    sequence: str = "moves"
    cell: str = "gru"
    dropout: float = 0.0
    outcomes: bool = False
    equivariant: bool = False

    def __post_init__(self) -> None:
        names = (
            ("backbone", (*BACKBONES, *SEQUENCE_BACKBONES)),
            ("normalisation", NORMALISATIONS),
            ("activation", tuple(ACTIVATIONS)),
            ("sequence", READS),
            ("cell", tuple(CELLS)),
        )
        for name, accepted in names:
            value = getattr(self, name)
            if not isinstance(value, str) or value not in accepted:
                raise UnknownNameError(unknown_name(name, str(value), accepted))
        for name, upper in _SIZE_BOUNDS.items():
            _check_size(f"network {name}", getattr(self, name), upper)
        if not isinstance(self.hidden, tuple) or not 1 <= len(self.hidden) <= MAX_LAYERS:
            raise NetworkError(
                f"The network's hidden must list 1 to {MAX_LAYERS} layer widths, not {self.hidden!r:.80}."
            )
        for units in self.hidden:
            _check_size("each width in the network's hidden", units, MAX_WIDTH)
        if self.width % self.heads:
            raise NetworkError(f"Network width {self.width} must be a multiple of heads {self.heads}.")
        if not isinstance(self.dropout, float) or not 0 <= self.dropout < 1:
            raise NetworkError(f"Network dropout must be a number from 0 to less than 1, not {self.dropout!r:.80}.")
        for name in ("outcomes", "equivariant"):
            if not isinstance(getattr(self, name), bool):
                raise NetworkError(f"Network {name} must be true or false, not {getattr(self, name)!r:.80}.")
        can_be = (self.backbone, self.normalisation) == ("resnet", "none") or (
            (self.backbone, self.sequence) == ("transformer", "moves")
        )
        if self.equivariant and not can_be:
            raise NetworkError(
                "Only a resnet without batch normalisation and a transformer that reads moves can be equivariant; for "
                "others it must be false."
            )

    @property
    def reads(self) -> str:
        """What the network is shown: ``"planes"`` of the position, or a sequence of ``"moves"`` or ``"positions"``."""
        return self.sequence if self.backbone in SEQUENCE_BACKBONES else "planes"


MAX_WIDTH = 16384
MAX_LAYERS = 256

# Bounds catch slips and hostile files before anything is allocated; they are far above what anyone would train.
_SIZE_BOUNDS = {
    "blocks": MAX_LAYERS,
    "channels": 4096,
    "policy_channels": 4096,
    "value_channels": 4096,
    "value_hidden": MAX_WIDTH,
    "layers": MAX_LAYERS,
    "width": MAX_WIDTH,
    "heads": 256,
    "context": 4096,
}


def _check_size(what: str, value: object, upper: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= upper:
        raise NetworkError(f"{what[0].upper()}{what[1:]} must be an integer from 1 to {upper}, not {value!r:.80}.")


class Backbone(Protocol):
    """What the heads need of a backbone beside its being an ``nn.Module``."""

    feature_shape: tuple[int, ...]

    def __call__(self, observation: Tensor) -> Tensor: ...


BACKBONES: dict[str, Callable[[NetworkConfig, ObservationShape], nn.Module]] = {
    "mlp": lambda config, shape: Mlp(shape, config.hidden, config.normalisation),
    "resnet": lambda config, shape: ResNet(
        shape, config.blocks, config.channels, config.normalisation, config.activation
    ),
    "alexnet": lambda _, shape: AlexNet(shape),
    "alexnet_small": lambda config, shape: SmallAlexNet(
        shape, config.channels, config.hidden, config.normalisation, config.dropout
    ),
}
"""How each backbone is built. A line here and the module it names is all that a new one takes."""

SEQUENCE_BACKBONES: dict[str, Callable[[NetworkConfig, ObservationShape, int], SequenceBackbone]] = {
    "recurrent": lambda config, shape, num_actions: Recurrent(
        *(config.sequence, config.context, shape, num_actions),
        cell=config.cell,
        layers=config.layers,
        width=config.width,
        dropout=config.dropout,
    ),
    "transformer": lambda config, shape, num_actions: Transformer(
        *(config.sequence, config.context, shape, num_actions),
        layers=config.layers,
        width=config.width,
        heads=config.heads,
        dropout=config.dropout,
    ),
}
"""The same for those that read the course of a game, which also need to know how many actions there are."""


class NetworkOutput(NamedTuple):
    """What a policy-value network says of ``B`` positions.

    Attributes:
        policy_logits: ``[B, A]``, raw; illegal moves are not masked.
        value: ``[B]`` in [-1, 1], for the player to move.
    """

    policy_logits: Tensor
    value: Tensor


class PolicyValueNetwork(nn.Module):
    """A backbone under a policy head and a value head: observation ``[B, C, H, W]`` -> ``NetworkOutput``."""

    def __init__(self, backbone: nn.Module, policy: nn.Module, value: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.policy = policy
        self.value = value

    def forward(self, observation: Tensor) -> NetworkOutput:
        features = self.backbone(observation)
        return NetworkOutput(self.policy(features), self.value(features))

    @property
    def sequences(self) -> SequenceBackbone:
        """The backbone, of a network that reads sequences.

        Raises:
            NetworkError: it reads positions one by one.
        """
        if not isinstance(self.backbone, SequenceBackbone):
            raise NetworkError(f"A {type(self.backbone).__name__} sees one position at a time, and no sequence.")
        return self.backbone


class Classifier(nn.Module):
    """A backbone under a classifier head: image ``[B, C, H, W]`` -> class logits ``[B, K]``."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, observation: Tensor) -> Tensor:
        return self.head(self.backbone(observation))


def _build_backbone(
    config: NetworkConfig, observation_shape: ObservationShape, num_actions: int
) -> tuple[nn.Module, tuple[int, ...]]:
    if config.backbone in SEQUENCE_BACKBONES:
        sequences = SEQUENCE_BACKBONES[config.backbone](config, observation_shape, num_actions)
        return sequences, sequences.feature_shape
    backbone = BACKBONES[config.backbone](config, observation_shape)
    return backbone, cast(Backbone, backbone).feature_shape


def build_network(config: NetworkConfig, observation_shape: ObservationShape, num_actions: int) -> PolicyValueNetwork:
    """A freshly initialised policy-value network in training mode, float32, on the current default device."""
    backbone, feature_shape = _build_backbone(config, observation_shape, num_actions)
    policy = PolicyHead(feature_shape, num_actions, config.policy_channels, config.normalisation)
    make_value = OutcomeHead if config.outcomes else ValueHead
    value = make_value(feature_shape, config.value_channels, config.value_hidden, config.normalisation)
    return PolicyValueNetwork(backbone, policy, value)


def build_classifier(config: NetworkConfig, observation_shape: ObservationShape, num_classes: int) -> Classifier:
    """A freshly initialised classifier over ``num_classes`` classes, on the same backbones.

    Raises:
        NetworkError: a backbone that reads the course of a game.
    """
    if config.reads != "planes":
        raise NetworkError(f"The backbone {config.backbone} reads the course of a game, and classifies no pictures.")
    backbone, feature_shape = _build_backbone(config, observation_shape, num_classes)
    return Classifier(backbone, ClassifierHead(feature_shape, num_classes))
