"""Every registered game keeps the contract, and the checker notices a game that does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import games
from games.connect_four import ConnectFour
from games.core import ILLEGAL_SCORE, Array, Game, Symmetry
from games.tic_tac_toe import TicTacToe


@pytest.mark.parametrize("name", games.available())
def test_contract(name: str) -> None:
    game = games.make(name)
    games.check_game(game, num_games=64 if game.spec.max_plies < 250 else 4)


class _FieldsInAnotherOrder(TicTacToe):
    dtype = np.dtype([("ply", "i2"), ("to_play", "i1"), ("terminated", "?"), ("winner", "i1"), ("board", "i1", 9)])


class _PlyTooNarrow(TicTacToe):
    dtype = np.dtype([("to_play", "i1"), ("terminated", "?"), ("ply", "i1"), ("board", "i1", 9)])


class _HoldsObjects(TicTacToe):
    dtype = np.dtype([("to_play", "i1"), ("terminated", "?"), ("ply", "i2"), ("board", "O")])


class _Padded(TicTacToe):
    dtype = np.dtype(
        [*((name, TicTacToe.dtype[name]) for name in TicTacToe.dtype.names or ()), ("x", "i8")], align=True
    )


class _OtherName(TicTacToe):
    def __init__(self) -> None:
        super().__init__()
        self.spec = dataclasses.replace(self.spec, name="noughts")


class _LongerThanItSays(TicTacToe):
    def __init__(self) -> None:
        super().__init__()
        self.spec = dataclasses.replace(self.spec, max_plies=7)


class _SharedStart(TicTacToe):
    def __init__(self) -> None:
        super().__init__()
        self._start = super().init(4096)

    def init(self, batch_size: int) -> Array:
        return self._start[:batch_size]


class _MaskAfterTheEnd(TicTacToe):
    def legal_action_mask(self, states: Array) -> Array:
        return states["board"] < 0


class _MaskOfIntegers(TicTacToe):
    def legal_action_mask(self, states: Array) -> Array:
        return super().legal_action_mask(states).astype(np.int8)


class _NoMoveLeft(TicTacToe):
    def legal_action_mask(self, states: Array) -> Array:
        return super().legal_action_mask(states) & (states["ply"] < 5)[:, None]


class _StepRefusesCorners(TicTacToe):
    def step(self, states: Array, actions: Array) -> None:  # type: ignore[override]
        if (np.asarray(actions) == 8).any():
            raise games.IllegalActionError("tic_tac_toe: no.")
        super().step(states, actions)


class _StepAcceptsAnything(TicTacToe):
    def step(self, states: Array, actions: Array) -> None:  # type: ignore[override]
        self.step_unchecked(states, np.clip(actions, 0, 8))


class _StepPlaysTheLegalPart(TicTacToe):
    def step(self, states: Array, actions: Array) -> None:  # type: ignore[override]
        for row in range(len(states)):
            super().step(states[row : row + 1], np.asarray(actions)[row : row + 1])


class _ErrorSaysNothing(TicTacToe):
    def _explain_illegal(self, state: np.void, action: int, mask: Array) -> str:
        return "Illegal."


class _CountsPliesTwice(TicTacToe):
    def step_unchecked(self, states: Array, actions: Array) -> None:
        super().step_unchecked(states, actions)
        states["ply"] += states["ply"] < 3


class _NoSuchSeat(TicTacToe):
    def step_unchecked(self, states: Array, actions: Array) -> None:
        super().step_unchecked(states, actions)
        states["to_play"][states["terminated"]] = -1


class _RemembersOutsideTheState(TicTacToe):
    """The winner is found from boards that the object keeps, so two games played by turns disturb each other."""

    def __init__(self) -> None:
        super().__init__()
        self._marks = np.zeros(2, dtype=np.int64)

    def step_unchecked(self, states: Array, actions: Array) -> None:
        super().step_unchecked(states, actions)
        self._marks[0] += 1
        states["last_action"] = self._marks[0] % 9


class _ObserveChangesStates(TicTacToe):
    def observe(self, states: Array) -> Array:
        states["last_action"] = -1
        return super().observe(states)


class _ObserveInDoubles(TicTacToe):
    def observe(self, states: Array) -> Array:
        return super().observe(states).astype(np.float64)


class _ObserveTooLarge(TicTacToe):
    def observe(self, states: Array) -> Array:
        return super().observe(states) * np.float32(2)


class _ObserveFromOneSide(TicTacToe):
    def observe(self, states: Array) -> Array:
        seats = np.arange(2)[None, :, None]
        return (states["board"][:, None, :] == seats).astype(np.float32).reshape(-1, 2, 3, 3)

    def hash(self, states: Array) -> Array:
        return (self.observe(states).reshape(-1, 18) @ (1 << np.arange(18))).astype(np.uint64)


class _ObserveForTheFirstRow(TicTacToe):
    def observe(self, states: Array) -> Array:
        one_side = states.copy()
        one_side["to_play"] = states["to_play"][:1] if len(states) else 0
        return super().observe(one_side)


class _BothWin(TicTacToe):
    def returns(self, states: Array) -> Array:
        return np.abs(super().returns(states))


class _ReturnsOverOne(TicTacToe):
    def returns(self, states: Array) -> Array:
        return 2 * super().returns(states)


class _ReturnsTooEarly(TicTacToe):
    def returns(self, states: Array) -> Array:
        returns = super().returns(states)
        returns[states["ply"] == 3] = (0.5, -0.5)
        return returns


class _ReturnsForOne(TicTacToe):
    def returns(self, states: Array) -> Array:
        return super().returns(states)[:, :1]


class _HashForgetsTheirs(TicTacToe):
    def hash(self, states: Array) -> Array:
        seen = states.copy()
        seen["board"][seen["board"] == 1 - seen["to_play"][:, None]] = -1
        return super().hash(seen)


class _HashKnowsTheLastMove(TicTacToe):
    def hash(self, states: Array) -> Array:
        return super().hash(states) + states["last_action"].astype(np.uint64)


class _HashIsSigned(TicTacToe):
    def hash(self, states: Array) -> Array:
        return super().hash(states).view(np.int64)


class _SymmetryOfThePlanesOnly(ConnectFour):
    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        identity, mirror = super().symmetries
        return (identity, Symmetry(mirror.observation_permutation, identity.action_permutation))


class _SymmetryWithoutIdentity(ConnectFour):
    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        return super().symmetries[1:]


class _SymmetryTwiceTheSameCell(ConnectFour):
    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        identity, mirror = super().symmetries
        return (identity, Symmetry(np.zeros_like(mirror.observation_permutation), mirror.action_permutation))


class _SymmetryWithInverseAction(TicTacToe):
    """A quarter turn whose actions turn the other way."""

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        turn = super().symmetries[1]
        return (super().symmetries[0], Symmetry(turn.observation_permutation, turn.image_of_action))


class _MovesWrittenAlike(TicTacToe):
    def action_to_string(self, state: np.void, action: int) -> str:
        return "abc"[action % 3]


class _MovesReadOffByOne(TicTacToe):
    def parse_action(self, state: np.void, text: str) -> int:
        return (super().parse_action(state, text) + 1) % 9


class _ReadsAnyMove(TicTacToe):
    def parse_action(self, state: np.void, text: str) -> int:
        return super().parse_action(state, text) if text.strip("\x00").isdigit() else 0


class _PositionForgetsPly(TicTacToe):
    def parse_state(self, text: str) -> Array:
        states = super().parse_state(text)
        states["ply"] = 0
        return states


class _PositionOverLines(TicTacToe):
    def state_to_string(self, state: np.void) -> str:
        return super().state_to_string(state).replace("/", "\n")


class _RefusesItsPositions(TicTacToe):
    def parse_state(self, text: str) -> Array:
        raise games.ParseError("Never.")


class _DrawsNothing(TicTacToe):
    def render(self, state: np.void, *, color: bool = False) -> str:
        return ""


class _AlwaysInColor(TicTacToe):
    def render(self, state: np.void, *, color: bool = False) -> str:
        return super().render(state, color=True)


class _SolvesForTheOther(TicTacToe):
    def solve(self, states: Array) -> Array:
        scores = super().solve(states)
        return np.where(scores == ILLEGAL_SCORE, scores, -scores)


class _SolvesIllegalMoves(TicTacToe):
    def solve(self, states: Array) -> Array:
        return np.maximum(super().solve(states), -100)


class _SolvesThoughItCannot(TicTacToe):
    can_solve = False


MUTANTS = {
    _FieldsInAnotherOrder: "begin with the fields",
    _PlyTooNarrow: "field ply is int8",
    _Padded: "padding bytes",
    _HoldsObjects: "Python objects",
    _OtherName: "not one of names",
    _LongerThanItSays: "beyond max_plies = 7",
    _SharedStart: "share memory",
    _MaskAfterTheEnd: "legal in a terminated game",
    _MaskOfIntegers: "not bool",
    _NoMoveLeft: "no action is legal",
    _StepRefusesCorners: "refused an action",
    _StepAcceptsAnything: "which the mask calls illegal",
    _StepPlaysTheLegalPart: "refused changed the states",
    _ErrorSaysNothing: "does not name",
    _CountsPliesTwice: "rise by one",
    _NoSuchSeat: "not a seat",
    _RemembersOutsideTheState: "batch of one",
    _ObserveChangesStates: "changes the states",
    _ObserveInDoubles: "not float32",
    _ObserveTooLarge: "not within",
    _ObserveFromOneSide: "point of view",
    _ObserveForTheFirstRow: "batch of one",
    _BothWin: "add up to zero",
    _ReturnsOverOne: "within",
    _ReturnsTooEarly: "before the game is over",
    _ReturnsForOne: "not float32",
    _HashForgetsTheirs: "share a hash",
    _HashKnowsTheLastMove: "different hashes",
    _HashIsSigned: "not uint64",
    _SymmetryOfThePlanesOnly: "symmetry 1",
    _SymmetryWithoutIdentity: "not the identity",
    _SymmetryTwiceTheSameCell: "not a permutation",
    _SymmetryWithInverseAction: "symmetry 1",
    _MovesWrittenAlike: "written alike",
    _MovesReadOffByOne: "does not undo action_to_string",
    _ReadsAnyMove: "accepts",
    _PositionForgetsPly: "does not undo state_to_string",
    _PositionOverLines: "one line",
    _RefusesItsPositions: "refuses a position",
    _DrawsNothing: "draws nothing",
    _AlwaysInColor: "although color is False",
    _SolvesForTheOther: "solve disagrees",
    _SolvesIllegalMoves: "mark just the illegal",
    _SolvesThoughItCannot: "yet solve answers",
}


@pytest.mark.parametrize(("mutant", "rule"), MUTANTS.items(), ids=lambda value: getattr(value, "__name__", None))
def test_broken_game_is_caught(mutant: type[Game], rule: str) -> None:
    with pytest.raises(games.GameContractError, match=rule) as caught:
        games.check_game(mutant(), num_games=16)
    assert str(caught.value).count("\n") == 0
    assert mutant().spec.name in str(caught.value)
