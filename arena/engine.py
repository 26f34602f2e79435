"""Our agents as engines: what UCI, USI and GTP have in common.

There are no threads: between two waves of its search an engine looks whether a line has come, so that ``stop`` and
``isready`` are heeded within milliseconds.
"""

from __future__ import annotations

import collections
import dataclasses
import gc
import os
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TextIO

import numpy as np

import agents
import games
from agents import registry
from agents.core import Agent, Array, act
from agents.histories import History
from agents.search import Analysis, Analyst, Line
from games import ArenaError, Game
from games.notation import UCI, USI, family, without_past

FIRST_SLICE = 32
"""Simulations of the first slice of a search whose end is not known; each slice is twice as long as the last."""

UNLIMITED = 1 << 60

_HORIZON = 40  # moves that the time that is left is shared out to
_RESERVE = 0.2  # of the time for the game, at most so many seconds, is kept for accidents
_MOST_RESERVE = 1.0


# ---- what comes in ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """A line, and when it came, in ``time.monotonic``'s seconds."""

    text: str
    came: float


class Commands:
    """The lines of a file that was opened for reading, such as a pipe."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source.fileno()  # whose own buffer would hide from select what it holds
        self._unread = b""
        self._lines: collections.deque[Command] = collections.deque()

    def next(self, *, wait: bool = True) -> Command | None:
        """The next line; None if there is none yet and ``wait`` is False. The end of the file reads as ``quit``."""
        while not self._lines:
            if not wait and not select.select([self._source], [], [], 0)[0]:
                return None
            data = os.read(self._source, 1 << 16)
            *lines, self._unread = (self._unread + (data or b"\nquit\n")).split(b"\n")
            now = time.monotonic()
            self._lines.extend(Command(line.decode(errors="replace").strip(), now) for line in lines)
        return self._lines.popleft()


# ---- time ------------------------------------------------------------------------------------------------------------


class TimeKeeper:
    """How long to think, so that the clock never runs out.

    It keeps a part of the game's time for accidents, and learns from the clock what a move costs beyond the time that
    was allotted: the way to whoever holds the clock and back, the network's last batch, a busy machine. Times are in
    seconds.

    Args:
        overhead: what a move is taken to cost before that is known.
        resolution: the clock is told in multiples of this, so that less than it can be missing for no reason.
    """

    def __init__(self, overhead: float = 0.01, resolution: float = 0.0) -> None:
        self.overhead, self._resolution = overhead, resolution
        self._cost, self._worst = 0.0, 0.0
        self.new_game()

    def new_game(self) -> None:
        """Forgets the clock of the last game; what moves cost stays true."""
        self._most = 0.0
        self._after: float | None = None  # what the clock would show by now if moves cost nothing
        self._late = 0.0  # what the last move cost, as far as can be seen without the clock

    def allot(self, left: float, increment: float = 0.0, moves_to_go: int = 0) -> float | None:
        """For one move, 0 or more: ``left`` on the clock, ``increment`` after the move, and perhaps more time after
        ``moves_to_go`` moves (0 = never). None: there is no time to think at all, not even of one position."""
        if self._after is not None:
            cost = self._after - left - self._resolution
            self._learn(cost if self._late <= cost < self._after else self._late)
        self._most, self._after, self._late = max(self._most, left), None, 0.0
        if left < max(8 * self._cost, 2 * self._worst, 2 * self.overhead):
            return None  # nothing is learnt from such moves, which cost less than others
        self._after = left + increment
        cost, moves = max(self._cost, self.overhead), min(moves_to_go or _HORIZON, _HORIZON)
        kept = min(_RESERVE * self._most, _MOST_RESERVE) + 2 * self._worst
        usable = max(left - kept - moves * max(cost - increment, 0.0), 0.0)
        return min(usable / moves + 0.75 * max(increment - cost, 0.0), usable)

    def answered(self, allotted: float, seconds: float) -> None:
        """The move that had ``allotted`` went out after ``seconds``."""
        if self._after is not None:
            self._after -= min(seconds, allotted)
            self._late = max(seconds - allotted, 0.0)

    def _learn(self, cost: float) -> None:
        self._cost += 0.2 * (cost - self._cost)
        self._worst = max(cost, 0.8 * self._worst)


# ---- thinking --------------------------------------------------------------------------------------------------------


@dataclass
class Position:
    """Where a game stands.

    Attributes:
        states: ``[1]``.
        moves: actions from the game's own start; None if it began elsewhere.
    """

    states: Array
    moves: tuple[int, ...] | None

    @property
    def state(self) -> np.void:
        return self.states[0]

    @property
    def is_over(self) -> bool:
        return bool(self.states["terminated"][0])

    def after(self, game: Game, action: int) -> Position:
        """The position after a legal move."""
        states = self.states.copy()
        game.step_unchecked(states, np.array([action]))
        return Position(states, None if self.moves is None else (*self.moves, action))


def start_of(game: Game) -> Position:
    """Where a game begins."""
    return Position(game.init(1), ())


@dataclass(frozen=True)
class Thought:
    """What a search says at some moment.

    Attributes:
        lines: the best moves, the one to play first.
        simulations: made for this answer.
        seconds: taken for it.
        share_full: of the memory for the tree, 0 to 1.
    """

    lines: tuple[Line, ...]
    simulations: int
    seconds: float
    share_full: float


class Thinker:
    """An agent that thinks about one position until it is told to stop.

    Agents without a search, and those with one that cannot be interrupted, answer as they always do.
    """

    def __init__(self, agent: Agent, game: Game, rng: np.random.Generator, megabytes: float) -> None:
        self.agent, self.game, self._rng = agent, game, rng
        self.resize(megabytes)
        self._answer: tuple[Line, ...] = ()
        self._simulations, self._started = 0, 0.0

    @property
    def usual_simulations(self) -> int:
        """What the agent does for a move when nobody sets it a limit."""
        return self._analysis.config.simulations if self._analysis else 1

    def resize(self, megabytes: float) -> None:
        """Starts with a new tree, of at most so many megabytes."""
        self._analysis: Analysis | None = None
        if isinstance(self.agent, Analyst):
            self._analysis = self.agent.analysis(self._rng, megabytes)

    def reset(self) -> None:
        """Forgets everything about earlier positions."""
        self.agent.reset()
        if self._analysis:
            self._analysis.reset()

    def think(
        self, position: Position, stop: Callable[[], bool], simulations: int, allowed: Sequence[int] | None = None
    ) -> None:
        """Thinks about ``position``, until ``stop()`` is true, ``simulations`` are made or memory is full.

        ``stop`` is asked every millisecond or so, and may look at ``thought``. With ``allowed`` no other move is
        considered. No simulations are for when there is no time: a winning move if one can be seen, or any.
        """
        self._simulations, self._started, self._answer = 0, time.monotonic(), ()
        if simulations < 1:
            self._answer = (self._glance(position, allowed),)
            return
        if self._analysis is None:
            self._answer = (self._ask(position, allowed),)
            return
        states = position.states
        if isinstance(self._analysis.game, History):
            if position.moves is None:
                raise ArenaError(f"{self.agent.name} plays by the moves from the start of a game, which are not known.")
            moves = np.array([position.moves], np.int64)
            states = self._analysis.game.remember(states, moves, np.array([moves.shape[1]]))
        self._analysis.look_at(states, allowed)
        length = simulations if simulations < UNLIMITED else FIRST_SLICE
        while self._simulations < simulations and not stop():
            made = self._analysis.think(min(length, simulations - self._simulations), stop)
            self._simulations += made
            if not made:
                return
            length *= 2

    def thought(self, count: int = 1) -> Thought:
        """What the search says of the ``count`` best moves."""
        lines = self._answer or (tuple(self._analysis.lines(count)) if self._analysis else ())
        share_full = self._analysis.share_full if self._analysis else 0.0
        under_way = self._analysis.under_way if self._analysis else 0
        return Thought(lines, self._simulations + under_way, time.monotonic() - self._started, share_full)

    def _glance(self, position: Position, allowed: Sequence[int] | None) -> Line:
        """A move that wins at once, or a random one."""
        actions = np.array(allowed or np.flatnonzero(self.game.legal_action_mask(position.states)[0]))
        children = np.repeat(position.states, len(actions))
        self.game.step_unchecked(children, actions)
        results = self.game.returns(children)[:, position.states["to_play"][0]]
        best = np.flatnonzero(results == results.max())
        pick = int(self._rng.choice(best))
        return Line((int(actions[pick]),), 0, float(results[pick]), 1 / len(best), bool(results[pick] > 0))

    def _ask(self, position: Position, allowed: Sequence[int] | None) -> Line:
        moves = np.array([position.moves or ()], np.int64)
        result = act(self.agent, position.states, moves, np.array([moves.shape[1]]), self._rng, np.array([0]))
        action = int(result.action[0])
        if allowed is not None and action not in allowed:  # of those it may play, the one that it likes best
            action = max(allowed, key=lambda other: float(result.action_weights[0, other]))
        self._simulations = max(int(result.visit_counts[0].sum()), 1)
        return Line(
            (action,), self._simulations, float(result.value[0]), float(result.action_weights[0, action]), False
        )


# ---- who plays -------------------------------------------------------------------------------------------------------


class Player:
    """An agent by its spec, made when it is needed: loading a network takes longer than clients wait for a first word.

    Args:
        spec: as ``agents.make`` takes it.
        game: what is played; None = what the network was trained on, or else ``default``.
        seed: of its random numbers.

    Raises:
        ArenaError: there is no such agent, or its options are wrong. What else it lacks shows in ``thinker``.
    """

    def __init__(self, spec: str, game: str | None, default: str, seed: int) -> None:
        self.spec, self.megabytes = spec, 256.0
        kind, _, rest = spec.strip().partition(":")
        self._declared = registry.kind(kind)
        self._options = registry.parse_options(self._declared, rest)
        if kind == "human":
            raise ArenaError("A person cannot be the engine: the protocol is what is typed there.")
        self.is_network = kind == "net"
        self._name, self._default, self._seed = game, default, seed
        self._trained: str | None = None  # the game of the network
        self._thinker: Thinker | None = None

    @property
    def name(self) -> str:
        """Of the game, with its options."""
        return self._name or self.thinker.game.spec.name

    @property
    def thinker(self) -> Thinker:
        """The agent, made and warmed up."""
        if self._thinker is None:
            self.choose_game(self._name or self._network_game() or self._default)
        assert self._thinker is not None
        return self._thinker

    def choose_game(self, name: str) -> None:
        """Plays another game from now on: ``go_19x19:komi=6.5``. Raises ArenaError where the agent cannot."""
        game = games.make(name)
        trained = self._network_game()
        if trained is not None and _without_komi(trained) == _without_komi(name):
            # The planes do not tell the komi, so the network plays as with its own; the score is that of the game.
            game.spec = dataclasses.replace(game.spec, name=trained)
        thinker = Thinker(agents.make(self.spec, game), game, np.random.default_rng(self._seed), self.megabytes)
        _warm_up(thinker)
        self._name, self._thinker = name, thinker

    def resize(self, megabytes: float) -> None:
        """Gives the tree so much memory, and forgets it."""
        self.megabytes = megabytes
        if self._thinker is not None:
            self._thinker.resize(megabytes)

    def _network_game(self) -> str | None:
        if self.is_network and self._trained is None:
            from pathlib import Path

            from agents.network_evaluator import use_one_thread
            from agents.networks.description import read_description
            from agents.networks.files import find_network

            use_one_thread()
            self._trained = read_description(find_network(Path(self._options.path)))[0].game
        return self._trained


def _without_komi(name: str) -> str:
    base, _, options = name.partition(":")
    return ":".join([base, *(option for option in options.split(",") if option and not option.startswith("komi="))])


def _warm_up(thinker: Thinker) -> None:
    """Compiles or loads all that is needed for a move, so that the clock of no game pays for it."""
    game, position = thinker.game, start_of(thinker.game)
    for _ in range(2):
        thinker.think(position, lambda: False, 8)
        action = thinker.thought(2).lines[0].moves[0]
        game.parse_action(position.state, game.action_to_string(position.state, action))
        for protocol in (UCI, USI):
            if protocol.family == family(game):
                protocol.parse_move(game, position.state, protocol.move_text(game, position.state, action))
        position = position.after(game, action)
    thinker.think(position, lambda: False, 0)
    without_past(game, position.states)
    thinker.reset()
    gc.collect()
    gc.freeze()  # what was loaded stays; collecting it again and again would cost moves 50 milliseconds


# ---- what goes out ---------------------------------------------------------------------------------------------------


class Server:
    """A protocol's other end. A subclass answers commands and says what to do with those that come during a search."""

    def __init__(self, player: Player, source: BinaryIO, screen: TextIO) -> None:
        self.player, self.commands = player, Commands(source)
        self._screen = screen
        self._deferred: list[Command] = []  # that came during a search

    def say(self, text: str) -> None:
        """Writes text and an end of line, at once."""
        self._screen.write(f"{text}\n")
        self._screen.flush()
