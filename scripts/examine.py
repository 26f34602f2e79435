"""Measures a run of ``arena learn`` on data that it has not learned from: other years, another server.

    python -m scripts.examine runs/gpt --data other_years

All splits of the other data are asked. What the run has learned from, as far as its own data is still where it was, is
left out, mirror images included, and counted.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from agents.network_evaluator import best_device
from agents.networks.description import CheckpointError, NetworkMetadata, read_description
from agents.networks.files import find_network, load_classifier, load_network
from agents.pictures import PictureSpec
from arena.checkpoint import read_config
from arena.datasets import SPLITS, Dataset, DatasetError, open_dataset
from arena.examination import Parts, describe, measure
from arena.learn_config import from_toml
from games import ArenaError
from scripts.program import start


@dataclass(frozen=True)
class Options:
    """Measures a run on data that it has not learned from."""

    run: tyro.conf.Positional[Path]
    """A run of arena learn."""
    data: Path
    """The other data: a folder that is searched, or the one file."""
    examples: int | None = None
    """Measure on so many examples, spread evenly; by default on all."""
    device: str = "auto"
    """Where the network runs: auto, cpu, cuda, cuda:1."""
    json: bool = False
    """Print every figure as JSON."""


def choose(dataset: Dataset[Any], own: Dataset[Any] | None, examples: int | None) -> tuple[Parts, int]:
    """The examples to ask about, and how many were left out because ``own`` trains on them."""
    learned = None if own is None else own.identities("train")
    parts, left_out = [], 0
    for split in SPLITS:
        indices = np.arange(dataset.sizes[split])
        identities = dataset.identities(split)
        if learned is not None and identities is not None:
            fresh = ~np.isin(identities, learned)
            left_out += int((~fresh).sum())
            indices = indices[fresh]
        parts.append((split, indices))
    total = sum(len(indices) for _, indices in parts)
    if examples is not None and examples < total:
        share = [len(indices) * examples // total for _, indices in parts]
        parts = [
            (split, indices[np.arange(n) * len(indices) // max(n, 1)])
            for (split, indices), n in zip(parts, share, strict=True)
        ]
    return parts, left_out


def check(path: Path, metadata: NetworkMetadata, dataset: Dataset[Any]) -> None:
    """Raises CheckpointError unless the network at ``path`` is for this data."""
    spec = dataset.spec
    answers = len(spec.classes) if isinstance(spec, PictureSpec) else spec.num_actions
    if (metadata.num_actions, metadata.observation_shape) != (answers, spec.observation_shape):
        raise CheckpointError(
            f"{path} answers one of {metadata.num_actions} to observations {metadata.observation_shape}, but this data "
            f"has {answers} and {spec.observation_shape}."
        )


def main(options: Options) -> dict[str, Any]:
    """Prints what was found, and returns it.

    Raises:
        ArenaError: no run, no data, or data for another network.
    """
    if options.examples is not None and options.examples < 1:
        raise ArenaError(f"--examples is {options.examples}; it must be 1 or more.")
    config = read_config(options.run, from_toml)
    path = find_network(options.run)
    metadata = read_description(path)[0]
    dataset = open_dataset(dataclasses.replace(config.source, data=options.data, augment=False))
    check(path, metadata, dataset)
    try:
        own = open_dataset(dataclasses.replace(config.source, augment=False))
        remark = ""
    except DatasetError as error:
        own, remark = None, f" What the run has learned from is not known: {error}"
    parts, left_out = choose(dataset, own, options.examples)
    count = sum(len(indices) for _, indices in parts)
    if not count:
        raise DatasetError(f"The run has learned from all {left_out} examples below {options.data}; nothing is left.")
    network = (load_classifier if metadata.classes else load_network)(path)[0]
    found = measure(network, dataset, parts, best_device(options.device))
    found = {name: value for name, value in found.items() if not name.startswith("unseen_")}  # of the other data
    found |= {"examples": count, "left_out": left_out}
    if options.json:
        print(json.dumps(found))
    else:
        print(f"{path} on {count} examples; left out because it has learned from them: {left_out}.{remark}")
        for name, value in describe(found).items():
            print(f"  {name}: {value}")
    return found


if __name__ == "__main__":
    start(main, Options)
