"""Tied weights: a game and its images are answered alike, and whoever plays sees a network like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import games
from agents.histories import FIRST_ACTION, START, as_seen
from agents.networks.core import NetworkConfig, NetworkError, PolicyValueNetwork, build_network
from agents.networks.equivariant import Group, made_plain, make_equivariant, take_weights
from agents.networks.files import load_network, save_network
from arena.config import OptimizerConfig
from arena.datasets import SequenceBatch
from arena.learner import LearnerStateError
from arena.muon import orthogonalised
from arena.supervised import SequenceLearner

CONFIG = NetworkConfig(
    backbone="transformer",
    layers=2,
    width=32,
    heads=8,
    context=24,
    value_hidden=64,
    outcomes=True,
    equivariant=True,
)
TOWER = NetworkConfig(blocks=1, channels=16, policy_channels=8, value_channels=8, value_hidden=64, equivariant=True)
SIZES = {"othello": 8, "connect_four": 2, "tic_tac_toe": 8, "go_9x9": 8, "hex_7x7": 2, "chess": 1}


def make_network(name: str, seed: int = 0) -> PolicyValueNetwork:
    """Tied, with weights large enough for everything to matter."""
    game = games.make(name)
    seen = as_seen(game, "moves", CONFIG.context).spec
    torch.manual_seed(seed)
    network = build_network(CONFIG, seen.observation_shape, seen.num_actions)
    make_equivariant(network, name)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


def answers(network: PolicyValueNetwork, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        features = network.sequences.every_ply(tokens)[:, -1]
        return network.policy(features), network.value(features)


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_the_group_is_one_and_its_representations_represent_it(name: str, size: int) -> None:
    group = Group(games.make(name))
    assert len(group) == size
    products = np.array(
        [
            [next(k for k in range(size) if np.array_equal(g[h], group.actions[k])) for h in group.actions]
            for g in group.actions
        ]
    )
    for g in range(size):
        assert np.array_equal(products[group.blocks[g], g], np.arange(size))  # a block, and what undid g, is the block
    assert sum(rep.shape[1] ** 2 for rep in group.representations) == size
    for rep in group.representations:
        assert np.allclose(np.einsum("gab,hbc->ghac", rep, rep), rep[products], atol=1e-9)
        assert np.allclose(rep @ rep.transpose(0, 2, 1), np.eye(rep.shape[1]), atol=1e-9)


def make_tower(name: str, seed: int = 0) -> PolicyValueNetwork:
    """A tied residual tower, likewise."""
    spec = games.make(name).spec
    network = build_network(TOWER, spec.observation_shape, spec.num_actions)
    make_equivariant(network, name)
    rng = np.random.default_rng(seed)  # PyTorch's numbers are others on a processor with AVX-512
    for parameter in network.parameters():
        std = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
        parameter.data.copy_(torch.from_numpy(rng.normal(scale=std, size=tuple(parameter.shape))))
    return network.eval()


@pytest.mark.parametrize("name", SIZES)
def test_images_of_a_position_are_answered_alike(name: str) -> None:
    game, network, group = games.make(name), make_tower(name), Group(games.make(name))
    shape = (3, *game.spec.observation_shape)
    planes = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits, values = network(planes)
    assert logits.std() > 0.01
    assert values.std() > 1e-4
    for cells, image in zip(group.cells, group.actions, strict=True):
        turned = torch.empty(shape)
        turned.flatten(2)[:, :, cells] = planes.flatten(2)
        with torch.no_grad():
            there, same = network(turned)
        torch.testing.assert_close(there[:, image], logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(same, values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["connect_four", "othello"])
def test_a_tower_written_out_is_the_same_network(name: str) -> None:
    spec, network = games.make(name).spec, make_tower(name)
    planes = torch.randn((3, *spec.observation_shape), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network(planes)
        plain = made_plain(make_tower(name))
        torch.testing.assert_close(plain(planes), expected)
        other = make_tower(name, seed=1)
        take_weights(other, plain.state_dict())
        torch.testing.assert_close(other(planes), expected, rtol=1e-4, atol=1e-5)
    fresh = build_network(TOWER, spec.observation_shape, spec.num_actions)
    assert plain.state_dict().keys() == fresh.state_dict().keys()


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("from_features", [False, True])
@pytest.mark.parametrize("name", ["othello", "hex_7x7"])
def test_the_matrices_of_a_map_are_all_there_is_to_it(name: str, from_features: bool, kernel: int) -> None:
    """As many free numbers as a first block of rows has, each with its own effect."""
    basis, inverse, dimensions = Group(games.make(name)).bases(from_features, kernel)
    count = sum(d * m for d, m in dimensions)
    assert inverse.shape == (count, count)
    assert basis.shape == (SIZES[name] * count, count)
    first = basis[:count]
    torch.testing.assert_close(inverse @ first, torch.eye(count), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SIZES)
def test_images_of_a_game_are_answered_alike(name: str) -> None:
    game, network = games.make(name), make_network(name)
    group = Group(game)
    rng = np.random.default_rng(1)
    moves = rng.integers(0, game.spec.num_actions, (3, 9))
    logits, values = answers(network, torch.from_numpy(moves + FIRST_ACTION))
    assert logits.std() > 0.1
    assert values.std() > 0.001
    for image in group.actions:  # a game whose start is no longer seen: every symmetry of the board is one of it
        turned, same = answers(network, torch.from_numpy(image[moves] + FIRST_ACTION))
        torch.testing.assert_close(turned[:, image], logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(same, values, rtol=1e-4, atol=1e-4)


def test_a_game_from_its_start_is_answered_like_those_images_that_start_alike() -> None:
    game, network = games.make("othello"), make_network("othello")
    group = Group(game)
    assert group.num_tokens == FIRST_ACTION + game.spec.num_actions + 1  # a quarter turn exchanges the colours
    alike = group.tokens[:, START] == START
    assert alike.sum() == 4
    moves = np.random.default_rng(1).integers(0, game.spec.num_actions, (2, 9)) + FIRST_ACTION
    moves[:, 0] = START
    logits, _ = answers(network, torch.from_numpy(moves))
    for g, image in enumerate(group.actions):
        turned, _ = answers(network, torch.from_numpy(np.where(moves == START, START, group.tokens[g][moves])))
        assert torch.allclose(turned[:, image], logits, rtol=1e-4, atol=1e-4) == bool(alike[g])


@pytest.mark.parametrize("name", ["othello", "connect_four", "chess"])
def test_written_out_it_is_the_same_network(name: str, tmp_path: Path) -> None:
    network = make_network(name)
    tokens = torch.randint(1, 7, (4, 11), generator=torch.Generator().manual_seed(0))
    expected = answers(network, tokens)
    plain = made_plain(make_network(name))
    torch.testing.assert_close(answers(plain, tokens), expected)

    spec = as_seen(games.make(name), "moves", CONFIG.context).spec
    assert (
        plain.state_dict().keys() == build_network(CONFIG, spec.observation_shape, spec.num_actions).state_dict().keys()
    )
    save_network(tmp_path, plain, CONFIG, spec)
    torch.testing.assert_close(answers(load_network(tmp_path)[0], tokens), expected)

    other = make_network(name, seed=1)
    take_weights(other, plain.state_dict())
    torch.testing.assert_close(answers(other, tokens), expected, rtol=1e-4, atol=1e-4)


def test_a_layer_starts_as_it_would_untied() -> None:
    game = games.make("othello")
    seen = as_seen(game, "moves", CONFIG.context).spec
    network = build_network(CONFIG, seen.observation_shape, seen.num_actions)
    spreads = {name: weight.std().item() for name, weight in network.state_dict().items() if weight.numel() > 512}
    make_equivariant(network, "othello")
    for name, weight in made_plain(network).state_dict().items():
        if name in spreads and spreads[name] > 0:
            assert weight.std().item() == pytest.approx(spreads[name], rel=0.15), name


def test_the_parts_of_a_map_are_orthogonal_where_the_map_is() -> None:
    """So that Muon, which makes the parts' steps orthogonal, makes the step that it would make of the whole."""
    up = make_network("othello").sequences.get_submodule("blocks.0.up")
    parts = list(up.get_submodule("parametrizations.weight").parameters())
    with torch.no_grad():
        for part in parts:
            part.copy_(orthogonalised(part[None], steps=5)[0])
        whole = torch.linalg.svdvals(up.weight).tolist()
        each = torch.cat([torch.linalg.svdvals(part) for part in parts]).tolist()
    assert min(whole) == pytest.approx(min(each), rel=1e-3)
    assert max(whole) == pytest.approx(max(each), rel=1e-3)


