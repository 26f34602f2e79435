"""What an agent is, what scores positions for it, and the two records that flow out of them.

Axes: ``B`` games, ``A`` actions, ``P`` players (seats). ``value`` is always for the player to move, in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from games import ArenaError, EndReason

Array = np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator thinks of ``B`` positions.

    Attributes:
        prior_logits: float32 ``[B, A]``; finite, and only meaningful where the move is legal.
        value: float32 ``[B]``, for the player to move.
    """

    prior_logits: Array
    value: Array


@dataclass(frozen=True)
class SearchResult:
    """What an agent chose in ``B`` positions, and why.

    Attributes:
        action: int64 ``[B]``, the move to play.
        action_weights: float32 ``[B, A]``; each row is a distribution over legal moves, the target that a policy
            should learn. A row of zeros means "do not learn from this position".
        value: float32 ``[B]``, the agent's estimate for the player to move.
        visit_counts: int32 ``[B, A]``; zeros when the agent does not search.
    """

    action: Array
    action_weights: Array
    value: Array
    visit_counts: Array


class ForfeitError(ArenaError):
    """An agent cannot, or will not, go on with some of the games it was asked about; the others are not concerned.

    Attributes:
        ends: by row of the states it was given: FORFEIT or RESIGNATION, and why in one sentence.
        result: what it chose in all ``[B]`` rows; -1 in those.
    """

    def __init__(self, ends: Mapping[int, tuple[EndReason, str]], result: SearchResult) -> None:
        super().__init__(next(reason for _, reason in ends.values()))
        self.ends, self.result = dict(ends), result


class Evaluator(Protocol):
    """Scores positions of one game. ``version`` changes whenever its answers would: caches are keyed by it."""

    @property
    def version(self) -> int: ...

    @property
    def cacheable(self) -> bool:
        """Whether a position always gets the same answer while the version stays."""
        ...

    def evaluate(self, states: Array, legal_action_mask: Array) -> Evaluation:
        """Scores states ``[B]`` whose legal moves are bool ``[B, A]``; none is terminated."""
        ...


@runtime_checkable
class AsynchronousEvaluator(Evaluator, Protocol):
    """An evaluator that may compute elsewhere, as on a GPU, while the search goes on."""

    @property
    def asynchronous(self) -> bool:
        """Whether it does; otherwise ``submit`` computes at once and gains nothing."""
        ...

    def submit(self, states: Array, legal_action_mask: Array) -> Callable[[], Evaluation]:
        """Starts what ``evaluate`` does. What is returned waits for the answer and gives it."""
        ...


class Agent(Protocol):
    """Chooses moves for a whole batch of positions."""

    name: str

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        """Chooses a move in every one of ``states`` ``[B]``, none of which is terminated.

        ``slots`` (int64 ``[B]``) says which of the caller's games each row belongs to, so that an agent that keeps
        a search tree between moves finds it again; without it the agent starts afresh.

        Raises:
            ForfeitError: the agent gives up some of the games, and has moves for the others.
        """
        ...

    def reset(self) -> None:
        """Forgets everything carried from earlier moves."""
        ...


@runtime_checkable
class PatientAgent(Agent, Protocol):
    """An agent that thinks about many games at once and answers each as soon as it is ready.

    Its network then always sees a full batch, where ``act`` has to wait for the slowest game with ever fewer others.
    """

    def begin(self, states: Array, rng: np.random.Generator, slots: Array, simulations: int | None = None) -> None:
        """Starts to think about ``states`` ``[B]`` of the games ``slots`` ``[B]``, none of which is thought about, with
        so many simulations of each if that is not to be as usual."""
        ...

    def finished(self) -> tuple[Array, SearchResult]:
        """Thinks until at least one game is ready (if any was begun): the slots, in order, and what it chose there."""
        ...


@runtime_checkable
class ForgettingAgent(Agent, Protocol):
    """An agent that carries something from move to move of a game, and is told when it is of no more use."""

    def forget(self, slots: Array) -> None:
        """New games begin in ``slots`` ``[B]``: what is known of the old ones there must not touch them."""
        ...


@runtime_checkable
class HistoryAgent(Agent, Protocol):
    """An agent that plays by the moves of a game and not by its position, such as a language model of games."""

    def act_after(
        self, states: Array, moves: Array, plies: Array, rng: np.random.Generator, slots: Array | None = None
    ) -> SearchResult:
        """What ``act`` does, in games whose moves from the start were the first ``plies`` (int ``[B]``) of each row of
        ``moves`` (int ``[B, T]``)."""
        ...


@runtime_checkable
class RemarkingAgent(Agent, Protocol):
    """An agent that has something to say of its play beside the results."""

    def remark(self) -> str:
        """One sentence; "" where there is nothing to say."""
        ...


def act(
    agent: Agent, states: Array, moves: Array, plies: Array, rng: np.random.Generator, slots: Array | None = None
) -> SearchResult:
    """Asks an agent, and tells it the moves so far if it plays by them; see ``HistoryAgent.act_after``."""
    if isinstance(agent, HistoryAgent):
        return agent.act_after(states, moves, plies, rng, slots)
    return agent.act(states, rng, slots)


def value_for_player(value: Array, to_play: Array, player: Array | int) -> Array:
    """The one conversion between a mover's ``value`` and a seat's: the sign flips where the seat is not the mover.

    It flips on a *change of player*, never on depth, so that single-player games, passes and extra turns are right.
    """
    return np.where(np.asarray(to_play) == player, value, -np.asarray(value))
