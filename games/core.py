"""What a game is: its spec, its interface and its errors.

Axes, used in every docstring of the project: ``B`` games, ``A`` actions, ``P`` players (seats),
``T`` plies, ``C, H, W`` observation planes, ``N`` tree nodes.

A game is a set of functions over *structured arrays*: one array of shape ``[B]`` holds ``B`` positions, and
every function works on all of them at once. One game is simply ``B = 1``. The interface follows the split of
rules and environment shell in pgx (Koyamada et al., 2023).
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

REQUIRED_FIELDS = ("to_play", "terminated", "ply")
"""The fields that every game's state dtype begins with."""


class ArenaError(Exception):
    """An error caused by what somebody typed or gave. The command line prints it as one sentence, exit code 2."""


class UnknownNameError(ArenaError):
    """A name that is not registered; the message lists what is, nearest match first."""


class IllegalActionError(ArenaError):
    """An action that the rules do not allow in the given position."""


class ParseError(ArenaError):
    """A text that is not a move or a position of the game."""


class UnsupportedError(ArenaError):
    """A capability that this game does not have, such as an exact solver."""


class EndReason(enum.IntEnum):
    """Why a game stopped. A draw is a result of 0.0 *and* one of these reasons, never a sentinel value."""

    ONGOING = 0
    WIN = 1
    DRAW = 2
    RESIGNATION = 3
    FORFEIT = 4
    TRUNCATED = 5


@dataclass(frozen=True)
class GameSpec:
    """The facts about a game that everyone downstream needs.

    Attributes:
        name: the name that ``games.make`` takes, such as ``"connect_four"``.
        version: raised whenever the rules, the actions or the planes change; old shards and checkpoints then say so.
        num_players: ``P``, 1 or 2.
        num_actions: ``A``; actions are the integers ``0 … A - 1``.
        observation_shape: ``(C, H, W)``.
        max_plies: no game is longer.
    """

    name: str
    version: int
    num_players: int
    num_actions: int
    observation_shape: tuple[int, int, int]
    max_plies: int


@dataclass(frozen=True)
class Symmetry:
    """One symmetry of the board, as two permutations.

    Attributes:
        observation_permutation: int64 ``[H * W]``; plane cell ``i`` of the image is cell ``permutation[i]`` of the
            original, for every plane: ``image.reshape(C, -1) = original.reshape(C, -1)[:, permutation]``.
        action_permutation: int64 ``[A]``; likewise for anything indexed by actions:
            ``image_policy = policy[action_permutation]``.
    """

    observation_permutation: Array
    action_permutation: Array

    @property
    def image_of_cell(self) -> Array:
        """int64 ``[H * W]``: where each cell comes to lie; the inverse of ``observation_permutation``."""
        return np.argsort(self.observation_permutation)

    @property
    def image_of_action(self) -> Array:
        """int64 ``[A]``: what becomes of each action; the inverse of ``action_permutation``."""
        return np.argsort(self.action_permutation)


