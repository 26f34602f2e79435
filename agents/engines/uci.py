"""Engines that speak UCI, such as Stockfish: ``uci:stockfish,elo=1500,movetime=100``.

Options that are not ours are the engine's own (``Hash=64``, ``Skill Level=3``). Each must be one that the engine lists,
with a value that it lists; so must the variant, which engines that do not know it would quietly take for chess.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from agents.engines.agent import Choice, Engine, EngineAgent, EngineOptions, Question
from agents.engines.scores import value_of
from agents.registry import AgentKind, option
from games import ArenaError, Game, UnknownNameError
from games.notation import UCI, LineProtocol
from games.registry import unknown_name

DEFAULT_MOVETIME = 100


@dataclass(frozen=True)
class UciOptions(EngineOptions):
    """What ``uci:COMMAND,…`` and ``usi:COMMAND,…`` accept; without any limit a move may take 100 milliseconds."""

    nodes: int = option(0, "positions to look at for a move; 0 = no such limit", low=0)
    depth: int = option(0, "plies to look ahead; 0 = no such limit", low=0, high=1000)
    elo: int = option(0, "how strong it is to be (UCI_LimitStrength and UCI_Elo); 0 = as it can", low=0, high=10_000)


@dataclass(frozen=True)
class Listed:
    """An option as an engine lists it.

    Attributes:
        name: with capitals and spaces as the engine has them.
        kind: check, spin, combo, button, string (in USI also filename).
        low, high: of a spin; infinite where none is given.
        choices: of a combo.
    """

    name: str
    kind: str
    low: float
    high: float
    choices: tuple[str, ...]

    @staticmethod
    def parse(line: str) -> Listed | None:
        """Reads ``option name Hash type spin default 16 min 1 max 1024``; None if it is something else."""
        head, found, rest = line.partition(" type ")
        if not found or not head.startswith("option name "):
            return None
        words = rest.split()
        name, kind = head.removeprefix("option name ").strip(), words[0] if words else ""
        bounds = {"min": -math.inf, "max": math.inf}
        choices: list[str] = []
        for at, word in enumerate(words[:-1]):
            if word in bounds and kind == "spin" and (number := _number(words[at + 1])) is not None:
                bounds[word] = number
        if kind == "combo":
            choices = [" ".join(choice.split()) for choice in f" {rest} ".split(" var ")[1:]]
        return Listed(name, kind, bounds["min"], bounds["max"], tuple(choices))

    def check(self, command: str, value: str) -> str:
        """``value`` as the engine writes it. Raises ArenaError, saying what it takes."""
        takes = ""
        if self.kind == "spin":
            number = _number(value)
            takes = f"a whole number from {self.low:g} to {self.high:g}"
            if number is not None and self.low <= number <= self.high:
                return value
        elif self.kind in ("combo", "check"):
            choices = self.choices if self.kind == "combo" else ("true", "false")
            takes = ", ".join(choices)
            if match := [choice for choice in choices if choice.lower() == value.lower()]:
                return match[0]
        elif self.kind != "button" or not value:
            return value
        else:
            takes = "no value"
        raise ArenaError(f"Option {self.name!r} of {command!r} takes {takes}, not {value!r}.")


class UciEngine(Engine):
    """One engine process, past its hello and with its options set."""

    def __init__(self, game: Game, options: UciOptions, protocol: LineProtocol = UCI) -> None:
        protocol.check(game)
        self._protocol, self._options, self._limits = protocol, options, _limits(options)
        self._number = 0  # of the game that it thought about last
        super().__init__(game, options)

    def choose(self, question: Question) -> Choice:
        state, course = question.states[0], question.course
        if not (self.options.clock and course.number == self._number):
            # By the clock an engine may remember the game; with other limits a move depends on the position alone.
            self.process.send(f"{self._protocol.name}newgame")
        self._number = course.number
        self._wait_until_ready()
        self.process.send(f"position {self._protocol.position_text(self.game, state)}")
        self.process.send(f"go {self._limits or self._clocks(course.left)}")
        started, deadline = time.monotonic(), self.move_deadline(course)
        value = math.nan
        while True:
            words = self.process.receive(deadline, "bestmove").split()
            if words[:1] == ["info"] and "score" in words:
                value = _score(words, value)
            elif words[:1] == ["bestmove"]:
                seconds = time.monotonic() - started
                return Choice(self._action(state, words[1] if len(words) > 1 else ""), seconds, value)

    def _action(self, state: np.void, word: str) -> int:
        if word == "resign":
            return -1
        try:
            return self._protocol.parse_move(self.game, state, word)
        except ArenaError as error:
            raise self.process.error(f"answered 'bestmove {word[:40]}', which is no legal move ({error})") from None

    def _clocks(self, left: float) -> str:
        times = self.options.times()
        assert times is not None
        # What the other side has is not known here; engines use it little, if at all.
        mine, increment = max(int(1000 * left), 1), int(1000 * times[1])
        return f"wtime {mine} btime {mine} winc {increment} binc {increment}"

    def _wait_until_ready(self) -> None:
        self.process.forget()
        self.process.send("isready")
        deadline = self.deadline()
        while self.process.receive(deadline, "readyok").strip() != "readyok":
            pass
        self.process.forget()

    def say_hello(self) -> None:
        options = self._options
        name = self._protocol.name
        self.process.send(name)
        listed: dict[str, Listed] = {}
        deadline = self.deadline()
        while (line := self.process.receive(deadline, f"{name}ok").strip()) != f"{name}ok":
            if found := Listed.parse(line):
                listed[found.name.lower()] = found
        wanted = dict(options.others)
        if options.elo:
            wanted |= {"UCI_LimitStrength": "true", "UCI_Elo": str(options.elo)}
        for key in wanted.keys() & {"UCI_Variant", "USI_Variant", "UCI_Chess960"}:
            raise ArenaError(f"{options.command!r} plays {self._protocol.family} here; leave {key} out.")
        # An engine for many games plays ours if it lists it; one that lists none is for what its protocol was made for.
        wanted |= {found.name: self._protocol.family for key, found in listed.items() if key.endswith("i_variant")}
        for key, value in wanted.items():
            if key.lower() not in listed:
                names = [found.name for found in listed.values()]
                raise UnknownNameError(unknown_name(f"option of {options.command!r}", key, names))
            found = listed[key.lower()]
            text = found.check(options.command, value)
            self.process.send(f"setoption name {found.name}" + (f" value {text}" if found.kind != "button" else ""))
        self._wait_until_ready()


def _limits(options: UciOptions) -> str:
    """What follows ``go``; "" if that is the clocks."""
    given = {"movetime": options.movetime, "nodes": options.nodes, "depth": options.depth}
    if not any(given.values()) and not options.clock:
        given["movetime"] = DEFAULT_MOVETIME
    return "" if options.clock else " ".join(f"{name} {value}" for name, value in given.items() if value)


def _score(words: list[str], before: float) -> float:
    """The value that an ``info`` line tells; ``before`` if it is of another line or not to be read."""
    at = words.index("score")
    number = _number(words[at + 2]) if len(words) > at + 2 else None
    if "multipv" in words[:-1] and words[words.index("multipv") + 1] != "1":
        return before
    if words[at + 1 : at + 2] == ["mate"]:  # in USI perhaps without a number
        text = words[at + 2] if len(words) > at + 2 else "+"
        return -1.0 if text.startswith("-") or text == "0" else 1.0
    return before if number is None else value_of(number)


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def build(spec: str, game: Game, options: UciOptions) -> EngineAgent:
    """An agent that plays with an engine."""
    return EngineAgent(spec, game, options, lambda: UciEngine(game, options))


KIND = AgentKind("uci", "an engine that speaks UCI, for chess", UciOptions, build, argument="command", others="others")
