"""The learner: it learns, its loss is the one it should be, and it goes on exactly."""

from __future__ import annotations

import math
import platform
import resource
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from agents.networks.core import NetworkConfig
from arena.config import LearnerConfig
from arena.learner import Learner, LearnerStateError
from arena.records import SampleBatch
from games import GameSpec

SPEC = GameSpec("toy", 1, num_players=2, num_actions=5, observation_shape=(2, 3, 3), max_plies=9)
SMALL = NetworkConfig(blocks=1, channels=8)


def make_batch(seed: int, size: int = 32) -> SampleBatch:
    """Positions whose best move and value can be read off the observation."""
    rng = np.random.default_rng(seed)
    observation = rng.standard_normal((size, 2, 3, 3)).astype(np.float32)
    mask = rng.random((size, 5)) < 0.7
    mask[:, 0] = True
    target = np.where(mask, np.exp(3 * observation.reshape(size, -1)[:, :5]), 0.0)
    return SampleBatch(
        observation=observation,
        legal_action_mask=mask,
        policy_target=(target / target.sum(axis=1, keepdims=True)).astype(np.float32),
        value_target=np.tanh(observation[:, 0].mean(axis=(1, 2))).astype(np.float32),
        weight=np.ones(size, np.float32),
    )


def make_learner(network: NetworkConfig = SMALL, precision: str = "auto", **changes: Any) -> Learner:
    config = replace(LearnerConfig(warmup_steps=5, learning_rate=5e-3), **changes)
    return Learner(SPEC, network, config, seed=1, precision=precision)


def test_it_learns() -> None:
    learner = make_learner()
    learner.step(make_batch(0), 0.0)
    first = learner.losses()
    for seed in range(1, 200):
        learner.step(make_batch(seed), seed / 200)
    learner.losses()
    learner.step(make_batch(1000), 1.0)
    last = learner.losses()
    assert first.steps == last.steps == 1
    assert last.policy - last.target_entropy < 0.5 * (first.policy - first.target_entropy)
    assert last.value < 0.5 * first.value


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep what is freed")
def test_a_step_uses_the_memory_of_the_one_before() -> None:
    batch, learner = make_batch(0, size=8192), make_learner()

    def pages_of_five_steps() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            learner.step(batch, 0.0)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    pages_of_five_steps()
    assert min(pages_of_five_steps() for _ in range(3)) < 1000  # 9,000 where glibc does as it does by itself


def test_untrained_losses_are_what_a_uniform_policy_has() -> None:
    batch = make_batch(0)
    learner = make_learner()
    learner.step(batch, 0.0)
    losses = learner.losses()
    uniform = np.log(batch.legal_action_mask.sum(axis=1)).mean()
    assert losses.policy == pytest.approx(uniform, abs=0.05)
    assert losses.policy_entropy == pytest.approx(uniform, abs=0.05)
    assert losses.value == pytest.approx(np.square(batch.value_target).mean(), rel=1e-3)
    assert math.isnan(learner.losses().policy)


def test_the_policy_loss_is_that_over_all_moves_with_illegal_ones_left_out() -> None:
    """The learner looks at legal moves only; here is the formula over all of them, one position after another."""
    batch = make_batch(3)
    learner = make_learner(precision="fp32")
    with torch.no_grad():  # far from uniform, and different for every move
        learner.network.state_dict()["policy.logits.weight"].normal_(std=1.0)
        logits, _ = learner.network(torch.from_numpy(batch.observation))
    losses = []
    for row, mask, target in zip(logits.double().numpy(), batch.legal_action_mask, batch.policy_target, strict=True):
        log_policy = row[mask] - np.log(np.exp(row[mask]).sum())
        losses.append(-(target[mask] * log_policy).sum())
    learner.step(batch, 0.0)
    assert learner.losses().policy == pytest.approx(np.mean(losses), rel=1e-5)


def test_positions_without_weight_change_nothing() -> None:
    batch = make_batch(0)
    weight = (np.arange(32) < 16).astype(np.float32)
    other = make_batch(7)
    mixed = SampleBatch(
        *(
            np.concatenate([getattr(batch, name)[:16], getattr(other, name)[16:]])
            for name in ("observation", "legal_action_mask", "policy_target", "value_target")
        ),
        weight=weight,
    )
    learners = [make_learner(), make_learner()]
    learners[0].step(replace(batch, weight=weight), 0.0)
    learners[1].step(mixed, 0.0)
    assert learners[0].losses().policy == pytest.approx(learners[1].losses().policy, rel=1e-5)


def test_schedule_rises_then_falls() -> None:
    learner = make_learner(learning_rate=1.0, final_learning_rate=0.1)
    assert learner.learning_rate(0.0) == pytest.approx(0.2)
    learner.steps = 100
    assert [learner.learning_rate(p) for p in (0.0, 0.5, 1.0, 2.0)] == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_schedule_may_stay_before_it_falls() -> None:
    learner = make_learner(learning_rate=1.0, final_learning_rate=0.1, warmup_steps=1, decay_from=0.6)
    assert [learner.learning_rate(p) for p in (0.0, 0.6, 0.8, 1.0)] == pytest.approx([1.0, 1.0, 0.55, 0.1])


def test_average_follows_the_weights() -> None:
    learner = make_learner(ema=0.9)
    start = learner.weights()
    for seed in range(50):
        learner.step(make_batch(seed), 0.0)
    newest, average = learner.weights(), learner.playing_weights()
    moved = sum(np.square(newest[name] - start[name]).sum() for name in start)
    behind = sum(np.square(newest[name] - average[name]).sum() for name in start)
    assert 0 < behind < 0.1 * moved


def test_without_average_the_newest_weights_play() -> None:
    learner = make_learner(ema=0.0)
    for seed in range(3):
        learner.step(make_batch(seed), 0.0)
    newest, playing = learner.weights(), learner.playing_weights()
    assert all(np.array_equal(newest[name], playing[name]) for name in newest)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("network", [SMALL, NetworkConfig(blocks=1, channels=8, normalisation="batch")])
def test_going_on_from_a_state_is_exact(network: NetworkConfig, optimizer: str) -> None:
    learner = make_learner(network, optimizer=optimizer)
    for seed in range(5):
        learner.step(make_batch(seed), 0.0)
    resumed = make_learner(network, optimizer=optimizer)
    resumed.restore(*learner.state())
    for each in (learner, resumed):
        for seed in range(5, 9):
            each.step(make_batch(seed), 0.5)
    states = learner.state()[0], resumed.state()[0]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert learner.steps == resumed.steps == 9


def test_the_state_of_another_network_is_refused() -> None:
    with pytest.raises(LearnerStateError, match="resume with the network settings"):
        make_learner(NetworkConfig(blocks=1, channels=16)).restore(*make_learner().state())


def test_seeds_decide_the_first_weights_and_touch_no_global_state() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = make_learner().weights(), make_learner().weights()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(np.array_equal(first[name], second[name]) for name in first)
