"""Neural networks: a backbone under heads, and the files that keep them."""

from agents.networks.core import (
    BACKBONES,
    SEQUENCE_BACKBONES,
    Classifier,
    NetworkConfig,
    NetworkError,
    NetworkOutput,
    PolicyValueNetwork,
    build_classifier,
    build_network,
)
from agents.networks.layers import fold_normalisation

__all__ = [
    "BACKBONES",
    "SEQUENCE_BACKBONES",
    "Classifier",
    "NetworkConfig",
    "NetworkError",
    "NetworkOutput",
    "PolicyValueNetwork",
    "build_classifier",
    "build_network",
    "fold_normalisation",
]
