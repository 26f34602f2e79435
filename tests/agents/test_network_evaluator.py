"""The evaluator: the same answers as the network, whatever the batch, the precision and the weights' container."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import games
from agents.network_evaluator import DeviceError, NetworkEvaluator, best_device, best_precision, use_one_thread
from agents.networks import NetworkConfig, PolicyValueNetwork, build_network
from agents.networks.heads import PreciseLinear, answering_layers
from games import Game, UnknownNameError

CONFIGS = {
    "resnet": NetworkConfig(blocks=2, channels=16),
    "resnet-batch": NetworkConfig(blocks=2, channels=16, normalisation="batch"),
    "resnet-silu": NetworkConfig(blocks=2, channels=16, activation="silu"),
    "mlp-batch": NetworkConfig(backbone="mlp", hidden=(32, 32), normalisation="batch"),
}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.fixture(scope="module")
def game() -> Game:
    return games.make("connect_four")


@pytest.fixture(scope="module")
def states(game: Game) -> np.ndarray:
    """Forty-five positions after up to eight random moves, none of them over."""
    rng = np.random.default_rng(3)
    states = game.init(90)
    for ply in range(8):
        some = states[ply:]
        mask = game.legal_action_mask(some)
        live = np.flatnonzero(mask.any(axis=1))
        chosen = some[live]
        game.step(chosen, np.array([rng.choice(np.flatnonzero(row)) for row in mask[live]]))
        some[live] = chosen
    return states[~states["terminated"]][:45]


@pytest.fixture(params=CONFIGS.values(), ids=list(CONFIGS))
def network(request: pytest.FixtureRequest, game: Game) -> PolicyValueNetwork:
    return trained(request.param, game, seed=5)


def trained(config: NetworkConfig, game: Game, seed: int) -> PolicyValueNetwork:
    """A network whose parameters and running statistics are no longer where they started."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = build_network(config, game.spec.observation_shape, game.spec.num_actions)
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        for _ in range(5):
            network(torch.randint(0, 2, (64, *game.spec.observation_shape)).float())
    return network


