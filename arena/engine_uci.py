"""Our agents as UCI engines for chess programs, and as USI engines for those of shogi.

``go`` takes ``movetime``, ``wtime`` and the rest, ``byoyomi``, ``nodes`` (simulations), ``depth`` (plies of the main
line), ``infinite``, ``ponder`` and ``searchmoves``; of several limits, the first that is reached ends the search. In
``info``, ``depth`` is the length of the line, ``nodes`` are simulations, and ``score cp`` is what
``agents.engines.scores`` makes of the value.

Where a game would be drawn by a claim (such as of a third repetition), clients may play on. Then we think as if the
game began there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, TextIO

from agents.engines.scores import centipawns_of
from agents.search import Line
from arena.engine import UNLIMITED, Command, Player, Position, Server, Thought, TimeKeeper, start_of
from games import ArenaError, ParseError
from games.notation import LineProtocol, without_past

INFO_SECONDS = 0.5
"""Between two ``info`` at most."""

MIN_BYOYOMI = 0.1
"""Seconds a move that always suffice to look at one position at least."""

_NUMBERS = ("movetime", "nodes", "depth", "mate", "movestogo", "wtime", "btime", "winc", "binc", "byoyomi")
_FLAGS = ("infinite", "ponder")


@dataclass
class Go:
    """What ``go`` asked for.

    Attributes:
        numbers: by their words; times in milliseconds.
        flags: ``infinite``, ``ponder``.
        moves: of ``searchmoves``.
        started: when it came.
        deadline: until when to think, in ``time.monotonic``'s seconds; None = no such limit.
        hurry: there is no time to think at all.
    """

    started: float
    numbers: dict[str, int] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    moves: list[str] = field(default_factory=list)
    deadline: float | None = None
    hurry: bool = False

    @staticmethod
    def parse(command: Command) -> Go:
        """Reads the line ``go …``. Raises ParseError."""
        go, words = Go(command.came), command.text.split()[1:]
        while words:
            word = words.pop(0)
            if word in _FLAGS or (word == "mate" and words[:1] == ["infinite"]):
                go.flags.add(word if word in _FLAGS else "infinite")
            elif word in _NUMBERS and words:
                try:
                    go.numbers[word] = int(words.pop(0))
                except ValueError:
                    raise ParseError(f"go {word} needs a whole number") from None
            elif word == "searchmoves":
                while words and words[0] not in (*_NUMBERS, *_FLAGS):
                    go.moves.append(words.pop(0))
        return go  # what is not known is passed over, as the protocol has it


class UciServer(Server):
    """Speaks UCI or USI until ``quit``."""

    def __init__(self, protocol: LineProtocol, player: Player, source: BinaryIO, screen: TextIO) -> None:
        super().__init__(player, source, screen)
        self._protocol, self._clock = protocol, TimeKeeper()
        self._multi_pv = 1
        self._position: Position | None = None  # None: the start, unless what was told made no sense
        self._is_lost = False
        self._known: tuple[str, tuple[str, ...], Position] | None = None  # a start and moves, and where they lead
        self._stopping = False

    def run(self) -> None:
        """Answers commands. Raises ArenaError if the agent cannot be made."""
        while True:
            command = self._deferred.pop(0) if self._deferred else self.commands.next()
            assert command is not None
            words = command.text.split()
            while words and words[0] not in _COMMANDS and words[0] != self._protocol.name:
                words = words[1:]  # as the protocol has it, what is not known is passed over
            if words[:1] == ["quit"]:
                return
            if words:
                self._do(words[0], Command(" ".join(words), command.came))

    def _do(self, word: str, command: Command) -> None:
        if word == self._protocol.name:
            self._introduce()
        elif word == "isready":
            self._protocol.check(self.player.thinker.game)
            self.say("readyok")
        elif word in ("ucinewgame", "usinewgame"):
            self._clock.new_game()
            self.player.thinker.reset()
        else:
            try:
                {"setoption": self._set_option, "position": self._set_position, "go": self._go}[word](command)
            except ArenaError as error:
                self.say(f"info string error: {error}")
                if word == "go":
                    self.say(f"bestmove {self._no_move}")

    # ---- hello and options -------------------------------------------------------------------------------------------

    @property
    def _no_move(self) -> str:
        return "resign" if self._protocol.name == "usi" else "(none)"

    def _introduce(self) -> None:
        self.say(f"id name arena {self.player.spec}")
        self.say("id author the arena's authors")
        prefix = "USI_" if self._protocol.name == "usi" else ""
        for listed in (
            f"{prefix}Hash type spin default {self.player.megabytes:.0f} min 1 max 32768",
            f"{prefix}Ponder type check default false",
            "Clear Hash type button",
            "MultiPV type spin default 1 min 1 max 256",
            f"Move Overhead type spin default {1000 * self._clock.overhead:.0f} min 0 max 10000",
        ):
            self.say(f"option name {listed}")
        self.say(f"{self._protocol.name}ok")

    def _set_option(self, command: Command) -> None:
        name, _, value = command.text.partition(" name ")[2].partition(" value ")
        name, value = name.strip().lower(), value.strip()
        bounds = {"hash": (1, 32768), "usi_hash": (1, 32768), "multipv": (1, 256), "move overhead": (0, 10_000)}
        if name == "clear hash":
            self.player.thinker.reset()
        elif name in bounds:
            low, high = bounds[name]
            if not (value.isdecimal() and low <= int(value) <= high):
                raise ParseError(f"option {name!r} takes {low} to {high}, not {value[:40]!r}")
            if name == "multipv":
                self._multi_pv = int(value)
            elif name == "move overhead":
                self._clock.overhead = int(value) / 1000
            else:
                self.player.resize(int(value))
        elif name not in ("ponder", "usi_ponder"):  # which only tells what the client may do
            raise ParseError(f"there is no option {name[:40]!r}")

    # ---- positions ---------------------------------------------------------------------------------------------------

    def _set_position(self, command: Command) -> None:
        self._position, self._is_lost = None, True
        before, _, after = f"{command.text.partition(' ')[2]} ".partition(" moves ")
        start, moves = " ".join(before.split()), tuple(after.split())
        if self._known and self._known[0] == start and moves[: len(self._known[1])] == self._known[1]:
            position, known = self._known[2], len(self._known[1])  # only the last moves are new
        else:
            position, known = self._start(start), 0
        for word in moves[known:]:
            position = self._after(position, word)
        self._known = (start, moves, position)
        self._position, self._is_lost = self._going_on(position), False

    def _start(self, text: str) -> Position:
        game = self.player.thinker.game
        if text == "startpos":
            return start_of(game)
        word, _, rest = text.partition(" ")
        if word != self._protocol.position:
            raise ParseError(f"position needs startpos or {self._protocol.position}, not {word[:40]!r}")
        return Position(game.parse_state(rest), None)

    def _after(self, position: Position, word: str) -> Position:
        game = self.player.thinker.game
        position = self._going_on(position)
        return position.after(game, self._protocol.parse_move(game, position.state, word))

    def _going_on(self, position: Position) -> Position:
        """``position``, or, where the rules we play by ended the game by a claim, the same without its past."""
        if not position.is_over:
            return position
        return Position(without_past(self.player.thinker.game, position.states), None)

    # ---- thinking ----------------------------------------------------------------------------------------------------

    def _go(self, command: Command) -> None:
        go, thinker, position = Go.parse(command), self.player.thinker, self._position
        if self._is_lost:
            raise ParseError("there is no position to think about")
        if position is None:
            position = self._position = start_of(thinker.game)
        if self._protocol.name == "usi" and "mate" in go.numbers:
            self.say("checkmate notimplemented")
            return
        if position.is_over:
            self.say(f"bestmove {self._no_move}")
            return
        allowed = [self._protocol.parse_move(thinker.game, position.state, word) for word in go.moves] or None
        if "ponder" not in go.flags:
            go.deadline = self._deadline(go, position)
        self._stopping, told = False, _Told()

        def stop() -> bool:
            self._listen(go, position)
            if not self._stopping and told.is_due():
                thought = thinker.thought(self._multi_pv)
                self._report(position, thought, told)
                self._stopping = self._is_deep_enough(go, thought)
            late = go.deadline is not None and time.monotonic() >= go.deadline
            return self._stopping or late

        thinker.think(position, stop, 0 if go.hurry else max(go.numbers.get("nodes", UNLIMITED), 1), allowed)
        if not go.hurry:
            self._report(position, thinker.thought(self._multi_pv), told)
        while not self._stopping and go.flags:  # nobody has asked for the move yet
            self._listen(go, position, wait=True)
        line = thinker.thought().lines[0]
        self.say(f"bestmove {self._best(position, line)}")
        if go.deadline is not None:
            self._clock.answered(max(go.deadline - go.started, 0.0), time.monotonic() - go.started)

    def _is_deep_enough(self, go: Go, thought: Thought) -> bool:
        depth = go.numbers.get("depth", 2 * go.numbers.get("mate", 0))
        first = thought.lines[0]
        return depth > 0 and (len(first.moves) >= depth or first.ends)

    def _listen(self, go: Go, position: Position, *, wait: bool = False) -> None:
        """Looks for commands that are heeded during a search; others end it, and wait."""
        command = self.commands.next(wait=wait)
        if command is None:
            return
        word = command.text.split(" ")[0]
        if word == "isready":
            self.say("readyok")
        elif word == "ponderhit":
            go.flags.discard("ponder")
            go.started = command.came
            go.deadline = self._deadline(go, position)
        elif word == "stop":
            self._stopping = True
        elif word:
            self._deferred.append(command)
            self._stopping |= word == "quit"  # all others wait for the end

    def _deadline(self, go: Go, position: Position) -> float | None:
        numbers, deadlines = go.numbers, []
        if "infinite" in go.flags:
            return None
        if "movetime" in numbers:
            deadlines.append(max(numbers["movetime"] / 1000 - self._clock.overhead, 0.0))
        # In UCI white moves first, in USI black does.
        mine = ("wb" if self._protocol.name == "uci" else "bw")[int(position.states["to_play"][0])]
        left, increment = numbers.get(f"{mine}time"), numbers.get(f"{mine}inc", 0) / 1000
        byoyomi = max(numbers.get("byoyomi", 0) / 1000 - self._clock.overhead, 0.0)
        if left is not None or "byoyomi" in numbers:
            share = self._clock.allot((left or 0) / 1000, increment, numbers.get("movestogo", 0))
            go.hurry = share is None and byoyomi < MIN_BYOYOMI
            deadlines.append((share or 0.0) + 0.9 * byoyomi)
        if deadlines and self._is_forced(position):
            deadlines.append(0.0)
        return go.started + min(deadlines) if deadlines else None

    def _is_forced(self, position: Position) -> bool:
        return int(self.player.thinker.game.legal_action_mask(position.states).sum()) == 1

    # ---- what is said ------------------------------------------------------------------------------------------------

    def _report(self, position: Position, thought: Thought, told: _Told) -> None:
        rate = int(thought.simulations / max(thought.seconds, 1e-3))
        for number, line in enumerate(thought.lines, start=1):
            words = self._words(position, line.moves)
            self.say(
                f"info depth {len(words)} multipv {number} score cp {centipawns_of(line.value)} "
                f"nodes {thought.simulations} nps {rate} hashfull {int(1000 * thought.share_full)} "
                f"time {int(1000 * thought.seconds)} pv {' '.join(words)}"
            )
        told.now()

    def _words(self, position: Position, moves: Sequence[int]) -> list[str]:
        game, words = self.player.thinker.game, []
        for action in moves:
            words.append(self._protocol.move_text(game, position.state, action))
            position = position.after(game, action)
        return words

    def _best(self, position: Position, line: Line) -> str:
        words = self._words(position, line.moves[:2])
        return " ponder ".join(words)


class _Told:
    """When the client heard of the search last; later in a search it hears of it less often."""

    def __init__(self) -> None:
        self._at, self._every = time.monotonic(), 0.05

    def is_due(self) -> bool:
        return time.monotonic() >= self._at + self._every

    def now(self) -> None:
        self._at, self._every = time.monotonic(), min(2 * self._every, INFO_SECONDS)


_COMMANDS = ("isready", "ucinewgame", "usinewgame", "setoption", "position", "go", "quit")
