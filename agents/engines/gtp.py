"""Engines that speak GTP, such as GNU Go and GRhino: ``gtp:gnugo --mode gtp,level=5``, ``gtp:gtp-rhino -l 2``.

Options that are not ours are commands that the engine lists, sent once at its start: ``level=5`` is ``level 5``. Games
are scored by our rules. For Go those are Tromp and Taylor's, to which an engine must be told to hold itself:
``gtp:gnugo --mode gtp --chinese-rules --positional-superko --play-out-aftermath --capture-all-dead``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from agents.core import Array
from agents.engines.agent import Choice, Course, Engine, EngineAgent, EngineOptions, Question
from agents.engines.process import MAX_LINE, EngineError
from agents.registry import AgentKind
from games import ArenaError, Game, UnknownNameError
from games.notation import COLORS, GTP_NAMES, board_size, check_gtp, family, parse_vertex, plays_to, vertex
from games.registry import unknown_name

_GO_ONLY = ("fixed_handicap", "place_free_handicap", "final_status_list")
"""Commands that tell a Go program, which would take the moves of any other game for its own."""


class RefusalError(EngineError):
    """An engine's answer to a command is that it failed."""


class GtpEngine(Engine):
    """One engine process, past its hello and with its options set."""

    def __init__(self, game: Game, options: EngineOptions) -> None:
        check_gtp(game)
        self._commands: frozenset[str] = frozenset()
        super().__init__(game, options)

    def say_hello(self) -> None:
        version = self._ask("protocol_version")
        if version.strip() != "2":
            raise self.process.error(f"speaks version {version[:20]!r} of GTP, not 2")
        self._commands = frozenset(self._ask("list_commands").split())
        for command in ("boardsize", "clear_board", "play", "genmove"):
            if command not in self._commands:
                raise self.process.error(f"does not list the command {command!r}, without which there is no game")
        self._check_game()
        for command, value in self.options.others:
            if command not in self._commands:
                raise UnknownNameError(unknown_name(f"command of {self.options.command!r}", command, self._commands))
            self._ask(f"{command} {value}")
        self._ask(f"boardsize {board_size(self.game)}")
        if family(self.game) == "go":
            self._ask(f"komi {self.game.komi:g}")  # type: ignore[attr-defined]  # Go has it
        if "time_settings" in self._commands:
            if self.options.movetime:  # as overtime, of so many seconds for one move
                self._ask(f"time_settings 0 {math.ceil(self.options.movetime / 1000)} 1")
            elif times := self.options.times():  # GTP has no increments, but is told what is left before each move
                self._ask(f"time_settings {math.ceil(times[0])} 0 0")

    def choose(self, question: Question) -> Choice:
        state, course = question.states[0], question.course
        self._set_up(self._plays(question.states, question.moves))
        color = COLORS[int(state["to_play"])]
        if "set_random_seed" in self._commands:
            self._ask(f"set_random_seed {question.seed}")
        if self.options.clock and "time_left" in self._commands:
            self._ask(f"time_left {color} {int(course.left)} 0")
        started = time.monotonic()
        word = self._ask(f"genmove {color}", course)
        seconds = time.monotonic() - started
        if word.strip().lower() == "resign":
            return Choice(-1, seconds)
        try:
            return Choice(parse_vertex(self.game, state, word), seconds)
        except ArenaError as error:
            raise self.process.error(f"answered {word[:40]!r} to genmove, which is no legal move ({error})") from None

    def _set_up(self, plays: Sequence[tuple[int, int]]) -> None:
        """Puts the position on the board. All commands are sent at once, to save the way there and back."""
        empty = self.game.init(1)[0]
        points = [vertex(self.game, empty, action) for _, action in plays]
        commands = [f"play {COLORS[seat]} {point}" for (seat, _), point in zip(plays, points, strict=True)]
        self.process.forget()
        self.process.send("\n".join(["clear_board", *commands]))
        self._answer("clear_board", self.deadline())
        for command, point in zip(commands, points, strict=True):
            try:
                self._answer(command, self.deadline())
            except RefusalError:
                if point != "pass" or family(self.game) == "go":
                    raise  # elsewhere a player passes who must, and some programs know that by themselves

    def _plays(self, states: Array, moves: Sequence[int] | None) -> list[tuple[int, int]]:
        """Moves (seat, action) from the empty board to ``states`` ``[1]``: ``moves``, if that is what they are."""
        replayed, plays = self.game.init(1), []
        for action in moves or ():
            if not self.game.legal_action_mask(replayed)[0, action]:
                break
            plays.append((int(replayed["to_play"][0]), action))
            self.game.step_unchecked(replayed, np.array([action]))
        same = len(plays) == states["ply"][0] and (self.game.hash(replayed) == self.game.hash(states))[0]
        return plays if same else plays_to(self.game, states[0])

    def _check_game(self) -> None:
        """Raises ArenaError if the program would play another game than ours."""
        name = GTP_NAMES[family(self.game)]
        if "list_games" in self._commands:
            listed = self._ask("list_games").split("\n")
            if name.lower() not in [line.strip().lower() for line in listed]:
                raise ArenaError(f"{self.options.command!r} plays {', '.join(listed)[:200]}, not {name}.")
            if "set_game" in self._commands:
                self._ask(f"set_game {name}")
        elif name != "Go" and any(command in self._commands for command in _GO_ONLY):
            raise ArenaError(f"{self.options.command!r} plays Go, not {name}.")

    def _ask(self, command: str, course: Course | None = None) -> str:
        """Sends a command and returns its answer, without the mark; a move's is given the time of its ``course``."""
        self.process.forget()
        self.process.send(command)
        return self._answer(command, self.move_deadline(course) if course else self.deadline())

    def _answer(self, command: str, deadline: float) -> str:
        """What the engine has to say to a command that it was sent. Raises RefusalError where that is a complaint."""
        what, first = f"answer to {command!r}", ""
        while not first.startswith(("=", "?")):  # what programs print besides is no answer
            first = self.process.receive(deadline, what)
        answer = first[1:].strip()
        while line := self.process.receive(deadline, what):
            answer += f"\n{line}"
            if len(answer) > MAX_LINE:
                raise self.process.error(f"gave no end of its {what}")
        if first.startswith("?"):
            raise RefusalError(f"{self.options.command!r} answered {answer[:100]!r} to {command!r}.")
        return answer.strip()


def build(spec: str, game: Game, options: EngineOptions) -> EngineAgent:
    """An agent that plays with an engine."""
    return EngineAgent(spec, game, options, lambda: GtpEngine(game, options))


KIND = AgentKind(
    "gtp",
    "an engine that speaks GTP, for Go and other games",
    EngineOptions,
    build,
    argument="command",
    others="others",
)
