"""What all engines have in common as agents: whose turn it is, clocks, and what happens when one fails.

Every move is asked for afresh, with the whole position told anew, so that it depends on nothing but the position (as
far as the engine itself is deterministic): not on the games beside it, their order, or a restart. One process therefore
serves all games, one after the other; ``processes=4`` deals the games out to four.

An engine that dies, hangs, is too slow or plays an illegal move loses that game and is started again for the next.
"""

from __future__ import annotations

import abc
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from agents.core import Array, ForfeitError, SearchResult
from agents.engines.process import EngineError, EngineProcess
from agents.registry import option
from games import ArenaError, EndReason, Game

CLOCK_MARGIN = 0.05
"""Seconds that an engine may use beyond its clock: the way there and back is not its fault."""


@dataclass(frozen=True)
class EngineOptions:
    """What every engine accepts."""

    command: str = option("", "the program and its arguments, as typed in a shell")
    movetime: int = option(0, "milliseconds for a move; 0 = no such limit", low=0, high=86_400_000)
    clock: str = option("", "seconds for the game and, after a plus sign, for each move, as in 60+0.6")
    processes: int = option(1, "how many of it run at once, for different games", low=1, high=1024)
    timeout: float = option(10.0, "seconds that an answer may take, a move's beyond movetime", low=0.01, high=86_400)
    others: tuple[tuple[str, str], ...] = option((), "anything that the engine itself lists, as in Hash=64")

    def __post_init__(self) -> None:
        if not self.command:
            raise ArenaError("An engine needs a command, as in uci:stockfish or gtp:gnugo --mode gtp.")
        if self.movetime and self.clock:
            raise ArenaError(f"Engine {self.command!r} was given both movetime and clock; give one of them.")
        self.times()

    def times(self) -> tuple[float, float] | None:
        """Seconds for the game and for each move, as ``clock`` says."""
        if not self.clock:
            return None
        base, plus, increment = self.clock.partition("+")
        try:
            seconds = float(base), float(increment) if plus else 0.0
        except ValueError:
            seconds = (math.nan, math.nan)
        if not (0 < seconds[0] <= 1e6 and 0 <= seconds[1] <= 1e6):
            raise ArenaError(f"Engine {self.command!r} has the clock {self.clock!r}; write seconds, as in 60+0.6.")
        return seconds


@dataclass
class Course:
    """An engine's side of one game.

    Attributes:
        number: a different one for every game.
        left: seconds on the engine's clock; infinite without one.
        moves: the actions that were played when it was asked last.
    """

    number: int
    left: float
    moves: tuple[int, ...] = ()


@dataclass(frozen=True)
class Question:
    """One position for an engine to move in.

    Attributes:
        states: ``[1]``.
        moves: actions that led to it, perhaps from a position other than the game's own start; None if not known.
        course: of the game.
        seed: for engines that take one.
    """

    states: Array
    moves: Sequence[int] | None
    course: Course
    seed: int


@dataclass(frozen=True)
class Choice:
    """What an engine answered.

    Attributes:
        action: the move; -1: it resigns.
        seconds: how long it took.
        value: for the player to move, if it said so.
    """

    action: int
    seconds: float
    value: float = math.nan


class Engine(abc.ABC):
    """One running program and its protocol. A subclass says hello, asks for moves and reads them."""

    def __init__(self, game: Game, options: EngineOptions) -> None:
        self.game, self.options = game, options
        self.process = EngineProcess(options.command)
        try:
            self.say_hello()
        except ArenaError:
            self.process.close()
            raise

    @abc.abstractmethod
    def say_hello(self) -> None:
        """Starts the protocol and sets all options. Raises ArenaError where the engine has no such option."""

    @abc.abstractmethod
    def choose(self, question: Question) -> Choice:
        """The engine's move. Raises EngineError for whatever is no legal move in time."""

    def move_deadline(self, course: Course) -> float:
        """Until when a move must be there that is asked for now."""
        if math.isfinite(course.left):
            return time.monotonic() + course.left + CLOCK_MARGIN
        return time.monotonic() + self.options.movetime / 1000 + self.options.timeout

    def deadline(self) -> float:
        """Until when any other answer must be there."""
        return time.monotonic() + self.options.timeout


