"""Trains a network on batches: Muon, a cosine, and the moving average of weights that plays.

``Trainer`` is that much for any network; ``Learner`` is the one for policy and value, from self-play or from games of
others. Its losses are AlphaZero's (Silver et al., 2018): cross-entropy of the policy and squared error of the value.
"""

from __future__ import annotations

import abc
import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from agents.network_evaluator import best_device, best_precision
from agents.networks.core import Classifier, NetworkConfig, PolicyValueNetwork, build_network
from agents.networks.equivariant import made_plain, make_equivariant, take_weights
from agents.networks.heads import OutcomeHead, answering_layers
from agents.pictures import PictureSpec
from arena.machine import keep_freed_memory
from arena.muon import Muon
from arena.records import SampleBatch
from games import ArenaError, GameSpec

if TYPE_CHECKING:
    from arena.config import OptimizerConfig

Weights = dict[str, np.ndarray]
NetworkT = TypeVar("NetworkT", PolicyValueNetwork, Classifier)
BatchT = TypeVar("BatchT")
_ILLEGAL_LOGIT = -1e9  # finite, so that a target of zero times its log-probability stays zero


class LearnerStateError(ArenaError):
    """A saved state of another learner: other tensors, or other shapes."""


@dataclass(frozen=True)
class Losses:
    """Means over the training steps since they were last asked for.

    Attributes:
        policy: cross-entropy of the policy with its target, in nats.
        value: squared error of the value.
        target_entropy: entropy of the policy targets, in nats; the policy loss cannot fall below it.
        policy_entropy: entropy of the network's policy over legal moves, in nats.
        gradient_norm: length of the gradient before it is clipped.
        steps: how many steps the means are over; with 0 the others are NaN.
    """

    policy: float
    value: float
    target_entropy: float
    policy_entropy: float
    gradient_norm: float
    steps: int


