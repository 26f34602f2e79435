"""Networks on disk: ``network.safetensors`` holds the weights, ``network.json`` all that is needed to use them.

Nothing here trusts a file. The JSON is checked field by field, the network it describes is first built without memory
(on PyTorch's ``meta`` device), and only when the weights' size, checksum, names, shapes and types agree with it is
anything allocated. Neither format can run code.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from agents.files import make_directory, write_atomically
from agents.networks.core import (
    Classifier,
    NetworkConfig,
    NetworkError,
    PolicyValueNetwork,
    build_classifier,
    build_network,
)
from agents.networks.description import (
    METADATA_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    NetworkMetadata,
    check_game,
    read_description,
    write_description,
)
from agents.pictures import PictureSpec
from games import Game, GameSpec

NetworkT = TypeVar("NetworkT", PolicyValueNetwork, Classifier)

MAX_HEADER_BYTES = 1 << 20
"""More than the names and shapes in front of the tensors can take."""


def save_network(
    directory: Path,
    network: PolicyValueNetwork | Classifier,
    config: NetworkConfig,
    game: GameSpec | PictureSpec,
    extra: Mapping[str, Any] | None = None,
    *,
    weights_version: int = 0,
) -> None:
    """Writes ``network`` to ``directory``, which is made if need be.

    Each file is written atomically and the JSON last, so a new directory never holds a network that only looks whole. A
    crash while an older network is being replaced can leave new weights under the old JSON; loading that is refused.

    Args:
        directory: where the two files go.
        network: on any device; built by ``build_network(config, game.observation_shape, game.num_actions)``, or by
            ``build_classifier`` likewise.
        config: how it was built.
        game: what it was trained on, or the pictures of a classifier.
        extra: anything that ``json`` can write.
        weights_version: which published version the weights are.

    Raises:
        WriteError: the files could not be written.
    """
    directory = Path(directory)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    content = safetensors.torch.save(weights)
    classes = game.classes if isinstance(game, PictureSpec) else ()
    metadata = NetworkMetadata(
        game=game.name,
        game_version=game.version,
        num_actions=len(game.classes) if isinstance(game, PictureSpec) else game.num_actions,
        observation_shape=game.observation_shape,
        config=config,
        weights_version=weights_version,
        extra=dict(extra or {}),
        classes=classes,
    )
    description = write_description(metadata, len(content), hashlib.sha256(content).hexdigest())
    make_directory(directory)
    write_atomically(directory / WEIGHTS_FILE, content)
    write_atomically(directory / METADATA_FILE, description)


def load_network(directory: Path, game: Game | None = None) -> tuple[PolicyValueNetwork, NetworkMetadata]:
    """The network that ``save_network`` wrote, bit for bit, on the CPU in evaluation mode, and its metadata.

    Args:
        directory: what ``find_network`` returns.
        game: the game it is to play; without it any game's network will do, and the metadata say which it is.

    Raises:
        CheckpointError: one sentence with the path: what is missing, damaged, or made for another game.
    """
    directory = Path(directory)
    metadata, size, checksum = read_description(directory)
    if game is not None:
        check_game(directory, metadata, game.spec)
    if metadata.classes:
        raise CheckpointError(f"{directory} holds a classifier of {metadata.game!r:.80} pictures, which plays no game.")
    return _build(directory, metadata, size, checksum, build_network), metadata


def load_classifier(directory: Path) -> tuple[Classifier, NetworkMetadata]:
    """The same for a classifier of pictures.

    Raises:
        CheckpointError: as ``load_network`` does, or a network that plays.
    """
    directory = Path(directory)
    metadata, size, checksum = read_description(directory)
    if not metadata.classes:
        raise CheckpointError(f"{directory} holds a network that plays {metadata.game!r:.80} and classifies nothing.")
    return _build(directory, metadata, size, checksum, build_classifier), metadata


def _build(
    directory: Path,
    metadata: NetworkMetadata,
    size: int,
    checksum: str,
    build: Callable[[NetworkConfig, tuple[int, int, int], int], NetworkT],
) -> NetworkT:
    """The network, built by ``build``, once its weights are shown to be those that the metadata describe."""
    shape = metadata.config, metadata.observation_shape, metadata.num_actions
    with torch.device("meta"), _WithoutDrawing():
        try:
            plan = build(*shape)
        except NetworkError as error:
            raise CheckpointError(
                f"{directory / METADATA_FILE} describes a network that cannot be built: {error}"
            ) from error
    weights = _read_weights(directory / WEIGHTS_FILE, plan, size, checksum)
    with torch.random.fork_rng(devices=[]):  # reading a file must not change what is drawn after it
        network = build(*shape)
    network.load_state_dict(weights)
    return network.eval()


class _WithoutDrawing(TorchFunctionMode):
    """Skips the random initialisation of weights: without memory it has nothing to fill, and the first such call makes
    PyTorch import its symbolic mathematics, which takes two seconds."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "trunc_normal_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def find_network(path: Path) -> Path:
    """The directory with the network that ``path`` means: ``path`` itself, or the newest whole one of a training run.

    A run keeps its networks in ``checkpoints/<step>/``; the highest step whose files are both there is the newest.

    Raises:
        CheckpointError: says what was looked for.
    """
    path = Path(path)
    try:
        if _is_whole(path):
            return path
        if not path.is_dir():
            raise CheckpointError(
                f"There is no directory {path}; give a training run or a directory with {METADATA_FILE}."
            )
        steps = _whole_checkpoints(path / "checkpoints")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if not steps:
        raise CheckpointError(
            f"There is no trained network in {path}: neither {METADATA_FILE} with {WEIGHTS_FILE} in it, nor a "
            f"checkpoints/<step>/ that has both."
        )
    return max(steps)[1]