class EngineAgent:
    """Engines as a ``HistoryAgent``.

    Args:
        spec: the name.
        game: what is played.
        options: the engine's.
        connect: starts one.

    Raises:
        ArenaError: it cannot be started, or an option is not one that it has.
    """

    def __init__(self, spec: str, game: Game, options: EngineOptions, connect: Callable[[], Engine]) -> None:
        self.name = spec
        self._game, self._options, self._connect = game, options, connect
        self._times = options.times()
        self._engines: list[Engine | None] = [connect(), *[None] * (options.processes - 1)]
        self._threads = ThreadPoolExecutor(options.processes) if options.processes > 1 else None
        self._courses: dict[int, Course] = {}
        self._games = 0

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        """Moves in positions whose past is not known, so that each is the first of a game. Raises ForfeitError."""
        courses = [self._new_course() for _ in states]
        return self._answer(states, [None] * len(states), courses, rng, np.arange(len(states)))

    def act_after(
        self, states: Array, moves: Array, plies: Array, rng: np.random.Generator, slots: Array | None = None
    ) -> SearchResult:
        """Asks for a move in every one of ``states`` ``[B]``; see ``HistoryAgent``.

        Raises:
            ForfeitError: the engine failed, or gave up, in some of them; it holds the moves in the others.
        """
        if slots is None:
            self.reset()
        games = np.arange(len(states)) if slots is None else slots
        played = [tuple(moves[row, : plies[row]].tolist()) for row in range(len(states))]
        courses = [self._course(slot, played[row]) for row, slot in enumerate(games.tolist())]
        return self._answer(states, played, courses, rng, games)

    def forget(self, slots: Array) -> None:
        """See ``ForgettingAgent``: new games have new clocks."""
        for slot in slots.tolist():
            self._courses.pop(slot, None)

    def reset(self) -> None:
        """Forgets all games; the processes stay."""
        self._courses.clear()

    def close(self) -> None:
        """Ends the processes, which otherwise end with the agent."""
        for number in range(len(self._engines)):
            self._drop(number)
        if self._threads:
            self._threads.shutdown()

    def _answer(
        self,
        states: Array,
        moves: Sequence[Sequence[int] | None],
        courses: Sequence[Course],
        rng: np.random.Generator,
        games: Array,
    ) -> SearchResult:
        rows = len(states)
        seeds = rng.integers(0, 2**31 - 1, size=rows)
        actions, values = np.full(rows, -1, np.int64), np.full(rows, np.nan, np.float32)
        ends: dict[int, tuple[EndReason, str]] = {}

        def play(number: int) -> None:
            for row in np.flatnonzero(games % self._options.processes == number).tolist():
                try:
                    question = Question(states[row : row + 1], moves[row], courses[row], int(seeds[row]))
                    choice = self._ask(number, question)
                except ArenaError as error:
                    self._drop(number)
                    ends[row] = EndReason.FORFEIT, str(error)
                    continue
                actions[row], values[row] = choice.action, choice.value
                if choice.action < 0:
                    ends[row] = EndReason.RESIGNATION, f"{self.name} resigned."

        if self._threads is None:
            play(0)
        else:
            list(self._threads.map(play, range(self._options.processes)))
        weights = np.zeros((rows, self._game.spec.num_actions), np.float32)
        moved = np.flatnonzero(actions >= 0)
        weights[moved, actions[moved]] = 1.0
        result = SearchResult(actions, weights, values, np.zeros(weights.shape, np.int32))
        if ends:
            raise ForfeitError(ends, result)
        return result

    def _ask(self, number: int, question: Question) -> Choice:
        engine = self._engines[number]
        if engine is None:
            engine = self._engines[number] = self._connect()
        course = question.course
        choice = engine.choose(question)
        if self._times:
            if choice.seconds > course.left + CLOCK_MARGIN:
                raise EngineError(
                    f"{self.name} lost on time: its move took {choice.seconds:.2f} s, and it had {course.left:.2f} s."
                )
            course.left = max(course.left - choice.seconds, 0.0) + self._times[1]
        return choice

    def _drop(self, number: int) -> None:
        engine, self._engines[number] = self._engines[number], None
        if engine is not None:
            engine.process.close()

    def _course(self, slot: int, moves: tuple[int, ...]) -> Course:
        """The course of the game in ``slot``: the one there, if its moves go on in ``moves``, else a new one."""
        course = self._courses.get(slot)
        if course is None or len(moves) <= len(course.moves) or moves[: len(course.moves)] != course.moves:
            course = self._courses[slot] = self._new_course()
        course.moves = moves
        return course

    def _new_course(self) -> Course:
        self._games += 1
        return Course(self._games, self._times[0] if self._times else math.inf)