class Game(abc.ABC):
    """The rules of one game, over structured arrays of states ``[B]``.

    To add a game, write one module in ``games/`` with one subclass; nothing else is edited. ``names`` lists what
    ``games.make`` accepts, and the constructor takes the name that was asked for, and options of the game's own (komi).
    The state ``dtype`` starts with ``to_play`` (int8, the seat to move), ``terminated`` (bool) and ``ply`` (int16);
    everything else is the game's. It has no padding bytes: the search compares states byte for byte.
    """

    names: tuple[str, ...] = ()
    spec: GameSpec
    dtype: np.dtype

    # ---- rules -------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def init(self, batch_size: int) -> Array:
        """Starting positions, ``[B]`` of ``dtype``."""

    @abc.abstractmethod
    def legal_action_mask(self, states: Array) -> Array:
        """bool ``[B, A]``, True = legal; all False once terminated."""

    @abc.abstractmethod
    def step_unchecked(self, states: Array, actions: Array) -> None:
        """Plays ``actions`` (int ``[B]``) in place. The caller vouches that each is legal: the search calls this."""

    @abc.abstractmethod
    def observe(self, states: Array) -> Array:
        """float32 ``[B, C, H, W]`` in [-1, 1], from the point of view of ``to_play``."""

    @abc.abstractmethod
    def returns(self, states: Array) -> Array:
        """float32 ``[B, P]`` in [-1, 1], by seat; zeros until terminated."""

    @abc.abstractmethod
    def hash(self, states: Array) -> Array:
        """uint64 ``[B]``: equal if and only if a network would see the same thing and the same moves are legal."""

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        """Every symmetry of the board, the identity first. Games without any keep this default."""
        _, height, width = self.spec.observation_shape
        return (Symmetry(np.arange(height * width), np.arange(self.spec.num_actions)),)

    def step(self, states: Array, actions: Array | Sequence[int]) -> None:
        """Plays ``actions`` in place after checking every one of them; nothing is played when one is illegal.

        Raises:
            IllegalActionError: names the game, the ply and the action.
        """
        actions = np.asarray(actions, dtype=np.int64)
        if actions.shape != states.shape:
            raise IllegalActionError(
                f"{self.spec.name}: {states.shape[0]} games need {states.shape[0]} actions, not an array of shape "
                f"{actions.shape}."
            )
        in_range = (actions >= 0) & (actions < self.spec.num_actions)
        mask = self.legal_action_mask(states)
        legal = in_range & mask[np.arange(len(states)), np.where(in_range, actions, 0)]
        if not legal.all():
            row = int(np.argmin(legal))
            raise IllegalActionError(self._explain_illegal(states[row], int(actions[row]), mask[row]))
        self.step_unchecked(states, actions)

    def _explain_illegal(self, state: np.void, action: int, mask: Array) -> str:
        where = f"{self.spec.name}, ply {int(state['ply'])}: action {action}"
        if state["terminated"]:
            return f"{where} is illegal because the game is over."
        legal = ", ".join(str(int(a)) for a in np.flatnonzero(mask)[:12])
        more = ", …" if mask.sum() > 12 else ""
        return f"{where} is illegal; legal actions are {legal}{more}."

    # ---- text --------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def render(self, state: np.void, *, color: bool = False) -> str:
        """The board as a person reads it, with coordinates and the last move; ANSI colours if ``color``."""

    @abc.abstractmethod
    def action_to_string(self, state: np.void, action: int) -> str:
        """The move as players write it."""

    @abc.abstractmethod
    def parse_action(self, state: np.void, text: str) -> int:
        """The inverse of ``action_to_string``. Raises ParseError or IllegalActionError, saying what is accepted."""

    @abc.abstractmethod
    def state_to_string(self, state: np.void) -> str:
        """The position as one line of text (FEN for chess, a board diagram elsewhere)."""

    @abc.abstractmethod
    def parse_state(self, text: str) -> Array:
        """The inverse of ``state_to_string``: states ``[1]``. Raises ParseError on anything no game could reach."""

    # ---- optional: counting and ground truth -------------------------------------------------------------------

    def perft(self, states: Array, depth: int) -> int | None:
        """What ``games.perft`` is to answer for ``states`` ``[B]`` and ``depth`` >= 1; None: it counts by masks.

        For games with a kernel of their own to count with, and for those whose masks also heed rules that ``perft``
        does not, such as draws by repetition.
        """
        return None

    can_solve: bool = False

    def solve(self, states: Array) -> Array:
        """Exact scores int32 ``[B, A]``: the sign is the outcome for the mover, higher is better, and a sooner win
        or a later loss scores better. Illegal moves are ``ILLEGAL_SCORE``.

        Raises:
            UnsupportedError: this game has no exact solver.
        """
        raise UnsupportedError(f"{self.spec.name} has no exact solver.")


ILLEGAL_SCORE = np.int32(-(2**30))
"""What ``Game.solve`` puts where a move is illegal; below every score."""


def start_symmetries(game: Game) -> list[Symmetry]:
    """The symmetries of the board that also leave the start of the game as it is: what whole games may be turned by."""
    states = game.init(1)
    planes = game.observe(states)[0].reshape(game.spec.observation_shape[0], -1)
    legal = game.legal_action_mask(states)[0]
    return [
        symmetry
        for symmetry in game.symmetries
        if np.array_equal(planes[:, symmetry.observation_permutation], planes)
        and np.array_equal(legal[symmetry.action_permutation], legal)
    ]
