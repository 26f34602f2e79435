"""The evaluator that asks a neural network: positions in, prior logits and values out, as fast as the machine can.

It keeps its own inference copy of the network: evaluation mode, normalisation folded, channels_last, and bfloat16 where
the processor computes in it natively. On the CPU one call should run on one thread, with one process per core: see
``use_one_thread``.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from agents.core import Array, Evaluation
from agents.networks.heads import in_precision
from agents.networks.layers import fold_normalisation
from games import ArenaError, Game, UnknownNameError
from games.registry import unknown_name

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class DeviceError(ArenaError):
    """A device that this machine, or this build of PyTorch, does not have."""


def use_one_thread() -> None:
    """Makes PyTorch use one thread in this process; self-play workers call it first.

    Workers that each start a thread per core fight for the same cores, which costs up to ten times the throughput.
    """
    torch.set_num_threads(1)
    # PyTorch refuses to change this pool once it has run anything, and then it is not what computes our networks.
    with contextlib.suppress(RuntimeError):
        torch.set_num_interop_threads(1)


def best_device(name: str = "auto") -> torch.device:
    """The device called ``name``; ``"auto"`` is CUDA where there is one, else the CPU.

    Raises:
        DeviceError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind == "cpu" and not index:
        return torch.device("cpu")
    count = torch.cuda.device_count() if kind == "cuda" else 0
    if kind == "cuda" and (not index or index.isdecimal()) and int(index or 0) < count:
        return torch.device(name)
    gpus = "".join(f", cuda:{i}" for i in range(torch.cuda.device_count()))
    raise DeviceError(f"There is no device {name!r} here; this machine has: auto, cpu{gpus}.")


def accelerator(device: torch.device) -> str:
    """What computes, in words: the GPU's name, or the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"


def best_precision(device: torch.device | str, precision: str = "auto") -> torch.dtype:
    """The type called ``precision``; ``"auto"`` is bfloat16 where ``device`` computes in it natively, else float32.

    PyTorch accepts bfloat16 on every CPU, but one without the instructions emulates it some ten times slower than
    float32: it must be chosen only where AVX-512 BF16 or AMX is really there.

    Raises:
        UnknownNameError: ``precision`` is none of auto, fp32, bf16.
    """
    if precision != "auto":
        if precision not in PRECISIONS:
            raise UnknownNameError(unknown_name("precision", precision, ["auto", *PRECISIONS]))
        return PRECISIONS[precision]
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # Every processor with AMX for bfloat16 has AVX-512 BF16 too. The public get_capabilities() is newer than the
        # oldest PyTorch that we support.
        native = torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


class NetworkEvaluator:
    """Scores positions of one game with a policy-value network; an ``AsynchronousEvaluator``.

    Args:
        game: the game whose ``observe`` feeds the network.
        network: maps float32 ``[B, C, H, W]`` to (logits ``[B, A]``, value ``[B]``); it is copied, not kept.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        precision: ``"auto"`` (``best_precision``), ``"fp32"`` or ``"bf16"``.
        max_batch: larger batches are evaluated in pieces of this size, which bounds memory.
        version: of the weights in ``network``.

    Raises:
        DeviceError, UnknownNameError: naming what this machine has.
    """

    cacheable = True

    def __init__(
        self,
        game: Game,
        network: nn.Module,
        *,
        device: str = "auto",
        precision: str = "auto",
        max_batch: int = 1024,
        version: int = 0,
    ) -> None:
        if max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, not {max_batch}.")
        self.version = version
        self.device = best_device(device)
        self.precision = best_precision(self.device, precision)
        self.max_batch = max_batch
        self._game = game
        self._num_actions = game.spec.num_actions
        # Weights arrive in float32 with their normalisation; this copy takes them, the inference copy is made from it.
        self._source = copy.deepcopy(network).to("cpu", torch.float32).eval().requires_grad_(False)
        self._network = self._inference_copy()

    @property
    def asynchronous(self) -> bool:
        """A GPU computes while the caller goes on."""
        return self.device.type == "cuda"

    def evaluate(self, states: Array, legal_action_mask: Array) -> Evaluation:
        """Scores ``states`` ``[B]``, any ``B``. The mask is not used: illegal moves keep the network's logits."""
        return self.submit(states, legal_action_mask)()

    def submit(self, states: Array, legal_action_mask: Array) -> Callable[[], Evaluation]:
        """Starts to score ``states``; see ``AsynchronousEvaluator``. On a CPU it is done when this returns."""
        observation = torch.from_numpy(self._game.observe(states))
        answers = torch.empty((len(observation), self._num_actions + 1), pin_memory=self.asynchronous)
        if self.asynchronous:
            # From and to pinned memory the GPU's copy engine needs no detour and nobody has to wait for it. PyTorch
            # gives such memory to others only once the copies that were asked for are done.
            observation = torch.empty_like(observation, pin_memory=True).copy_(observation)
        with torch.inference_mode():
            for start in range(0, len(observation), self.max_batch):
                piece = slice(start, start + self.max_batch)
                planes = observation[piece].to(self.device, non_blocking=True)
                planes = planes.to(dtype=self.precision, memory_format=torch.channels_last)
                logits, value = self._network(planes)
                answers[piece].copy_(torch.cat([logits, value[:, None]], dim=1), non_blocking=True)
        done = torch.cuda.current_stream(self.device).record_event() if self.asynchronous else None

        def answer() -> Evaluation:
            if done is not None:
                done.synchronize()
            return Evaluation(answers[:, :-1].numpy(), answers[:, -1].numpy())

        return answer

    def load_weights(self, weights: Mapping[str, Array | Tensor], version: int) -> None:
        """Takes new weights, named as in the network's ``state_dict()``, and the version they are.

        Raises:
            RuntimeError: names or shapes that are not the network's; the evaluator then goes on as it was.
        """
        # Arrays out of an object store are read-only, which PyTorch will not wrap: np.array copies them.
        self._source.load_state_dict(
            {name: w if isinstance(w, Tensor) else torch.from_numpy(np.array(w)) for name, w in weights.items()}
        )
        self._network = self._inference_copy()
        self.version = version

    def _inference_copy(self) -> nn.Module:
        network = fold_normalisation(self._source).requires_grad_(False).to(self.device)
        return in_precision(network, self.precision).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
