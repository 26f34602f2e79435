"""Random legal moves: always legal, every legal move as often as any other, whatever the number of actions."""

from __future__ import annotations

import numpy as np
import pytest

import games


@pytest.mark.nojit
@pytest.mark.parametrize("num_actions", [1, 7, 8, 65, 362, 4673])
def test_picks_the_move_that_the_draw_falls_on(num_actions: int) -> None:
    rng = np.random.default_rng(0)
    for batch in (1, 5, 64):
        mask = rng.random((batch, num_actions)) < 0.3
        mask[np.arange(batch), rng.integers(num_actions, size=batch)] = True
        expected = [
            np.flatnonzero(row)[int(draw * row.sum())]
            for row, draw in zip(mask, np.random.default_rng(7).random(batch), strict=True)
        ]
        assert games.sample_legal(mask, np.random.default_rng(7)).tolist() == expected
        transposed = np.asfortranarray(mask)
        assert games.sample_legal(transposed, np.random.default_rng(7)).tolist() == expected