def batch(seed: int) -> SequenceBatch:
    rng = np.random.default_rng(seed)
    moves = rng.integers(0, 64, (8, 12))
    moves[:, 1::2] = moves[:, ::2]  # every other move is that before it
    inputs = np.concatenate([np.full((8, 1), START), moves[:, :-1] + FIRST_ACTION], axis=1)
    return SequenceBatch(inputs, moves, np.zeros(moves.shape, np.float32))


def make_learner(seed: int = 0, config: NetworkConfig = CONFIG) -> SequenceLearner:
    spec = as_seen(games.make("othello"), "moves", config.context).spec
    return SequenceLearner(spec, config, OptimizerConfig(learning_rate=0.01, warmup_steps=1, ema=0.5), seed)


def test_it_learns_stays_equivariant_and_goes_on_exactly() -> None:
    learner = make_learner()
    losses = []
    for step in range(60):
        learner.step(batch(step), 0.0)
        losses.append(learner.means()[0]["policy"])
    assert losses[-1] < 0.8 * losses[0]
    network, group = learner.playing_network(), Group(games.make("othello"))
    tokens = torch.from_numpy(batch(99).inputs[:, 1:])
    logits, _ = answers(network, tokens)
    image = group.actions[3]
    turned, _ = answers(network, torch.from_numpy(image)[tokens - FIRST_ACTION] + FIRST_ACTION)
    torch.testing.assert_close(turned[:, image], logits, rtol=1e-3, atol=1e-3)
    named = dict(network.state_dict())
    assert all(np.array_equal(named[name].numpy(), weight) for name, weight in learner.playing_weights().items())

    again = make_learner(seed=5)
    again.restore(*learner.state())
    for step in range(60, 63):
        learner.step(batch(step), 0.5)
        again.step(batch(step), 0.5)
    assert all(np.array_equal(again.weights()[name], weight) for name, weight in learner.weights().items())

    other = make_learner(seed=7)
    other.start_from(network.state_dict())
    torch.testing.assert_close(answers(other.playing_network().eval(), tokens)[0], logits, rtol=1e-4, atol=1e-4)


def test_weights_that_are_not_tied_are_refused() -> None:
    loose = make_learner(config=NetworkConfig(**{**vars(CONFIG), "equivariant": False}))
    with pytest.raises(NetworkError, match="not trained as an equivariant one"):
        make_learner().start_from(loose.playing_network().state_dict())
    with pytest.raises(LearnerStateError, match="another shape"):
        make_learner().start_from({})


def test_what_cannot_be_equivariant_says_why() -> None:
    with pytest.raises(NetworkError, match="Only a resnet without batch normalisation and a transformer that reads"):
        NetworkConfig(normalisation="batch", equivariant=True)
    with pytest.raises(NetworkError, match="Network equivariant must be true or false, not 1"):
        NetworkConfig(equivariant=1)  # type: ignore[arg-type]
    with pytest.raises(
        NetworkError, match="for othello needs heads to be a multiple of the board's 8 symmetries, not 4"
    ):
        make_learner(config=NetworkConfig(**{**vars(CONFIG), "heads": 4}))
