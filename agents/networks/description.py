"""``network.json``: what a saved network is, written by us, and read as if it were written by an enemy."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from agents.networks.core import NetworkConfig
from games import ArenaError, GameSpec

FORMAT = "arena-network"
FORMAT_VERSION = 1
WEIGHTS_FILE = "network.safetensors"
METADATA_FILE = "network.json"

MAX_JSON_BYTES = 1 << 20
MAX_ACTIONS = 1 << 20
MAX_OBSERVATION_SIDE = 4096


class CheckpointError(ArenaError):
    """A network that is not there, not whole, not what it says, or not for this game. The message names the path."""


@dataclass(frozen=True)
class NetworkMetadata:
    """What ``network.json`` says of a network beside its weights.

    Attributes:
        game: name of the game that it was trained on; of a classifier, that of the pictures.
        game_version: ``GameSpec.version`` of that game's rules and planes, or ``PictureSpec.version``.
        num_actions: ``A``; of a classifier, how many classes it tells apart.
        observation_shape: ``(C, H, W)``.
        classes: the names of a classifier's classes; none of a network that plays.
        config: how to build it.
        weights_version: which of the run's published versions the weights are.
        extra: whatever the writer wanted to keep beside it, as JSON (scores, step, date, …).
    """

    game: str
    game_version: int
    num_actions: int
    observation_shape: tuple[int, int, int]
    config: NetworkConfig
    weights_version: int
    extra: dict[str, Any]
    classes: tuple[str, ...] = ()


def write_description(metadata: NetworkMetadata, size: int, checksum: str) -> bytes:
    """The content of ``network.json``; ``read_description`` is the inverse.

    Args:
        metadata: of the network.
        size: bytes in its weights file.
        checksum: SHA-256 of that file, hexadecimal.
    """
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "game": {
            "name": metadata.game,
            "version": metadata.game_version,
            "num_actions": metadata.num_actions,
            "observation_shape": list(metadata.observation_shape),
        },
        "network": dataclasses.asdict(metadata.config),
        "weights": {"file": WEIGHTS_FILE, "version": metadata.weights_version, "bytes": size, "sha256": checksum},
        "extra": metadata.extra,
    }
    if metadata.classes:
        document["classes"] = list(metadata.classes)
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_description(directory: Path) -> tuple[NetworkMetadata, int, str]:
    """The metadata, and the size in bytes and the SHA-256 of the weights that belong to it."""
    path = directory / METADATA_FILE
    root = _Fields(path, "the file", _read_json(path))
    written = root.text("format"), root.integer("format_version", 0, 1 << 31)
    if written != (FORMAT, FORMAT_VERSION):
        raise CheckpointError(
            f"{path} is in format {written[0]!r:.40} version {written[1]}, but this version of the arena reads "
            f"{FORMAT!r} version {FORMAT_VERSION}."
        )
    game = _Fields(path, "'game'", root.take("game", dict))
    shape = game.take("observation_shape", list)
    if len(shape) != 3 or not all(_is_size(side, MAX_OBSERVATION_SIDE) for side in shape):
        game.fail(f"'observation_shape' must be three integers from 1 to {MAX_OBSERVATION_SIDE}, not {shape!r:.80}")
    weights = _Fields(path, "'weights'", root.take("weights", dict))
    if weights.text("file") != WEIGHTS_FILE:
        weights.fail(f"'file' must be {WEIGHTS_FILE!r}")
    metadata = NetworkMetadata(
        game=game.text("name"),
        game_version=game.integer("version", 0, 1 << 31),
        num_actions=game.integer("num_actions", 1, MAX_ACTIONS),
        observation_shape=(shape[0], shape[1], shape[2]),
        config=_read_config(path, root.take("network", dict)),
        weights_version=weights.integer("version", 0, 1 << 62),
        extra=root.take("extra", dict),
        classes=_read_classes(root),
    )
    if metadata.classes and len(metadata.classes) != metadata.num_actions:
        root.fail(f"there are {len(metadata.classes)} 'classes', but answers for {metadata.num_actions}")
    size, checksum = weights.integer("bytes", 1, 1 << 40), weights.text("sha256")
    for fields in (root, game, weights):
        fields.finish()
    return metadata, size, checksum


def _read_classes(root: _Fields) -> tuple[str, ...]:
    """The names of the classes of a classifier, which alone has that field."""
    if not root.has("classes"):
        return ()
    classes = root.take("classes", list)
    if not classes or not all(isinstance(name, str) for name in classes):
        root.fail(f"'classes' must be a list of names, not {classes!r:.80}")
    return tuple(classes)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_JSON_BYTES + 1)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; give a directory that holds a trained network.") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if len(raw) > MAX_JSON_BYTES:
        raise CheckpointError(f"{path} is larger than {MAX_JSON_BYTES} bytes, which no network's description is.")
    try:
        document = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: it is not JSON ({str(error)[:80]}).") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} does not describe a network: it must hold a JSON object.")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _read_config(path: Path, values: dict[str, Any]) -> NetworkConfig:
    fields = _Fields(path, "'network'", values)
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(NetworkConfig):
        if field.name not in values:
            continue  # newer than the file: the default is what networks were before it
        kind = list if isinstance(field.default, tuple) else type(field.default)
        value = fields.take(field.name, kind)
        arguments[field.name] = tuple(value) if kind is list else value
    fields.finish()
    try:
        return NetworkConfig(**arguments)
    except ArenaError as error:
        raise CheckpointError(f"{path} describes a network that cannot be built: {error}") from error


class _Fields:
    """One JSON object, taken apart field by field: each must be there, of its type and in bounds; none may be left."""

    def __init__(self, path: Path, where: str, values: dict[str, Any]) -> None:
        self._path = path
        self._where = where
        self._values = dict(values)

    def fail(self, what: str) -> NoReturn:
        raise CheckpointError(f"{self._path} is not a network's description: in {self._where}, {what}.")

    def has(self, name: str) -> bool:
        return name in self._values

    def take(self, name: str, kind: type) -> Any:
        if name not in self._values:
            self.fail(f"{name!r} is missing")
        value = self._values.pop(name)
        if type(value) is not kind:  # not isinstance: True is no integer here
            self.fail(f"{name!r} must be {_KIND_NAMES[kind]}, not {value!r:.80}")
        return value

    def text(self, name: str) -> str:
        return self.take(name, str)

    def integer(self, name: str, low: int, high: int) -> int:
        value = self.take(name, int)
        if not low <= value <= high:
            self.fail(f"{name!r} must be from {low} to {high}, not {value!r:.40}")
        return value

    def finish(self) -> None:
        if self._values:
            self.fail(f"{sorted(self._values)[0]!r:.80} is unknown")


_KIND_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
}


def _is_size(value: object, high: int) -> bool:
    return type(value) is int and 1 <= value <= high


def check_game(directory: Path, metadata: NetworkMetadata, spec: GameSpec) -> None:
    """Raises CheckpointError, naming both, unless the network at ``directory`` is for the game of ``spec``."""
    if metadata.classes:
        raise CheckpointError(
            f"{directory} holds a classifier of {metadata.game!r:.80} pictures, which plays no game; give a network "
            f"that was trained on {spec.name!r}."
        )
    if (metadata.game, metadata.game_version) != (spec.name, spec.version):
        raise CheckpointError(
            f"{directory} holds a network for {metadata.game!r:.80} version {metadata.game_version}, not for "
            f"{spec.name!r} version {spec.version}; give one that was trained on that game."
        )
    if (metadata.num_actions, metadata.observation_shape) != (spec.num_actions, spec.observation_shape):
        raise CheckpointError(
            f"{directory} holds a network for {metadata.num_actions} actions and observations "
            f"{metadata.observation_shape}, but {spec.name} has {spec.num_actions} and {spec.observation_shape}."
        )
