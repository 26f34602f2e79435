"""What a network is: a backbone, which maps observations to features, under heads, which map features to answers.

To add a backbone, write one module with one ``nn.Module`` that maps observations ``[B, C, H, W]`` to features
``[B, *feature_shape]`` and has an attribute ``feature_shape``, which is ``(F,)`` or ``(F, H, W)``; then add one line to
``BACKBONES`` that builds it from a ``NetworkConfig``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

from torch import Tensor, nn

from agents.networks.heads import ClassifierHead, PolicyHead, ValueHead
from agents.networks.layers import NORMALISATIONS
from agents.networks.mlp import Mlp
from agents.networks.resnet import ResNet
from games import ArenaError, UnknownNameError
from games.registry import unknown_name

ObservationShape = tuple[int, int, int]


class NetworkError(ArenaError):
    """A network that cannot be built as it was asked for."""


@dataclass(frozen=True)
class NetworkConfig:
    """Enough to build a network again for a given game; what a checkpoint's JSON keeps.

    A field that is newer than a checkpoint takes its default when that checkpoint is read, so the default of a new
    field must mean what networks did before it.

    Attributes:
        backbone: resnet or mlp.
        blocks: residual blocks (resnet).
        channels: planes in the tower (resnet).
        hidden: widths of the hidden layers, first to last (mlp).
        normalisation: ``"none"`` or ``"batch"``; batch normalisation costs nothing at inference, where it is folded.
        policy_channels: planes that the policy head reads, where the features are planes.
        value_channels: planes that the value head reads, where the features are planes.
        value_hidden: width of the value head's hidden layer.

    Raises:
        UnknownNameError: an unknown backbone or normalisation.
        NetworkError: a size that is no integer, or out of bounds.
    """

    backbone: str = "resnet"
    blocks: int = 4
    channels: int = 48
    hidden: tuple[int, ...] = (256, 256)
    normalisation: str = "none"
    policy_channels: int = 4
    value_channels: int = 2
    value_hidden: int = 64

    def __post_init__(self) -> None:
        for name, accepted in (("backbone", BACKBONES), ("normalisation", NORMALISATIONS)):
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


MAX_WIDTH = 16384
MAX_LAYERS = 256

# Bounds catch slips and hostile files before anything is allocated; they are far above what anyone would train.
_SIZE_BOUNDS = {
    "blocks": MAX_LAYERS,
    "channels": 4096,
    "policy_channels": 4096,
    "value_channels": 4096,
    "value_hidden": MAX_WIDTH,
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
    "resnet": lambda config, shape: ResNet(shape, config.blocks, config.channels, config.normalisation),
}
"""How each backbone is built. A line here and the module it names is all that a new one takes."""


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


class Classifier(nn.Module):
    """A backbone under a classifier head: image ``[B, C, H, W]`` -> class logits ``[B, K]``."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, observation: Tensor) -> Tensor:
        return self.head(self.backbone(observation))


def _build_backbone(config: NetworkConfig, observation_shape: ObservationShape) -> tuple[nn.Module, tuple[int, ...]]:
    backbone = BACKBONES[config.backbone](config, observation_shape)
    return backbone, cast(Backbone, backbone).feature_shape


def build_network(config: NetworkConfig, observation_shape: ObservationShape, num_actions: int) -> PolicyValueNetwork:
    """A freshly initialised policy-value network in training mode, float32, on the current default device."""
    backbone, feature_shape = _build_backbone(config, observation_shape)
    policy = PolicyHead(feature_shape, num_actions, config.policy_channels, config.normalisation)
    value = ValueHead(feature_shape, config.value_channels, config.value_hidden, config.normalisation)
    return PolicyValueNetwork(backbone, policy, value)


def build_classifier(config: NetworkConfig, observation_shape: ObservationShape, num_classes: int) -> Classifier:
    """A freshly initialised classifier over ``num_classes`` classes, on the same backbones."""
    backbone, feature_shape = _build_backbone(config, observation_shape)
    return Classifier(backbone, ClassifierHead(feature_shape, num_classes))
