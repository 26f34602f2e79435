"""Our agents as GTP engines, version 2, for programs such as GoGui, Sabaki and Lizzie.

Colours need not alternate: where the rules know a pass, one is put in for the player who is left out. ``undo`` takes
back what one command did. The score is that of our rules; for Go, Tromp and Taylor's, by which all stones are alive.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TextIO

import games
from arena.engine import UNLIMITED, Player, Position, Server, Thought, TimeKeeper, start_of
from arena.gtp_analysis import COLOR_WORDS, Request, analysis_line, read_color, read_integer, read_request
from games import ArenaError, Game, ParseError
from games.notation import COLORS, GTP_NAMES, board_size, chains, check_gtp, family, parse_vertex, score_text, vertex

_USED_SHARE = 0.9  # of overtime


@dataclass
class Clock:
    """A player's, as ``time_settings`` and ``time_left`` tell; in seconds.

    Attributes:
        overtime: a period of it, which is for ``stones`` moves; no stones = there is none.
        left: of the main time, or of the present period.
        stones_left: in the present period; 0 = it is main time.
    """

    overtime: float
    stones: int
    left: float
    stones_left: int = 0

    def use(self, seconds: float) -> None:
        """A move took so long."""
        self.left -= seconds
        was_overtime, self.stones_left = self.stones_left > 0, max(self.stones_left - 1, 0)
        if self.stones and not self.stones_left and (was_overtime or self.left <= 0):
            self.left, self.stones_left = self.overtime, self.stones


class GtpServer(Server):
    """Speaks GTP until ``quit``."""

    def __init__(self, player: Player, source: BinaryIO, screen: TextIO) -> None:
        super().__init__(player, source, screen)
        self._keepers = TimeKeeper(resolution=1.0), TimeKeeper(resolution=1.0)  # time_left has whole seconds
        self._settings: tuple[float, float, int] | None = None  # of time_settings
        self._clocks: list[Clock] | None = None
        self._past: list[Position] = []
        self._number = ""  # of the command that is being answered
        self._answers: dict[str, Callable[[list[str]], str | None]] = {
            "protocol_version": lambda _: "2",
            "name": lambda _: "arena",
            "version": lambda _: self.player.spec,
            "known_command": lambda words: "true" if words and words[0] in self._answers else "false",
            "list_commands": lambda _: "\n".join(sorted(self._answers)),
            "quit": lambda _: "",
            "list_games": lambda _: GTP_NAMES[family(self._game)],
            "set_game": self._set_game,
            "boardsize": self._boardsize,
            "query_boardsize": lambda _: str(board_size(self._game)),
            "clear_board": self._clear_board,
            "komi": self._komi,
            "get_komi": lambda _: f"{getattr(self._game, 'komi', 0.0):g}",
            "play": self._play,
            "genmove": lambda words: self._genmove(words, keep=True),
            "reg_genmove": lambda words: self._genmove(words, keep=False),
            "undo": self._undo,
            "set_free_handicap": self._handicap,
            "loadsgf": self._loadsgf,
            "time_settings": self._time_settings,
            "time_left": self._time_left,
            "final_score": lambda _: score_text(self._game, self._position.state),
            "final_status_list": self._status_list,
            "showboard": lambda _: "\n" + self._game.render(self._position.state),
        }
        for style in ("lz", "kata"):
            self._answers[f"{style}-analyze"] = lambda words, style=style: self._analyze(words, style)
            self._answers[f"{style}-genmove_analyze"] = lambda words, style=style: self._genmove_analyze(words, style)

    def run(self) -> None:
        """Answers commands. Raises ArenaError if the agent cannot be made."""
        check_gtp(self._game)
        while True:
            command = self._deferred.pop(0) if self._deferred else self.commands.next()
            assert command is not None
            words = command.text.partition("#")[0].replace("\t", " ").split()
            self._number = number = words.pop(0) if words and words[0].isdecimal() else ""
            if not words:
                continue
            try:
                if words[0] not in self._answers:
                    raise ParseError("unknown command")
                answer = self._answers[words[0]](words[1:])
                if answer is None:  # it has spoken for itself
                    self.say("")
                    continue
                mark = "="
            except ArenaError as error:
                mark, answer = "?", str(error)
            self.say(f"{mark}{number} {answer}\n")
            if words[0] == "quit":
                return

    # ---- the game ----------------------------------------------------------------------------------------------------

    @property
    def _game(self) -> Game:
        return self.player.thinker.game

    @property
    def _position(self) -> Position:
        if not self._past:
            self._past.append(start_of(self._game))  # to the same list, which somebody may be about to append to
        return self._past[-1]

    def _renew(self, name: str) -> None:
        """Plays the game ``name`` from its start."""
        if name != self.player.name:
            self.player.choose_game(name)
        self._clear_board([])

    def _clear_board(self, words: list[str]) -> str:
        del words
        self._past = [start_of(self._game)]
        self.player.thinker.reset()
        for keeper in self._keepers:
            keeper.new_game()
        self._clocks = self._settings and _new_clocks(*self._settings)
        return ""

    def _set_game(self, words: list[str]) -> str:
        if " ".join(words).lower() != GTP_NAMES[family(self._game)].lower():
            raise ParseError("unsupported game")
        return ""

    def _boardsize(self, words: list[str]) -> str:
        size, (base, colon, options) = read_integer(words, 0, "boardsize needs a size"), self.player.name.partition(":")
        wanted = base if size == board_size(self._game) else f"{family(self._game)}_{size}x{size}"
        if wanted not in games.available():
            raise ParseError("unacceptable size")
        try:
            self._renew(f"{wanted}{colon}{options}")
        except ArenaError as error:  # a network is for one size
            raise ParseError(f"unacceptable size ({error})") from None
        return ""

    def _komi(self, words: list[str]) -> str:
        try:
            komi = float(words[0])
        except (IndexError, ValueError):
            raise ParseError("komi not a float") from None
        if family(self._game) == "go" and komi != self._game.komi:  # type: ignore[attr-defined]  # Go has it
            self.player.choose_game(self._named(self.player.name, komi))
        return ""

    def _named(self, name: str, komi: float) -> str:
        """The game of that size, with the options of the present one but for the komi."""
        options = [
            option for option in self.player.name.partition(":")[2].split(",") if option[:5] not in ("", "komi=")
        ]
        return f"{name.partition(':')[0]}:{','.join([*options, f'komi={komi:g}'])}"

    def _play(self, words: list[str]) -> str:
        seat = read_color(words)
        if len(words) < 2:
            raise ParseError("play needs a colour and a vertex")
        if words[1].lower() == "resign":
            return ""
        self._past.append(self._played(self._position, seat, words[1]))
        return ""

    def _played(self, position: Position, seat: int, word: str) -> Position:
        position = self._with_turn(position, seat)
        try:
            action = parse_vertex(self._game, position.state, word)
        except ArenaError as error:
            raise ParseError(f"illegal move ({error})") from None
        return position.after(self._game, action)

    def _with_turn(self, position: Position, seat: int) -> Position:
        """``position`` with ``seat`` to move: after a pass of the other's, if need be."""
        if position.is_over or int(position.states["to_play"][0]) == seat:
            return position
        if position.moves == () and hasattr(self._game, "place"):  # white to begin, or another stone of a handicap
            return self._placed(position, [], seat)
        try:
            action = parse_vertex(self._game, position.state, "pass")
        except ArenaError:
            raise ParseError(f"illegal move (it is {('black', 'white')[1 - seat]}'s turn)") from None
        after = position.after(self._game, action)
        if after.is_over:
            raise ParseError(f"illegal move (it is {('black', 'white')[1 - seat]}'s turn, who has passed)")
        return after

    def _placed(self, position: Position, points: list[int], seat: int) -> Position:
        states = position.states.copy()
        self._game.place(states, points, to_play=seat)  # type: ignore[attr-defined]  # Go has it
        return Position(states, None)

    def _undo(self, words: list[str]) -> str:
        del words
        if len(self._past) < 2:
            raise ParseError("cannot undo")
        self._past.pop()
        return ""

    def _handicap(self, words: list[str]) -> str:
        position = self._position
        if not hasattr(self._game, "place") or len(self._past) > 1:
            raise ParseError("board not empty" if len(self._past) > 1 else "there is no handicap in this game")
        points = [parse_vertex(self._game, position.state, word) for word in words]
        if len(points) < 2:
            raise ParseError("bad vertex list (give two points or more)")
        self._past.append(self._placed(position, points, 1))
        return ""

    def _loadsgf(self, words: list[str]) -> str:
        from games import records

        if not words:
            raise ParseError("loadsgf needs a file")
        last = read_integer(words, 1, "the number of a move is a whole number") if len(words) > 1 else None
        try:
            record = next(records.read(words[0]))
            game = records.game_of(record.game)
            if family(game) != family(self._game):
                raise ParseError(f"it is a game of {game.spec.name}")
            name = self._named(record.game, game.komi) if hasattr(game, "komi") else record.game  # type: ignore[attr-defined]
            game = records.game_of(name)
            past = [Position(game.parse_state(record.start), None) if record.start else start_of(game)]
            for action in record.moves[: None if last is None else max(last - 1, 0)].tolist():
                game.step(past[-1].states.copy(), [action])  # which checks it
                past.append(past[-1].after(game, action))
            self._renew(name)
        except (ArenaError, StopIteration) as error:
            raise ParseError(f"cannot load file ({error or 'it holds no game'})") from None
        self._past = past
        return ""

    # ---- thinking ----------------------------------------------------------------------------------------------------

    def _genmove(self, words: list[str], *, keep: bool) -> str:
        return self._move(Request(read_color(words)), None, keep=keep)

    def _move(self, request: Request, style: str | None, *, keep: bool) -> str:
        """Thinks, plays the best move if it is to be kept, and returns it as text."""
        started, thinker, seat = time.monotonic(), self.player.thinker, request.seat
        position = self._with_turn(self._position, seat)
        if position.is_over:
            self._check_passes()
            return "pass"
        seconds = self._seconds(seat)
        deadline, told = started + (seconds or 0.0), [started]

        def stop() -> bool:
            now = time.monotonic()
            if style and now >= told[0] + request.interval:
                told[0] = now
                self._tell(position, thinker.thought(request.most), style)
            return now >= deadline

        limit = {None: 0, math.inf: thinker.usual_simulations}.get(seconds, UNLIMITED)
        thinker.think(position, stop, limit, request.allowed)
        thought = thinker.thought(request.most)
        if style:
            self._tell(position, thought, style)
        action = thought.lines[0].moves[0]
        word = vertex(self._game, position.state, action)
        if keep:
            self._past.append(position.after(self._game, action))
            if self._clocks:
                self._keepers[seat].answered(seconds or 0.0, time.monotonic() - started)
                self._clocks[seat].use(time.monotonic() - started)
        return word

    def _check_passes(self) -> None:
        """Raises ParseError where nobody passes when the game is over."""
        if family(self._game) not in ("go", "othello"):
            raise ParseError("the game is over")

    def _analyze(self, words: list[str], style: str) -> None:
        (request, position), thinker = self._request(words), self.player.thinker
        if position.is_over:
            raise ParseError("the game is over")
        self.say(f"={self._number}")
        told = [time.monotonic()]

        def stop() -> bool:
            now = time.monotonic()
            if now >= told[0] + request.interval:
                told[0] = now
                self._tell(position, thinker.thought(request.most), style)
            if command := self.commands.next(wait=False):
                self._deferred.append(command)
            return bool(self._deferred)

        thinker.think(position, stop, UNLIMITED, request.allowed)
        self._tell(position, thinker.thought(request.most), style)
        if not self._deferred and (command := self.commands.next()):
            self._deferred.append(command)

    def _genmove_analyze(self, words: list[str], style: str) -> None:
        request, position = self._request(words)  # it may raise, and nothing is said before
        if position.is_over:
            self._check_passes()
        self.say(f"={self._number}")
        self.say(f"play {self._move(request, style, keep=True)}")

    def _request(self, words: list[str]) -> tuple[Request, Position]:
        """Reads what follows an analysis command, and the position with that player to move."""
        seat = int(self._position.states["to_play"][0])
        if words and words[0].lower() in COLOR_WORDS:
            seat, words = read_color(words), words[1:]
        position = self._with_turn(self._position, seat)
        return read_request(self._game, position, seat, words), position

    def _tell(self, position: Position, thought: Thought, style: str) -> None:
        self.say(analysis_line(self._game, position, thought.lines, style))

    # ---- time --------------------------------------------------------------------------------------------------------

    def _time_settings(self, words: list[str]) -> str:
        main, overtime, stones = (read_integer(words, at, "time_settings needs three whole numbers") for at in range(3))
        if min(main, overtime, stones) < 0:
            raise ParseError("times are 0 or more")
        unlimited = overtime > 0 and stones == 0
        self._settings = None if unlimited else (main, overtime, stones)
        self._clocks = self._settings and _new_clocks(*self._settings)
        return ""

    def _time_left(self, words: list[str]) -> str:
        seat = read_color(words)
        left, stones = (read_integer(words, at, "time_left needs a colour and two whole numbers") for at in (1, 2))
        if self._clocks is None:
            self._clocks = _new_clocks(left, 0, 0)
        clock = self._clocks[seat]
        clock.left, clock.stones_left = left, stones
        return ""

    def _seconds(self, seat: int) -> float | None:
        """For the next move; infinite without a limit, None if there is no time to think at all."""
        if self._clocks is None:
            return math.inf
        clock, keeper = self._clocks[seat], self._keepers[seat]
        if clock.stones_left:
            return max(_USED_SHARE * clock.left / clock.stones_left - keeper.overhead, 0.0)
        later = _USED_SHARE * clock.overtime / clock.stones - keeper.overhead if clock.stones else 0.0
        share = keeper.allot(clock.left)
        return max(share or 0.0, later) if share is not None or later > 0 else None

    def _status_list(self, words: list[str]) -> str:
        if words[:1] not in (["alive"], ["dead"], ["seki"]):
            raise ParseError("final_status_list needs alive, dead or seki")
        if family(self._game) != "go":
            raise ParseError("nothing is dead or alive in this game")
        if words[0] != "alive":
            return ""
        return "\n".join(" ".join(chain) for chain in chains(self._game, self._position.state))


def _new_clocks(main: float, overtime: float, stones: int) -> list[Clock]:
    left, stones_left = (main, 0) if main else (overtime, stones)
    return [Clock(overtime, stones, left, stones_left) for _ in COLORS]
