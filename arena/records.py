"""The records that flow from room to room: game → search → trajectory → replay → learner → checkpoint → match."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from games import EndReason

Array = np.ndarray


@dataclass(frozen=True)
class Pairing:
    """One game to be played.

    Attributes:
        number: which game of the run or tournament this is.
        seats: for each seat, the index of the agent that sits there.
        opening: actions played before anyone chooses.
        seed: what the opening, or in a tournament the whole game, is drawn from.
        start: the position that the opening begins in, as the game writes it; "" = the game's own start.
        to_the_end: whether nobody may give it up.
        max_plies: at how many plies, the opening included, it is cut; 0 = where the rules have it.
        simulations: how many an agent that searches makes per move in the first ``simulations_plies`` plies; 0 = as
            many as it makes anyway.
    """

    number: int
    seats: tuple[int, ...]
    opening: tuple[int, ...] = ()
    seed: int = 0
    start: str = ""
    to_the_end: bool = False
    max_plies: int = 0
    simulations: int = 0
    simulations_plies: int = 0


@dataclass(frozen=True)
class Trajectory:
    """One finished game. The moves are enough to rebuild every position, so no planes are kept.

    Attributes:
        pairing: who sat where, and the opening.
        moves: int32 ``[T]``, the opening included.
        policy_lengths: int32 ``[T]``, how many entries each ply's policy target has; 0 = nothing to learn there.
        policy_actions: int32 ``[sum(policy_lengths)]``, the actions of the targets, ply after ply.
        policy_weights: float32, as ``policy_actions``; each ply's entries sum to 1.
        root_values: float32 ``[T]``, the search's value for the player to move; NaN where nobody searched.
        returns: float32 ``[P]``, by seat, in [-1, 1].
        end_reason: how it ended.
        terminated: the rules ended it (otherwise it was truncated by us).
        weights_version: the oldest network version that chose a move in it.
        note: what there is to say about the end: who gave up and why, or how it was adjudicated.
    """

    pairing: Pairing
    moves: Array
    policy_lengths: Array
    policy_actions: Array
    policy_weights: Array
    root_values: Array
    returns: Array
    end_reason: EndReason
    terminated: bool
    weights_version: int
    note: str = ""


@dataclass(frozen=True)
class SampleBatch:
    """What the learner sees: ``B`` positions and their targets.

    Attributes:
        observation: float32 ``[B, C, H, W]``.
        legal_action_mask: bool ``[B, A]``.
        policy_target: float32 ``[B, A]``, rows sum to 1.
        value_target: float32 ``[B]``, for the player to move.
        weight: float32 ``[B]``, of each position in the loss.
    """

    observation: Array
    legal_action_mask: Array
    policy_target: Array
    value_target: Array
    weight: Array


@dataclass(frozen=True)
class MatchRecord:
    """One finished game of a match or tournament, as one line of JSON keeps it.

    Attributes:
        agents: the agents' names by seat.
        number: which of the games with these seats it is. The agents' other game with this number, seats swapped, has
            the same opening: the two are a pair.
        start: the position it began in, as the game writes it; "" = the game's own start.
        opening: actions played before anyone chose.
        moves: every action, the opening included.
        values: what the player of each move expected, in [-1, 1]; None where nobody said.
        returns: by seat, in [-1, 1].
        end_reason: how it ended, in lower case.
        note: what there is to say about the end: who gave up and why, or how it was adjudicated.
        seed: what all its random numbers came from.
    """

    agents: tuple[str, ...]
    number: int
    start: str
    opening: tuple[int, ...]
    moves: tuple[int, ...]
    values: tuple[float | None, ...]
    returns: tuple[float, ...]
    end_reason: str
    note: str
    seed: int

    def points_of(self, name: str) -> float:
        """1 for a win of ``name``, ½ for a draw, 0 for a loss."""
        return (float(np.sign(self.returns[self.agents.index(name)])) + 1.0) / 2.0
