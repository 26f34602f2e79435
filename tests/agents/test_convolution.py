"""Convolutions over boards: in one call or over strips, they are what nn.Conv2d says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from agents.networks.convolution import ACTIVATIONS, BoardConvolution, _fusable, activated
from agents.networks.layers import fold_normalisation, normalised


def planes(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(memory_format=torch.channels_last)


def trained(normalisation: str) -> nn.Module:
    """A layer with a normalisation that does something, folded for inference."""
    layer = normalised(BoardConvolution(5, 12), normalisation)
    for module in layer.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return fold_normalisation(nn.ModuleList([layer]))[0].to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@pytest.mark.parametrize("normalisation", ["none", "batch"])
@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_one_call_gives_the_same_numbers(normalisation: str, with_residual: bool, activation: str) -> None:
    layer, board = trained(normalisation), planes(7, 5, 6, 7)
    residual = planes(7, 12, 6, 7, seed=1) if with_residual else None
    expected = layer(board) if residual is None else layer(board) + residual
    with torch.no_grad():
        assert _fusable(layer, board) is not None
        found = activated(layer, board, residual, activation)
    if activation == "relu":  # to the bit
        assert torch.equal(found, expected.relu())
    else:
        torch.testing.assert_close(found, ACTIVATIONS[activation](expected))


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_with_gradients_nothing_is_overwritten(activation: str) -> None:
    layer, board, residual = BoardConvolution(5, 12), planes(3, 5, 4, 4), planes(3, 12, 4, 4, seed=1)
    before = residual.clone()
    activated(layer, board, residual, activation).sum().backward()
    assert torch.equal(residual, before)
    assert layer.weight.grad is not None
    assert layer.weight.grad.abs().sum() > 0


def test_a_layer_that_is_no_folded_convolution_is_left_alone() -> None:
    normal = normalised(BoardConvolution(5, 12), "batch").eval()
    board = planes(3, 5, 4, 4)
    with torch.no_grad():
        assert _fusable(normal, board) is None
        assert torch.equal(activated(normal, board), normal(board).relu())


@pytest.mark.parametrize(("batch", "height", "width"), [(16, 6, 7), (48, 6, 7), (7, 6, 7), (32, 9, 9), (8, 3, 1)])
def test_gradients_over_strips_are_those_of_boards(batch: int, height: int, width: int) -> None:
    ours = BoardConvolution(64, 8)
    plain = nn.Conv2d(64, 8, kernel_size=3, padding=1)
    plain.load_state_dict(ours.state_dict())
    for seed in range(2):  # the second time, over what the first left in memory
        gradients = []
        for layer, precise in ((ours, False), (plain, True)):
            board = planes(batch, 64, height, width, seed=seed).requires_grad_()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not precise):
                answer = layer(board)
            is_over_strips = "Strip" in str(answer.grad_fn)
            assert is_over_strips == (not precise and batch % 2 == 0)
            layer.zero_grad()
            answer.backward(planes(*answer.shape, seed=9).to(answer.dtype))
            gradients.append([answer.detach().float(), *(x.grad for x in (board, *layer.parameters()))])
        for found, expected in zip(*gradients, strict=True):
            torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))
            assert found.dtype == torch.float32