def _whole_checkpoints(directory: Path) -> list[tuple[int, Path]]:
    """The step and path of every checkpoint in ``directory`` whose network is whole; other names are passed over."""
    if not directory.is_dir():
        return []
    steps = [(int(child.name), child) for child in directory.iterdir() if re.fullmatch("[0-9]{1,18}", child.name)]
    return [(step, child) for step, child in steps if _is_whole(child)]


def _is_whole(directory: Path) -> bool:
    return (directory / METADATA_FILE).is_file() and (directory / WEIGHTS_FILE).is_file()


def _read_weights(path: Path, plan: nn.Module, size: int, checksum: str) -> dict[str, Tensor]:
    """The tensors at ``path``, once they are shown to be those of ``plan``, a network on the ``meta`` device."""
    expected = plan.state_dict()
    expected_bytes = sum(tensor.numel() * tensor.element_size() for tensor in expected.values())
    if not expected_bytes <= size <= expected_bytes + MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path} should hold {expected_bytes} bytes of weights, but is described as {size} bytes."
        )
    try:
        found = path.stat().st_size
        content = path.read_bytes() if found == size else b""
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; the network's description is there without its weights.") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if found != size:
        raise CheckpointError(f"{path} is damaged: it has {found} bytes, but {size} were written.")
    if hashlib.sha256(content).hexdigest() != checksum:
        raise CheckpointError(f"{path} is damaged: its checksum is not the one in {METADATA_FILE}.")
    try:
        weights = safetensors.torch.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is not a safetensors file ({str(error)[:80]}).") from error
    _check_tensors(path, weights, expected)
    return weights


def _check_tensors(path: Path, weights: dict[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    for name in sorted(weights.keys() ^ expected.keys()):
        state = "lacks" if name in expected else "has an unexpected"
        raise CheckpointError(f"{path} {state} tensor {name!r:.80}; it belongs to another network.")
    for name, tensor in weights.items():
        want = expected[name]
        if tensor.shape != want.shape or tensor.dtype != want.dtype:
            raise CheckpointError(
                f"{path} has {name!r} as {tensor.dtype} {list(tensor.shape)}, but its network needs {want.dtype} "
                f"{list(want.shape)}."
            )
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path} has weights in {name!r} that are not finite numbers.")
