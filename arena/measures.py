"""How good answers are: accuracy, log-loss and calibration of a classifier; the same, and how often it is illegal, of a
policy. Sums are added up batch by batch; nothing here knows a network.

Axes: ``N`` answers, ``K`` classes (of a policy, the actions).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray

BINS = 15
"""Of confidence, in the calibration error (Guo et al., 2017)."""
TOP = 5


def log_softmax(logits: Array) -> Array:
    """float64 ``[N, K]``; a logit of minus infinity is a class that cannot be."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@dataclass
class Scores:
    """Sums over answers, each with one or more classes that are right.

    Attributes:
        count: answers.
        top1, top5: answers whose most probable class, or one of the five most probable, is right.
        log_loss: of what is right, in nats; where several classes are right, of a draw among them.
        brier: squared distance of the probabilities from what is right (Brier, 1950).
        confidence, hits, filled: by bin of confidence: its sum, right answers, answers.
    """

    count: int = 0
    top1: float = 0.0
    top5: float = 0.0
    log_loss: float = 0.0
    brier: float = 0.0
    confidence: Array = field(default_factory=lambda: np.zeros(BINS))
    hits: Array = field(default_factory=lambda: np.zeros(BINS))
    filled: Array = field(default_factory=lambda: np.zeros(BINS))

    def add(self, logits: Array, right: Array) -> None:
        """Counts answers: ``logits`` ``[N, K]``, and bool ``[N, K]`` with a class or more in each row."""
        logs = log_softmax(logits)
        chances = np.exp(logs)
        target = right / right.sum(axis=1, keepdims=True)
        rows = np.arange(len(logs))
        best = logs.argmax(axis=1)
        hit = right[rows, best]
        likely = np.argpartition(-logs, TOP - 1, axis=1)[:, :TOP] if logs.shape[1] > TOP else None
        self.count += len(logs)
        self.top1 += float(hit.sum())
        near = right.any(axis=1) if likely is None else np.take_along_axis(right, likely, axis=1).any(axis=1)
        self.top5 += float(near.sum())
        self.log_loss -= float(np.where(target > 0, target * np.where(target > 0, logs, 0), 0).sum())
        self.brier += float(np.square(chances - target).sum())
        confidence = chances[rows, best]
        bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
        self.confidence += np.bincount(bins, confidence, BINS)
        self.hits += np.bincount(bins, hit, BINS)
        self.filled += np.bincount(bins, minlength=BINS)

    @property
    def calibration_error(self) -> float:
        """Mean distance between how sure answers are and how often they are right (expected calibration error)."""
        return float(np.abs(self.confidence - self.hits).sum() / max(self.count, 1))

    def record(self, prefix: str = "") -> dict[str, float]:
        """The means, by name; nothing where nothing was counted."""
        if not self.count:
            return {}
        means = {"top1": self.top1, "top5": self.top5, "log_loss": self.log_loss, "brier": self.brier}
        found = {f"{prefix}{name}": total / self.count for name, total in means.items()}
        return found | {f"{prefix}calibration_error": self.calibration_error, f"{prefix}count": self.count}

    def bins(self) -> list[list[float]]:
        """For a reliability diagram: mean confidence, share of right answers and number of answers of each bin."""
        shares = np.stack([self.confidence, self.hits]) / np.maximum(self.filled, 1)
        return [[float(a), float(b), int(n)] for a, b, n in zip(*shares, self.filled, strict=True)]


