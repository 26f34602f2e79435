"""The networks: their shapes, that each backbone learns, and that folding changes nothing."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from agents.networks import (
    BACKBONES,
    Classifier,
    NetworkConfig,
    NetworkError,
    PolicyValueNetwork,
    build_classifier,
    build_network,
    fold_normalisation,
)
from games import UnknownNameError

SHAPE = (2, 6, 7)
ACTIONS = 7

CONFIGS = {
    "mlp-1": NetworkConfig(backbone="mlp", hidden=(128,)),
    "mlp-2": NetworkConfig(backbone="mlp", hidden=(64, 64)),
    "mlp-3": NetworkConfig(backbone="mlp", hidden=(64, 48, 32)),
    "mlp-batch": NetworkConfig(backbone="mlp", hidden=(64, 64), normalisation="batch"),
    "resnet": NetworkConfig(blocks=2, channels=8),
    "resnet-batch": NetworkConfig(blocks=2, channels=8, normalisation="batch"),
    "resnet-silu": NetworkConfig(blocks=2, channels=8, activation="silu"),
}


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        yield


@pytest.fixture(params=CONFIGS.values(), ids=list(CONFIGS))
def config(request: pytest.FixtureRequest) -> NetworkConfig:
    return request.param


def positions(count: int) -> torch.Tensor:
    """Boards of two disjoint random sets of stones, float32 ``[count, 2, 6, 7]``."""
    stones = torch.randint(0, 3, (count, 6, 7))
    return torch.stack([stones == 1, stones == 2], dim=1).float()


def perturb(network: nn.Module) -> None:
    """Moves every parameter, and the running statistics of normalisation, away from where they start."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        for _ in range(5):
            network(positions(64))


def test_shapes_and_ranges(config: NetworkConfig) -> None:
    network = build_network(config, SHAPE, ACTIONS)
    perturb(network)
    logits, value = network(positions(5))
    assert logits.shape == (5, ACTIONS)
    assert value.shape == (5,)
    assert value.abs().max() <= 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 3, 3), (5, 2, 9)])
def test_any_board_size(config: NetworkConfig, shape: tuple[int, int, int]) -> None:
    network = build_network(config, shape, 4).eval()
    assert network(torch.zeros((2, *shape))).policy_logits.shape == (2, 4)


def test_untrained_value_is_zero_and_policy_is_nearly_uniform(config: NetworkConfig) -> None:
    network = build_network(config, SHAPE, ACTIONS)
    logits, value = network(positions(16))
    assert (value == 0).all()
    assert (logits.softmax(dim=1) - 1 / ACTIONS).abs().max() < 0.02


def test_overfits_policy_and_value(config: NetworkConfig) -> None:
    network = build_network(config, SHAPE, ACTIONS)
    observation = positions(32)
    action = torch.randint(0, ACTIONS, (32,))
    target = torch.rand(32) * 1.8 - 0.9
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(120):
        logits, value = network(observation)
        loss = F.cross_entropy(logits, action) + F.mse_loss(value, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    logits, value = network(observation)
    assert (logits.argmax(dim=1) == action).all()
    assert F.mse_loss(value, target) < 0.01


def test_classifier_overfits(config: NetworkConfig) -> None:
    network = build_classifier(config, SHAPE, num_classes=2)
    assert isinstance(network, Classifier)
    observation = positions(32)
    label = torch.randint(0, 2, (32,))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(120):
        loss = F.cross_entropy(network(observation), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (network(observation).argmax(dim=1) == label).all()


def test_deep_tower_without_normalisation_starts_stable() -> None:
    network = build_network(NetworkConfig(blocks=40, channels=8), SHAPE, ACTIONS)
    features = network.backbone(positions(64))
    assert 0.1 < features.std() < 10
    features.square().mean().backward()
    gradients = [
        p.grad.norm()
        for name, p in network.backbone.named_parameters()
        if "conv2.weight" in name and p.grad is not None
    ]
    assert len(gradients) == 40
    assert max(gradients) < 100 * min(gradients)


def test_fold_normalisation_keeps_the_outputs(config: NetworkConfig) -> None:
    network = build_network(config, SHAPE, ACTIONS)
    perturb(network)
    folded = fold_normalisation(network)
    assert isinstance(folded, PolicyValueNetwork)
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in folded.modules())
    assert network.training
    observation = positions(32)
    with torch.no_grad():
        expected = network.eval()(observation)
        actual = folded(observation)
    torch.testing.assert_close(actual.policy_logits, expected.policy_logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(actual.value, expected.value, rtol=1e-5, atol=1e-5)
    assert all(torch.isfinite(p).all() for p in network.parameters())


def test_a_new_backbone_is_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Patches(nn.Module):
        feature_shape = (3,)

        def forward(self, observation: torch.Tensor) -> torch.Tensor:
            return observation.sum(dim=(1, 2, 3))[:, None].repeat(1, 3)

    monkeypatch.setitem(BACKBONES, "patches", lambda config, shape: Patches())
    network = build_network(NetworkConfig(backbone="patches"), SHAPE, ACTIONS)
    assert network(positions(4)).value.shape == (4,)


@pytest.mark.parametrize(
    ("field", "value"),
    [("backbone", "resnt"), ("backbone", 3), ("normalisation", "layer"), ("activation", "tanh")],
)
def test_unknown_names_are_refused(field: str, value: object) -> None:
    with pytest.raises(UnknownNameError, match=f"Unknown {field} .*Accepted: "):
        dataclasses.replace(NetworkConfig(), **{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("blocks", 0),
        ("blocks", 10**9),
        ("blocks", 10**400),
        ("channels", -1),
        ("channels", 4.0),
        ("channels", True),
        ("value_hidden", "64"),
        ("hidden", ()),
        ("hidden", [64]),
        ("hidden", (64, 0)),
        ("hidden", (10**9,)),
        ("hidden", (1,) * 1000),
    ],
)
def test_absurd_sizes_are_refused(field: str, value: object) -> None:
    with pytest.raises(NetworkError, match=field):
        dataclasses.replace(NetworkConfig(), **{field: value})
