"""Muon against its definition by singular values."""

from __future__ import annotations

import pytest
import torch

from arena.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(3, 8, 20), (2, 20, 8), (1, 16, 16)])
def test_orthogonalising_keeps_the_singular_vectors_and_evens_the_values(shape):
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(shape, generator=generator) * torch.tensor([1e-3, 1.0, 50.0])[: shape[0], None, None]
    results = orthogonalised(matrices)
    for matrix, result in zip(matrices, results, strict=True):
        u, _, v = torch.linalg.svd(matrix, full_matrices=False)
        in_its_axes = u.T @ result @ v.T
        values = in_its_axes.diagonal()
        assert ((values > 0.3) & (values < 1.3)).all()  # the smallest are still on their way up after five steps
        assert (values > 0.65).float().mean() > 0.8
        torch.testing.assert_close(in_its_axes, values.diag(), atol=1e-3, rtol=0)
        torch.testing.assert_close(result, orthogonalised(matrix[None])[0], atol=1e-5, rtol=1e-4)


def test_a_step_is_the_orthogonalised_nesterov_momentum():
    generator = torch.Generator().manual_seed(1)
    weight = torch.nn.Parameter(torch.randn((4, 3, 3, 3), generator=generator).to(memory_format=torch.channels_last))
    expected, momentum = weight.detach().clone(), torch.zeros(4, 27)
    optimizer = Muon([weight], lr=0.1, momentum=0.9, weight_decay=0.5)
    for _ in range(3):
        gradient = torch.randn((4, 3, 3, 3), generator=generator)
        weight.grad = gradient.to(memory_format=torch.channels_last)
        optimizer.step()
        momentum = 0.9 * momentum + 0.1 * gradient.reshape(4, 27)
        direction = orthogonalised((0.9 * momentum + 0.1 * gradient.reshape(4, 27))[None])[0]
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * direction.reshape(4, 3, 3, 3)
    torch.testing.assert_close(weight.detach(), expected, atol=1e-5, rtol=1e-4)


def test_tall_matrices_step_further():
    weight = torch.nn.Parameter(torch.zeros(40, 10))
    weight.grad = torch.randn((40, 10), generator=torch.Generator().manual_seed(2))
    Muon([weight], lr=1.0).step()
    assert torch.linalg.matrix_norm(weight.detach(), 2).item() == pytest.approx(2.0, rel=0.3)


def test_weights_with_one_axis_are_refused():
    with pytest.raises(ValueError, match="two or more axes"):
        Muon([torch.nn.Parameter(torch.zeros(3))])


def test_in_bfloat16_it_steps_nearly_the_same_way():
    steps = []
    for precision in (torch.float32, torch.bfloat16):
        weight = torch.nn.Parameter(torch.zeros(24, 40))
        weight.grad = torch.randn(24, 40, generator=torch.Generator().manual_seed(0))
        Muon([weight], lr=1.0, precision=precision).step()
        assert weight.dtype == torch.float32
        steps.append(weight.detach().flatten())
    assert torch.cosine_similarity(*steps, dim=0) > 0.995
