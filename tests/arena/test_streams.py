"""Streams of random numbers: one game's draws do not depend on the games beside it."""

from __future__ import annotations

import numpy as np
import pytest

from arena.streams import Streams
from games import sample_legal


def streams(seeds: list[int]) -> Streams:
    made = Streams(len(seeds), np.random.default_rng(0))
    for slot, seed in enumerate(seeds):
        made.start(slot, seed)
    return made


def test_a_game_draws_the_same_in_any_company() -> None:
    alone = streams([7])
    expected = np.concatenate([alone.of(np.array([0])).random((1, 3)), alone.of(np.array([0])).random((1, 2))], axis=1)
    among = streams([1, 2, 7, 2**63 - 1])
    first = among.of(np.array([3, 2])).random((2, 3))[1]
    among.of(np.array([0, 1, 3])).random(3)
    second = among.of(np.array([0, 2])).random((2, 2))[1]
    np.testing.assert_array_equal(np.concatenate([first, second]), expected[0])


def test_rows_that_come_twice_draw_one_after_the_other() -> None:
    one, two = streams([5, 6]), streams([5, 6])
    together = one.of(np.array([0, 1])).take(np.array([1, 0, 1, 1])).random((4, 2))
    np.testing.assert_array_equal(together[[0, 2, 3]].ravel(), two.uniform(np.array([1]), 6)[0])
    np.testing.assert_array_equal(together[1], two.uniform(np.array([0]), 2)[0])
    np.testing.assert_array_equal(one.uniform(np.array([0, 1]), 1), two.uniform(np.array([0, 1]), 1))


def test_a_new_game_in_a_slot_forgets_the_old() -> None:
    made = streams([5])
    before = made.uniform(np.array([0]), 4)
    made.start(0, 9)
    made.start(0, 5)
    np.testing.assert_array_equal(made.uniform(np.array([0]), 4), before)


def test_numbers_are_uniform_and_streams_unrelated() -> None:
    numbers = streams(list(range(64))).uniform(np.arange(64), 20_000)  # seeds next to each other
    assert numbers.min() >= 0
    assert numbers.max() < 1
    histogram, _ = np.histogram(numbers, 100)
    assert ((histogram - 12_800) ** 2 / 12_800).sum() < 149  # chi-squared, 99 degrees of freedom, p = 0.001
    correlation = np.corrcoef(numbers)
    assert np.abs(correlation[~np.eye(64, dtype=bool)]).max() < 5 / np.sqrt(20_000)
    neighbours = np.corrcoef(numbers[:, :-1].ravel(), numbers[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(numbers.size)


def test_what_agents_draw() -> None:
    rng = streams(list(range(5000))).of(np.arange(5000))
    mask = np.tile([True, False, True, True], (5000, 1))
    picked = np.bincount(sample_legal(mask, rng), minlength=4)
    assert picked[1] == 0
    assert np.abs(picked[[0, 2, 3]] - 5000 / 3).max() < 150
    whole = rng.integers(3, 8, size=(5000, 2))
    assert (whole.min(), whole.max()) == (3, 7)
    assert abs(rng.gumbel(size=(5000, 20)).mean() - np.euler_gamma) < 0.02
    assert rng.integers(4, size=5000).max() == 3


def test_other_draws_are_still_random() -> None:
    rng = streams([1, 2]).of(np.array([0, 1]))
    assert rng.normal(size=100).std() > 0.5
    assert 0 <= rng.random() < 1
    assert rng.random(7).shape == (7,)
    with pytest.raises(ValueError, match="low >= high"):
        rng.integers(3, 3)
