"""How good a network is on a set of data: the figures of ``arena.measures``, and how a person reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from agents.networks.core import Classifier, PolicyValueNetwork
from agents.networks.heads import OutcomeHead
from agents.networks.layers import fold_normalisation
from agents.networks.sequence import SequenceBackbone
from agents.pictures import PictureSpec
from arena.datasets import Dataset, SequenceBatch
from arena.measures import ClassScores, PolicyScores
from arena.records import SampleBatch

EVALUATION_POSITIONS = 2048
"""About how many positions or pictures go through the network at a time."""
EVALUATION_GAMES = 32
"""The same of whole games."""

Parts = Sequence[tuple[str, np.ndarray]]
"""Examples of a set: splits, and int64 numbers in each."""


def measure(
    network: PolicyValueNetwork | Classifier, dataset: Dataset[Any], parts: Parts, device: torch.device
) -> dict[str, Any]:
    """How good ``network`` is on examples ``parts`` of a set, by name."""
    network = fold_normalisation(network).requires_grad_(False).to(device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from its types
    if isinstance(network, Classifier):
        assert isinstance(dataset.spec, PictureSpec)
        classes = ClassScores(dataset.spec.classes)
        for split, chunk in _chunks(parts, EVALUATION_POSITIONS):
            batch = dataset.batch(split, chunk)
            classes.add(_logits(network, batch.observation, device), batch.label)
        return classes.record()
    scores = PolicyScores()
    is_sequence = isinstance(network.backbone, SequenceBackbone)
    for split, chunk in _chunks(parts, EVALUATION_GAMES if is_sequence else EVALUATION_POSITIONS):
        answers = dataset.answers(split, chunk)
        assert answers is not None
        logits, value, outcomes = _ask(network, dataset.batch(split, chunk), device)
        scores.add_policy(logits, answers.legal_action_mask, answers.right, answers.seen)
        scores.add_value(value, answers.value, outcomes)
    return scores.record()


def _chunks(parts: Parts, size: int) -> Iterator[tuple[str, np.ndarray]]:
    for split, indices in parts:
        for first in range(0, len(indices), size):
            yield split, indices[first : first + size]


@torch.inference_mode()
def _logits(network: Classifier, observation: np.ndarray, device: torch.device) -> np.ndarray:
    planes = torch.from_numpy(observation).to(device).contiguous(memory_format=torch.channels_last)
    return network(planes).float().cpu().numpy()


@torch.inference_mode()
def _ask(
    network: PolicyValueNetwork, batch: SampleBatch | SequenceBatch, device: torch.device
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Policy logits ``[N, A]``, values ``[N]`` and, if it gives them, outcome logits ``[N, 3]``: for each position, or
    for each input of a game that a move followed."""
    if isinstance(batch, SequenceBatch):
        there = torch.from_numpy(batch.action >= 0).to(device)
        features = network.sequences.every_ply(torch.from_numpy(batch.inputs).to(device))[there]
    else:
        planes = torch.from_numpy(batch.observation).to(device).contiguous(memory_format=torch.channels_last)
        features = network.backbone(planes)
    outcomes = None
    if isinstance(network.value, OutcomeHead):
        outcomes = network.value.outcome_logits(features).float().cpu().numpy()
    return network.policy(features).float().cpu().numpy(), network.value(features).float().cpu().numpy(), outcomes


def describe(found: dict[str, Any]) -> dict[str, str]:
    """A measurement as a person reads it."""
    shown = {}
    for key, name, form in _DESCRIBED:
        if isinstance(found.get(key), float):
            shown[name] = format(found[key], form)
    return shown


_DESCRIBED = (
    ("top1", "top-1", ".1%"),
    ("top5", "top-5", ".1%"),
    ("log_loss", "log-loss", ".3f"),
    ("calibration_error", "calibration error", ".1%"),
    ("unseen_top1", "top-1 where no training game was", ".1%"),
    ("unmasked_top1", "top-1 without the mask", ".1%"),
    ("illegal", "illegal top-1 without the mask", ".2%"),
    ("illegal_mass", "illegal probability without the mask", ".2%"),
    ("winner", "side of the winner", ".1%"),
    ("value_error", "value error", ".3f"),
    ("outcome_top1", "outcome accuracy", ".1%"),
    ("outcome_log_loss", "outcome log-loss", ".3f"),
    ("outcome_calibration_error", "outcome calibration error", ".1%"),
    ("auc", "area under the ROC", ".3f"),
)