@dataclass
class PolicyScores:
    """Of a policy: with its illegal moves masked, and as it is.

    Attributes:
        masked: over legal moves only.
        unmasked: over all.
        unseen: masked, in positions that no training game reaches.
        illegal: answers whose most probable move of all is illegal.
        illegal_choice: the same, where there is more than one legal move.
        choices: answers where there is.
        illegal_mass: probability of illegal moves.
        value_error: squared error of the value.
        winner: values on the side of the result, where the result is no draw.
        decided: results that are no draw.
        outcomes: of the outcome (loss, draw, win), where the network gives its chances.
    """

    masked: Scores = field(default_factory=Scores)
    unmasked: Scores = field(default_factory=Scores)
    unseen: Scores = field(default_factory=Scores)
    illegal: float = 0.0
    illegal_choice: float = 0.0
    choices: int = 0
    illegal_mass: float = 0.0
    value_error: float = 0.0
    winner: float = 0.0
    decided: int = 0
    positions: int = 0
    outcomes: Scores = field(default_factory=Scores)

    def add_policy(self, logits: Array, legal: Array, right: Array, seen: Array) -> None:
        """Counts policies: ``logits`` ``[N, A]``, bool ``[N, A]`` twice, bool ``[N]``. Rows with nothing right say
        nothing."""
        known = right.any(axis=1)
        if not known.any():
            return
        logits, legal, right, seen = logits[known], legal[known], right[known], seen[known]
        masked = np.where(legal, logits, -np.inf)
        self.masked.add(masked, right)
        self.unmasked.add(logits, right)
        if not seen.all():
            self.unseen.add(masked[~seen], right[~seen])
        illegal = ~legal[np.arange(len(logits)), logits.argmax(axis=1)]
        several = legal.sum(axis=1) > 1
        self.illegal += float(illegal.sum())
        self.illegal_choice += float((illegal & several).sum())
        self.choices += int(several.sum())
        self.illegal_mass += float((np.exp(log_softmax(logits)) * ~legal).sum())

    def add_value(self, value: Array, target: Array, outcome_logits: Array | None) -> None:
        """Counts values ``[N]`` against results ``[N]``; ``outcome_logits`` ``[N, 3]`` of (loss, draw, win) if there
        are any."""
        self.positions += len(value)
        self.value_error += float(np.square(value.astype(np.float64) - target).sum())
        decided = target != 0
        self.decided += int(decided.sum())
        self.winner += float((np.sign(value) == np.sign(target))[decided].sum())
        if outcome_logits is not None:
            right = np.sign(target)[:, None] == np.array([-1, 0, 1])
            self.outcomes.add(outcome_logits, right)

    def record(self) -> dict[str, Any]:
        """Everything by name."""
        found: dict[str, Any] = self.masked.record() | self.unmasked.record("unmasked_") | self.unseen.record("unseen_")
        if self.unmasked.count:
            found["bins"] = self.masked.bins()
            found["illegal"] = self.illegal / self.unmasked.count
            found["illegal_mass"] = self.illegal_mass / self.unmasked.count
        if self.choices:
            found["illegal_where_there_is_a_choice"] = self.illegal_choice / self.choices
        if self.positions:
            found["value_error"] = self.value_error / self.positions
        if self.decided:
            found["winner"] = self.winner / self.decided
        if self.outcomes.count:
            found["outcome_bins"] = self.outcomes.bins()
        return found | self.outcomes.record("outcome_")


@dataclass
class ClassScores:
    """Of a classifier: ``scores``; which class was taken for which (``confusion`` ``[K, K]``, a row for each true one);
    and, of two classes, how sure it was of the second for every picture of both."""

    classes: tuple[str, ...]
    scores: Scores = field(default_factory=Scores)
    confusion: Array = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    sureness: list[Array] = field(default_factory=list)
    labels: list[Array] = field(default_factory=list)

    def add(self, logits: Array, label: Array) -> None:
        """Counts answers: ``logits`` ``[N, K]`` and the true class ``[N]``."""
        kinds = len(self.classes)
        if not self.confusion.size:
            self.confusion = np.zeros((kinds, kinds), np.int64)
        self.scores.add(logits, label[:, None] == np.arange(kinds))
        np.add.at(self.confusion, (label, logits.argmax(axis=1)), 1)
        if kinds == 2:
            self.sureness.append(logits[:, 1].astype(np.float64) - logits[:, 0])
            self.labels.append(label)

    def record(self) -> dict[str, Any]:
        """Everything by name; of two classes the ROC curve and the area under it too."""
        found: dict[str, Any] = dict(self.scores.record())
        found["bins"], found["confusion"] = self.scores.bins(), self.confusion.tolist()
        if len(self.classes) <= TOP:  # the right one is always among them
            found.pop("top5", None)
        if self.sureness:
            sureness, is_second = np.concatenate(self.sureness), np.concatenate(self.labels) == 1
            if is_second.any() and not is_second.all():
                false, true = roc(sureness, is_second)
                found["auc"] = float(np.trapezoid(true, false))
                keep = np.unique(np.linspace(0, len(false) - 1, 201).astype(int))
                found["roc"] = [[float(f), float(t)] for f, t in zip(false[keep], true[keep], strict=True)]
        return found


def roc(sureness: Array, is_second: Array) -> tuple[Array, Array]:
    """The receiver operating characteristic: the shares of the first and of the second class that are taken for the
    second, for every threshold from the highest down; both from 0 to 1."""
    order = np.argsort(-sureness, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(sureness[order])), len(order) - 1)  # equals are taken together
    true = np.cumsum(is_second[order])[ends] / is_second.sum()
    false = np.cumsum(~is_second[order])[ends] / (~is_second).sum()
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])
