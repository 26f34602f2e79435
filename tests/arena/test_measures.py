"""The figures: against arithmetic by hand and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from arena.measures import BINS, ClassScores, PolicyScores, Scores, log_softmax, roc


def random_answers(count: int, kinds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return 2 * rng.standard_normal((count, kinds)), rng.integers(0, kinds, count)


def test_scores_are_their_definitions() -> None:
    logits, label = random_answers(500, 9, 0)
    scores = Scores()
    for rows in np.array_split(np.arange(500), 7):
        scores.add(logits[rows], label[rows, None] == np.arange(9))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = scores.record()
    assert found["top1"] == pytest.approx(np.mean(logits.argmax(axis=1) == label))
    ranks = (logits > logits[np.arange(500), label][:, None]).sum(axis=1)
    assert found["top5"] == pytest.approx(np.mean(ranks < 5))
    assert found["log_loss"] == pytest.approx(-np.mean(np.log(chances[np.arange(500), label])))
    assert found["brier"] == pytest.approx(np.square(chances - np.eye(9)[label]).sum(axis=1).mean())
    sure, hit = chances.max(axis=1), logits.argmax(axis=1) == label
    error = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (sure >= low) & (sure < low + 1 / BINS)
        error += abs(sure[inside].sum() - hit[inside].sum()) / 500
    assert found["calibration_error"] == pytest.approx(error)
    bins = np.array(scores.bins())
    assert bins.shape == (BINS, 3)
    assert bins[:, 2].sum() == 500
    assert (np.abs(bins[:, 0] - bins[:, 1]) * bins[:, 2]).sum() / 500 == pytest.approx(error)
    inside = (sure >= 5 / BINS) & (sure < 6 / BINS)
    np.testing.assert_allclose(bins[5], [sure[inside].mean(), hit[inside].mean(), inside.sum()])


def test_somebody_who_is_as_often_right_as_sure_is_calibrated() -> None:
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.5, 1, 200_000)
    right = rng.random(200_000) < chance
    logits = np.stack([np.log(chance), np.log(1 - chance)], axis=1)
    scores = Scores()
    scores.add(logits, np.stack([right, ~right], axis=1))
    assert scores.calibration_error < 0.01
    overconfident = Scores()
    overconfident.add(5 * logits, np.stack([right, ~right], axis=1))
    assert overconfident.calibration_error > 0.1


def test_several_moves_may_be_right() -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]]))
    right = np.array([[True, True, False], [True, False, False]])
    scores = Scores()
    scores.add(logits, right)
    found = scores.record()
    assert found["top1"] == 0.5
    assert found["top5"] == 1.0
    assert found["log_loss"] == pytest.approx(-(0.5 * np.log(0.5) + 0.5 * np.log(0.3) + np.log(0.2)) / 2)


def test_impossible_classes_take_no_part() -> None:
    logs = log_softmax(np.array([[0.0, -np.inf, 0.0]]))
    np.testing.assert_allclose(np.exp(logs), [[0.5, 0, 0.5]])
    scores = Scores()
    scores.add(np.array([[1.0, -np.inf, -np.inf, 2.0, 0.0, 0.5, -1.0]]), np.arange(7)[None] == 3)
    assert scores.top1 == scores.top5 == 1
    assert np.isfinite(list(scores.record().values())).all()


def test_a_policys_illegal_moves() -> None:
    logits = np.log(np.array([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6], [0.2, 0.7, 0.1], [0.25, 0.25, 0.5]]))
    legal = np.array([[False, True, True], [True, True, True], [False, True, False], [False, False, True]])
    right = np.array([[False, True, False], [False, True, False], [False, True, False], [False, False, False]])
    scores = PolicyScores()
    scores.add_policy(logits, legal, right, np.array([True, False, True, False]))
    found = scores.record()
    # The last position has no known answer and says nothing; the third has one legal move only.
    assert found["illegal"] == pytest.approx(1 / 3)
    assert found["illegal_where_there_is_a_choice"] == pytest.approx(1 / 2)
    assert found["illegal_mass"] == pytest.approx((0.6 + 0.0 + 0.3) / 3)
    assert found["unmasked_top1"] == pytest.approx(1 / 3)
    assert found["top1"] == pytest.approx(2 / 3)
    assert found["log_loss"] == pytest.approx(-(np.log(0.75) + np.log(0.3) + 0) / 3)
    assert found["unseen_count"] == 1
    assert found["unseen_top1"] == 0


def test_values_and_outcomes() -> None:
    scores = PolicyScores()
    value, target = np.array([0.5, -0.2, 0.1, 0.0]), np.array([1.0, 1.0, 0.0, -1.0])
    outcomes = np.log(np.array([[0.1, 0.2, 0.7], [0.5, 0.2, 0.3], [0.2, 0.5, 0.3], [0.4, 0.2, 0.4]]))
    scores.add_value(value, target, outcomes)
    found = scores.record()
    assert found["value_error"] == pytest.approx((0.25 + 1.44 + 0.01 + 1) / 4)
    assert found["winner"] == pytest.approx(1 / 3)
    assert found["outcome_top1"] == pytest.approx(3 / 4)
    assert found["outcome_log_loss"] == pytest.approx(-np.mean(np.log([0.7, 0.3, 0.5, 0.4])))
    assert "top1" not in found
    assert "bins" not in found
    assert sum(count for _, _, count in found["outcome_bins"]) == 4
    assert PolicyScores().record() == {}


def test_confusion() -> None:
    logits, label = random_answers(300, 4, 1)
    scores = ClassScores(("a", "b", "c", "d"))
    for rows in np.array_split(np.arange(300), 4):
        scores.add(logits[rows], label[rows])
    found = scores.record()
    for true in range(4):
        for said in range(4):
            assert found["confusion"][true][said] == np.sum((label == true) & (logits.argmax(axis=1) == said))
    assert "roc" not in found
    assert "top5" not in found  # of four classes the right one is always among the five likeliest


def test_the_area_under_the_roc_is_how_often_a_pair_is_in_order() -> None:
    rng = np.random.default_rng(2)
    label = rng.random(400) < 0.3
    sureness = np.round(rng.standard_normal(400) + label, 1)  # rounded, so that there are ties
    scores = ClassScores(("not", "cat"))
    scores.add(np.stack([-sureness / 2, sureness / 2], axis=1), label.astype(int))
    cats, others = sureness[label], sureness[~label]
    pairs = np.mean((cats[:, None] > others) + 0.5 * (cats[:, None] == others))
    found = scores.record()
    assert found["auc"] == pytest.approx(pairs)
    assert found["roc"][0] == [0.0, 0.0]
    assert found["roc"][-1] == [1.0, 1.0]
    false, true = roc(sureness, label)
    assert (np.diff(false) >= 0).all()
    assert (np.diff(true) >= 0).all()
    some = 100
    threshold = np.unique(sureness)[::-1][some % len(np.unique(sureness))]
    point = (np.mean(others >= threshold), np.mean(cats >= threshold))
    assert any(np.allclose(point, each) for each in zip(false, true, strict=True))