class Trainer(abc.ABC, Generic[NetworkT, BatchT]):
    """A network in training, its optimizers, and the moving average of its weights.

    Subclasses say what a batch is and what it loses.

    Args:
        spec: what the network is for.
        network_config: what network that is; a checkpoint keeps both.
        build: makes one, freshly initialised.
        config: how to train it.
        seed: what the first weights, and the units that are dropped at each step, are drawn from.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        precision: ``"auto"`` (bfloat16 where it is native), ``"fp32"`` or ``"bf16"``.
        threads: CPU threads of this process.

    Raises:
        ArenaError: a device that is not there, or a precision that does not exist.
    """

    parts: tuple[str, ...]
    """The names of what ``_loss`` reports."""

    def __init__(
        self,
        spec: GameSpec | PictureSpec,
        network_config: NetworkConfig,
        build: Callable[[], NetworkT],
        config: OptimizerConfig,
        seed: int,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int = 1,
    ) -> None:
        torch.set_num_threads(threads)
        keep_freed_memory()
        self.config = config
        self.network_config = network_config
        self.spec = spec
        self.device = best_device(device)
        self.precision = best_precision(self.device, precision)
        self.steps = 0
        self._build, self._seed = build, seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build()
        self.network: NetworkT = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.train()
        self._parameters = dict(self.network.named_parameters())
        self._optimizers = self._make_optimizers()
        self._average = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        self._drops = _drops_units(self.network)
        self._sums = torch.zeros(len(self.parts) + 1, device=self.device)
        self._summed_steps = 0

    def _make_optimizers(self) -> list[torch.optim.Optimizer]:
        """Muon for the weights of hidden layers, where the configuration says so, and AdamW for all else."""
        decay = self.config.weight_decay
        tables = [module for module in self.network.modules() if isinstance(module, nn.Embedding)]
        not_hidden = {p for layer in (*answering_layers(self.network), *tables) for p in layer.parameters()}
        hidden = [p for p in self._parameters.values() if p.ndim >= 2 and p not in not_hidden]
        if self.config.optimizer == "adamw":
            hidden = []
        others = [p for p in self._parameters.values() if p not in set(hidden)]
        groups = [
            {"params": [p for p in others if p.ndim >= 2], "weight_decay": decay},
            {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.999), fused=True)]
        if hidden:
            optimizers.append(Muon(hidden, lr=0.0, weight_decay=decay, precision=self.precision))
        return optimizers

    def learning_rate(self, progress: float) -> float:
        """The rate at ``progress`` in [0, 1] through the run: a linear warm-up by steps times a cosine by progress,
        which begins at ``decay_from``."""
        floor, begins = self.config.final_learning_rate, self.config.decay_from
        falling = min(max((progress - begins) / (1 - begins), 0.0), 1.0)
        cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * falling))
        warmup = min(1.0, (self.steps + 1) / max(1, self.config.warmup_steps))
        return self.config.learning_rate * warmup * cosine

    def step(self, batch: BatchT, progress: float) -> None:
        """One gradient update on ``batch``. What it lost is added up on the device; ``means`` reads the sum."""
        with self._drawing_units():
            loss, parts = self._loss(batch)
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._parameters.values(), self.config.gradient_clip)
        for optimizer in self._optimizers:
            scale = self.config.muon_scale if isinstance(optimizer, Muon) else 1.0
            for group in optimizer.param_groups:
                group["lr"] = scale * self.learning_rate(progress)
            optimizer.step()
        self.steps += 1
        self._summed_steps += 1
        self._sums += torch.stack([*parts, norm.detach()]).float()
        self._update_average()

    @abc.abstractmethod
    def _loss(self, batch: BatchT) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The loss of one batch, and the detached ``parts`` that are reported."""

    @contextlib.contextmanager
    def _drawing_units(self) -> Iterator[None]:
        """Within, dropped units are drawn from the seed and the step alone, so that a resumed run draws the same."""
        if not self._drops:
            yield
            return
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(int(np.random.SeedSequence([self._seed, self.steps]).generate_state(1)[0]))
            yield

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.precision)

    @torch.no_grad()
    def _update_average(self) -> None:
        # Early on the average is over few steps, so that it forgets the random weights it began with.
        decay = min(self.config.ema, (1 + self.steps) / (10 + self.steps))
        state = self.network.state_dict()
        floating = [name for name, tensor in state.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self._average[n] for n in floating], [state[n] for n in floating], 1 - decay)
        for name in state.keys() - set(floating):
            self._average[name].copy_(state[name])

    def means(self) -> tuple[dict[str, float], int]:
        """The means of ``parts`` and of the gradient's length since the last call, and over how many steps they are."""
        steps, self._summed_steps = self._summed_steps, 0
        means = (self._sums / steps).tolist() if steps else [math.nan] * len(self._sums)
        self._sums.zero_()
        return dict(zip((*self.parts, "gradient_norm"), means, strict=True)), steps

    @property
    def num_parameters(self) -> int:
        """How many numbers it learns."""
        return sum(parameter.numel() for parameter in self._parameters.values())

    # ---- weights and state -------------------------------------------------------------------------------------------

    def weights(self) -> Weights:
        """A copy of the newest weights, by name."""
        return _numpy(self._plain(self.network.state_dict()))

    def playing_weights(self) -> Weights:
        """A copy of the moving average of the weights, which is what plays, by name."""
        return _numpy(self._plain(self._average))

    def playing_network(self) -> NetworkT:
        """A network on the CPU, in evaluation mode, with ``playing_weights``."""
        network = self._build()
        network.load_state_dict({name: tensor.cpu() for name, tensor in self._average.items()})
        return made_plain(network).eval()

    def _plain(self, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """A state of ``network`` as whoever does not train knows it: what is tied written out."""
        if not self.network_config.equivariant:
            return state
        network = self._build()
        network.load_state_dict(state)
        return made_plain(network).state_dict()

    def start_from(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Takes the weights of another network before the first step.

        Raises:
            LearnerStateError, NetworkError: they are not those of a network of this shape, or not tied like this one's.
        """
        mine = self._plain(self.network.state_dict())
        if {name: t.shape for name, t in weights.items()} != {name: t.shape for name, t in mine.items()}:
            raise LearnerStateError(
                "The network to start from has another shape; leave the network settings out, and its own are used."
            )
        take_weights(self.network, weights)
        for name, tensor in self.network.state_dict().items():
            self._average[name].copy_(tensor)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
        """All that a resume needs: tensors by name, and counters."""
        tensors = {f"weights/{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self._average.items()}
        for optimizer, keys, name, parameter in self._optimized():
            moments = optimizer.state.get(parameter, {})
            tensors |= {f"{key}/{name}": moments.get(key, torch.zeros_like(parameter)) for key in keys}
        copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        return copies, {"steps": self.steps}

    def restore(self, tensors: Mapping[str, torch.Tensor], counters: Mapping[str, int]) -> None:
        """The inverse of ``state``.

        Raises:
            LearnerStateError: the state of another network.
        """
        expected, _ = self.state()
        for name, tensor in expected.items():
            if name not in tensors or tensors[name].shape != tensor.shape or tensors[name].dtype != tensor.dtype:
                raise LearnerStateError(
                    f"The saved learner has no {name} of shape {tuple(tensor.shape)}; resume with the network settings "
                    "that the run was started with."
                )
        self.steps = int(counters["steps"])
        prefix = "weights/"
        self.network.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
        for name, tensor in self._average.items():
            tensor.copy_(tensors[f"average/{name}"])
        for optimizer, keys, name, parameter in self._optimized() if self.steps else ():
            # The layout of the parameter (channels_last) decides the order of sums, and so the last bits.
            moments = {key: torch.empty_like(parameter).copy_(tensors[f"{key}/{name}"]) for key in keys}
            if not isinstance(optimizer, Muon):
                moments["step"] = torch.tensor(float(self.steps), device=self.device)
            optimizer.state[parameter] = moments

    def _optimized(self) -> Iterator[tuple[torch.optim.Optimizer, tuple[str, ...], str, torch.nn.Parameter]]:
        """Every parameter: its optimizer, the names of what that keeps of it, its own name, and itself."""
        names = {parameter: name for name, parameter in self._parameters.items()}
        for optimizer in self._optimizers:
            keys = ("momentum_buffer",) if isinstance(optimizer, Muon) else ("exp_avg", "exp_avg_sq")
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    yield optimizer, keys, names[parameter], parameter


class PlayerTrainer(Trainer[PolicyValueNetwork, BatchT]):
    """The trainer of a policy-value network, for ``Trainer``'s arguments without ``build``."""

    def __init__(
        self,
        spec: GameSpec,
        network_config: NetworkConfig,
        config: OptimizerConfig,
        seed: int,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int = 1,
    ) -> None:
        def build() -> PolicyValueNetwork:
            network = build_network(network_config, spec.observation_shape, spec.num_actions)
            if network_config.equivariant:
                make_equivariant(network, spec.name)
            return network

        options = {"device": device, "precision": precision}
        super().__init__(spec, network_config, build, config, seed, threads=threads, **options)

    def _value_losses(self, features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """What the value of each of ``features`` ``[B, …]`` loses against ``target`` ``[B]`` in [-1, 1].

        The squared error; or, where the head gives chances of outcomes, their cross-entropy with the surest outcomes
        whose mean is the target: 0.4 is a win with 0.4, else a draw.
        """
        with self._autocast():
            head = self.network.value
            if not isinstance(head, OutcomeHead):
                return (head(features).float() - target).square()
            logits = head.outcome_logits(features)
        chances = torch.stack([(-target).clamp(min=0), 1 - target.abs(), target.clamp(min=0)], dim=1)
        return F.cross_entropy(logits.float(), chances, reduction="none")


class Learner(PlayerTrainer[SampleBatch]):
    """Learns from single positions: those of self-play, or of games that others played."""

    parts = ("policy", "value", "target_entropy", "policy_entropy")

    def _loss(self, batch: SampleBatch) -> tuple[torch.Tensor, list[torch.Tensor]]:
        observation = self._tensor(batch.observation).contiguous(memory_format=torch.channels_last)
        mask, weight = self._tensor(batch.legal_action_mask), self._tensor(batch.weight)
        weight = weight / weight.sum().clamp(min=1e-6)
        with self._autocast():
            features = self.network.backbone(observation)
            logits = self.network.policy(features)
        # Of the 11,259 moves of shogi some fifty are legal; the others need not be looked at.
        legal = _Legal(mask)
        log_policy = F.log_softmax(legal.gather(logits, _ILLEGAL_LOGIT).float(), dim=1)
        target = legal.gather(self._tensor(batch.policy_target), 0.0)
        policy_loss = -(weight * (target * log_policy).sum(dim=1)).sum()
        value_loss = (weight * self._value_losses(features, self._tensor(batch.value_target))).sum()
        with torch.no_grad():
            target_entropy = (weight * torch.special.entr(target).sum(dim=1)).sum()
            policy_entropy = (weight * torch.special.entr(log_policy.exp()).sum(dim=1)).sum()
        parts = [policy_loss.detach(), value_loss.detach(), target_entropy, policy_entropy]
        return policy_loss + self.config.value_loss_weight * value_loss, parts

    def losses(self) -> Losses:
        """The means since the last call."""
        means, steps = self.means()
        return Losses(**means, steps=steps)


class _Legal:
    """Where the moves of a ``legal_action_mask`` ``[B, A]`` are, to have those of each row side by side."""

    def __init__(self, mask: torch.Tensor) -> None:
        self._row, self._action = mask.nonzero(as_tuple=True)
        counts = mask.sum(dim=1)
        self._place = torch.arange(len(self._row), device=mask.device) - (counts.cumsum(0) - counts)[self._row]
        self._shape = len(mask), int(counts.max())

    def gather(self, scores: torch.Tensor, filling: float) -> torch.Tensor:
        """``[B, L]``: the ``scores`` ``[B, A]`` of each row's moves from the left, then ``filling``."""
        packed = scores.new_full(self._shape, filling)
        packed[self._row, self._place] = scores[self._row, self._action]
        return packed


def _numpy(state: Mapping[str, torch.Tensor]) -> Weights:
    return {name: tensor.detach().cpu().contiguous().numpy().copy() for name, tensor in state.items()}


def _drops_units(network: nn.Module) -> bool:
    """Whether any layer drops units in training; layers say so as ``p`` (nn.Dropout) or ``dropout``."""
    shares = (module.__dict__.get("p" if isinstance(module, nn.Dropout) else "dropout") for module in network.modules())
    return any(isinstance(share, float) and share > 0 for share in shares)