def reference(game: Game, network: PolicyValueNetwork, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        logits, value = network.eval()(torch.from_numpy(game.observe(states)))
    return logits.numpy(), value.numpy()


@pytest.mark.parametrize("device", DEVICES)
def test_agrees_with_the_network(game: Game, states: np.ndarray, network: PolicyValueNetwork, device: str) -> None:
    evaluator = NetworkEvaluator(game, network, device=device, precision="fp32")
    answer = evaluator.evaluate(states, game.legal_action_mask(states))
    logits, value = reference(game, network, states)
    assert answer.prior_logits.dtype == answer.value.dtype == np.float32
    tolerance = 1e-4 if device == "cpu" else 5e-3  # a GPU may multiply in TF32
    np.testing.assert_allclose(answer.prior_logits, logits, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(answer.value, value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("device", DEVICES)
def test_bf16_stays_close(game: Game, states: np.ndarray, network: PolicyValueNetwork, device: str) -> None:
    evaluator = NetworkEvaluator(game, network, device=device, precision="bf16")
    assert evaluator.precision == torch.bfloat16
    answer = evaluator.evaluate(states[:8], game.legal_action_mask(states[:8]))
    logits, value = reference(game, network, states[:8])
    assert answer.prior_logits.dtype == np.float32
    np.testing.assert_allclose(answer.prior_logits, logits, atol=0.02 * np.abs(logits).max())
    np.testing.assert_allclose(answer.value, value, atol=0.03)


@pytest.mark.parametrize("outcomes", [False, True])
def test_values_are_finer_than_bf16(game: Game, states: np.ndarray, outcomes: bool) -> None:
    """What is worth half a ply is less than what bfloat16 can tell apart near 1."""
    config = NetworkConfig(blocks=1, channels=8, outcomes=outcomes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of sixty seeds four make a hidden layer that is silent on many positions
        network = build_network(config, game.spec.observation_shape, game.spec.num_actions)
    answering = answering_layers(network)[-1]
    torch.nn.init.normal_(answering.weight, std=0.2, generator=torch.Generator().manual_seed(0))
    evaluator = NetworkEvaluator(game, network, device="cpu", precision="bf16")
    (layer,) = (m for m in evaluator._network.modules() if isinstance(m, PreciseLinear))
    assert torch.equal(layer.weight, answering.weight)
    value = torch.from_numpy(evaluator.evaluate(states, game.legal_action_mask(states)).value)
    assert (value != value.bfloat16().float()).float().mean() > 0.9


@pytest.mark.parametrize("max_batch", [1, 7, 45, 64])
def test_batches_are_split_without_a_trace(
    game: Game, states: np.ndarray, network: PolicyValueNetwork, max_batch: int
) -> None:
    mask = game.legal_action_mask(states)
    whole = NetworkEvaluator(game, network, device="cpu", precision="fp32").evaluate(states, mask)
    split = NetworkEvaluator(game, network, device="cpu", precision="fp32", max_batch=max_batch).evaluate(states, mask)
    np.testing.assert_allclose(split.prior_logits, whole.prior_logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(split.value, whole.value, rtol=1e-4, atol=1e-5)


def test_no_positions(game: Game, network: PolicyValueNetwork) -> None:
    empty = game.init(0)
    answer = NetworkEvaluator(game, network).evaluate(empty, game.legal_action_mask(empty))
    assert answer.prior_logits.shape == (0, game.spec.num_actions)
    assert answer.value.shape == (0,)


@pytest.mark.parametrize("container", ["tensor", "array", "read-only"])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))
def test_load_weights(game: Game, states: np.ndarray, config: NetworkConfig, container: str) -> None:
    evaluator = NetworkEvaluator(game, trained(config, game, seed=1), device="cpu", precision="fp32", version=4)
    assert evaluator.version == 4
    other = trained(config, game, seed=2)
    weights: dict[str, np.ndarray | torch.Tensor] = dict(other.state_dict())
    if container != "tensor":
        weights = {name: tensor.numpy().copy() for name, tensor in other.state_dict().items()}
        for array in weights.values():
            array.setflags(write=container == "array")  # type: ignore[union-attr]
    evaluator.load_weights(weights, version=5)
    assert evaluator.version == 5
    mask = game.legal_action_mask(states)
    expected = NetworkEvaluator(game, other, device="cpu", precision="fp32").evaluate(states, mask)
    np.testing.assert_array_equal(evaluator.evaluate(states, mask).prior_logits, expected.prior_logits)


def test_weights_of_another_network_change_nothing(game: Game, states: np.ndarray) -> None:
    evaluator = NetworkEvaluator(game, trained(CONFIGS["resnet"], game, seed=1), device="cpu")
    mask = game.legal_action_mask(states)
    before = evaluator.evaluate(states, mask)
    with pytest.raises(RuntimeError, match="state_dict"):
        evaluator.load_weights(trained(CONFIGS["mlp-batch"], game, seed=1).state_dict(), version=9)
    assert evaluator.version == 0
    np.testing.assert_array_equal(evaluator.evaluate(states, mask).value, before.value)


def test_the_network_is_copied(game: Game, states: np.ndarray, network: PolicyValueNetwork) -> None:
    network.train()
    evaluator = NetworkEvaluator(game, network, device="cpu")
    mask = game.legal_action_mask(states)
    before = evaluator.evaluate(states, mask)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(evaluator.evaluate(states, mask).prior_logits, before.prior_logits)


def test_unknown_device_and_precision(game: Game, network: PolicyValueNetwork) -> None:
    for device in ("gpu", "cuda:99", "cuda:x", "cpu:1", ""):
        with pytest.raises(DeviceError, match=r"There is no device .*auto, cpu"):
            best_device(device)
    with pytest.raises(UnknownNameError, match="Unknown precision 'fp31'; did you mean 'fp32'"):
        NetworkEvaluator(game, network, precision="fp31")
    with pytest.raises(ValueError, match="max_batch"):
        NetworkEvaluator(game, network, max_batch=0)


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bf16_only_where_the_cpu_has_it(monkeypatch: pytest.MonkeyPatch, native: bool, dtype: torch.dtype) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    assert best_precision("cpu") == dtype
    assert best_precision("cpu", "fp32") == torch.float32


def test_use_one_thread_can_be_called_again() -> None:
    threads = torch.get_num_threads()
    try:
        use_one_thread()
        use_one_thread()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
