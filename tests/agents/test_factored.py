"""Products in the basis of the representations: the numbers and gradients of the plain ones."""

from __future__ import annotations

import pytest
import torch

import games
from agents.histories import as_seen
from agents.networks import factored
from agents.networks.core import NetworkConfig, PolicyValueNetwork, build_network
from agents.networks.equivariant import made_plain, make_equivariant
from agents.networks.transformer import Block, Transformer

PLIES = 9


def make_network(name: str, *, heads: int = 8, dropout: float = 0.0) -> PolicyValueNetwork:
    sizes = {"layers": 2, "width": 32, "heads": heads, "context": PLIES, "value_hidden": 64, "dropout": dropout}
    config = NetworkConfig(backbone="transformer", outcomes=True, equivariant=True, **sizes)
    seen = as_seen(games.make(name), "moves", PLIES).spec
    torch.manual_seed(0)
    network = build_network(config, seen.observation_shape, seen.num_actions)
    make_equivariant(network, name)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


def what_it_gives(network: PolicyValueNetwork, name: str) -> list[torch.Tensor]:
    """The features of some games, and the gradients of a number made of them."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(2, games.make(name).spec.num_actions + 2, (5, PLIES), generator=generator)
    torch.manual_seed(2)  # for dropout
    network.zero_grad()
    features = network.sequences.every_ply(tokens)
    (features * torch.randn(features.shape, generator=generator)).sum().backward()
    gradients = [p.grad.clone() for p in network.backbone.parameters() if p.grad is not None]
    return [features.detach(), *gradients]


@pytest.mark.nojit
@pytest.mark.parametrize("name", ["connect_four", "chess"])
def test_it_gives_what_a_plain_block_gives(name: str) -> None:
    check(name)


@pytest.mark.parametrize("name", ["othello", "tic_tac_toe", "go_9x9", "hex_7x7"])
def test_it_does_so_under_other_symmetries(name: str) -> None:
    check(name)


def test_it_does_so_with_several_heads_in_a_block_and_dropout() -> None:
    check("othello", heads=16, dropout=0.2)


def check(name: str, *, heads: int = 8, dropout: float = 0.0) -> None:
    network, other = (make_network(name, heads=heads, dropout=dropout) for _ in range(2))
    factored.unfactor(other)
    there, plain = what_it_gives(network, name), what_it_gives(other, name)
    largest = max(gradient.abs().max().item() for gradient in plain[1:])
    assert largest > 1
    torch.testing.assert_close(there[0], plain[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(there[1:], plain[1:], rtol=1e-4, atol=1e-5 * largest)


def test_it_is_for_a_processor_without_bfloat16_only() -> None:
    x = torch.zeros(1, 1, 8)
    assert factored._pays(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert not factored._pays(x)


def test_a_network_made_plain_has_plain_blocks() -> None:
    network, plain = make_network("othello"), made_plain(make_network("othello"))
    for mine, blocks in ((network, factored.FactoredBlock), (plain, Block)):
        assert isinstance(mine.backbone, Transformer)
        assert {type(block) for block in mine.backbone.blocks} == {blocks}
    tokens = torch.tensor([[0, 3, 4, 5]])
    with torch.no_grad():
        there = network.sequences.every_ply(tokens)
        torch.testing.assert_close(plain.sequences.every_ply(tokens), there, rtol=1e-4, atol=1e-4)
