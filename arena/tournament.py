"""Tournaments on disk: what is played, and every finished game, from which a tournament that was cut off goes on.

Games are those of ``arena.match``, so a tournament that was killed and resumed is the one that was not, as far as its
agents are the same (engines that play by the clock are not).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, get_args

import agents as agent_registry
import games as game_registry
from agents.core import Agent
from agents.files import as_file_name, make_directory, write_atomically
from arena.adjudication import Adjudication
from arena.formats import Fixture, Format, Gauntlet, RoundRobin, SequentialTest, Swiss
from arena.match import SLOTS, default_opening_plies, play_fixtures, rate_records
from arena.opening_book import FileOpeningBook, Opening, Openings, RandomOpeningBook
from arena.ratings import RatingTable
from arena.records import MatchRecord
from arena.results import fixture_of, read_records, to_json_line
from arena.sprt import Sprt
from games import ArenaError, Game

try:
    import fcntl
except ImportError:  # on Windows nobody keeps two processes from playing the same tournament
    fcntl = None

RESULTS = "games.jsonl"
"""The file of a tournament's directory that holds its games, one per line."""
SETTINGS = "tournament.json"
"""The file of a tournament's directory that says what is played."""

FormatName = Literal["round-robin", "gauntlet", "swiss", "sprt"]


class TournamentError(ArenaError):
    """A tournament that cannot be played, or a directory that holds none."""


@dataclass(frozen=True)
class Settings:
    """All that decides what a tournament's games are; kept beside them.

    Attributes:
        game: what ``games.make`` takes.
        agents: what ``agents.make`` takes; also the agents' names.
        format: who meets whom, see ``arena.formats``.
        games: games of each two agents that meet; in a sequential test, the most.
        rounds: of the Swiss system.
        seed: what openings and games are drawn from.
        book: a file of openings; "" = random moves.
        opening_plies: the fewest and the most random plies; of a book's games, the second is the most that are played.
            None = the game's default, or all of a book's moves.
        balance_by: the agent that random openings must look balanced to; "" = nobody.
        balance: the largest value that looks balanced.
        adjudication: when games end before the rules end them.
        sprt: the sequential test.
    """

    game: str
    agents: tuple[str, ...]
    format: FormatName = "round-robin"
    games: int = 40
    rounds: int = 5
    seed: int = 0
    book: str = ""
    opening_plies: tuple[int, int] | None = None
    balance_by: str = ""
    balance: float = 0.2
    adjudication: Adjudication | None = None
    sprt: Sprt | None = None

    def make_format(self) -> Format:
        """Raises FormatError where these agents cannot play it."""
        if self.format == "sprt":
            return SequentialTest(self.agents, self.games, self.sprt or Sprt())
        if self.format == "swiss":
            return Swiss(self.agents, self.games, self.rounds, self.seed)
        return (Gauntlet if self.format == "gauntlet" else RoundRobin)(self.agents, self.games)

    def make_game(self) -> Game:
        """Raises TournamentError where the game is not for two."""
        game = game_registry.make(self.game)
        if game.spec.num_players != 2:
            raise TournamentError(f"{self.game} has {game.spec.num_players} player; tournaments need games for two.")
        return game

    def make_openings(self, game: Game) -> Openings:
        """Raises ArenaError where there are none to be had."""
        if self.book:
            return FileOpeningBook(game, Path(self.book), self.seed, plies=self.opening_plies and self.opening_plies[1])
        judge = agent_registry.make(self.balance_by, game) if self.balance_by else None
        plies = self.opening_plies or default_opening_plies(game)
        return RandomOpeningBook(game, plies, self.seed, judge=judge, balance=self.balance)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Raises ValueError, TypeError or ArenaError on anything else than what ``to_json`` wrote."""
        given = json.loads(text)
        if not isinstance(given, dict) or set(given) != {field.name for field in dataclasses.fields(cls)}:
            raise ValueError("it must have the keys of a tournament's settings and no other")
        for key in ("game", "format", "book", "balance_by"):
            if not isinstance(given[key], str):
                raise ValueError(f"{key} must be a text")
        for key in ("games", "rounds", "seed"):
            if type(given[key]) is not int:
                raise ValueError(f"{key} must be a whole number")
        if given["format"] not in get_args(FormatName):
            raise ValueError(f"the format must be one of {', '.join(get_args(FormatName))}")
        if not isinstance(given["agents"], list) or not all(isinstance(name, str) for name in given["agents"]):
            raise ValueError("agents must be a list of texts")
        given["agents"] = tuple(given["agents"])
        if given["opening_plies"] is not None:
            low, high = given["opening_plies"]
            given["opening_plies"] = int(low), int(high)
        given["balance"] = float(given["balance"])
        given["adjudication"] = given["adjudication"] and Adjudication(**given["adjudication"])
        given["sprt"] = given["sprt"] and Sprt(**given["sprt"])
        return cls(**given)


class Tournament:
    """A tournament in a directory.

    Attributes:
        settings: what is played.
        game, format: as the settings say.
        records: the games that were played, by fixture.
        points: of their first agents.
    """

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.directory, self.settings = directory, settings
        self.game, self.format = settings.make_game(), settings.make_format()
        self.records: dict[Fixture, MatchRecord] = {}
        self.points: dict[Fixture, float] = {}
        self._openings: Openings | None = None

    @classmethod
    def create(cls, directory: Path, settings: Settings) -> Tournament:
        """A new tournament. Nothing is written before ``play``.

        Raises:
            ArenaError: a tournament that cannot be played, or a directory that holds one already.
        """
        results = directory / RESULTS
        if (directory / SETTINGS).exists() or (results.is_file() and results.stat().st_size):
            raise TournamentError(f"{directory} holds a tournament already; give another --out, or --resume.")
        return cls(directory, settings)._with_openings()

    @classmethod
    def load(cls, directory: Path) -> Tournament:
        """The tournament in ``directory``, as far as it was played.

        Raises:
            TournamentError: there is none, or it is damaged; names the file and the line.
        """
        path = directory / SETTINGS
        try:
            settings = Settings.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TournamentError(f"{directory} holds no tournament: there is no {path}.") from None
        except (OSError, ValueError, TypeError, ArenaError) as error:
            raise TournamentError(f"{path} is not the settings of a tournament: {error}.") from None
        tournament = cls(directory, settings)
        tournament._read()
        return tournament

    @classmethod
    def resume(cls, directory: Path, settings: Settings) -> Tournament:
        """The tournament in ``directory``, to be played on: by the same settings, or with agents or games added.

        Raises:
            TournamentError: there is none, or it was played by other settings or from another book.
        """
        before = cls.load(directory)
        for field in dataclasses.fields(Settings):
            old, new = getattr(before.settings, field.name), getattr(settings, field.name)
            if field.name == "agents" and before.format.grows:
                fits = new[: len(old)] == old
            else:
                fits = new >= old if field.name == "games" and before.format.grows else new == old
            if not fits:
                name = field.name.replace("_", "-")
                more = "; agents are added at the end" if field.name == "agents" and before.format.grows else ""
                raise TournamentError(f"{directory} was played with {name} {_shown(old)}, not {_shown(new)}{more}.")
        tournament = cls(directory, settings)
        tournament.records, tournament.points = before.records, before.points
        return tournament._with_openings()

    def play(
        self,
        players: Sequence[Agent],
        *,
        slots: int = SLOTS,
        on_games: Callable[[list[MatchRecord]], object] = lambda _: None,
    ) -> None:
        """Plays the games that are missing. Each is on the disk before ``on_games`` hears of it.

        Raises:
            ArenaError: the directory cannot be written, another process plays this tournament, or an agent does what
                it must not.
        """
        by_name = dict(zip(self.settings.agents, players, strict=True))
        if self._openings is None:
            raise TournamentError(f"The tournament in {self.directory} was loaded to be looked at; resume it instead.")
        make_directory(self.directory)
        with self._results_file() as file:
            write_atomically(self.directory / SETTINGS, self.settings.to_json().encode())
            while missing := [one for one in self.format.fixtures(self.points) if one not in self.records]:
                for finished in play_fixtures(
                    self.game,
                    by_name,
                    missing,
                    self._openings,
                    seed=self.settings.seed,
                    slots=slots,
                    adjudication=self.settings.adjudication,
                ):
                    self._append(file, finished)
                    on_games(finished)
                    if self.format.is_decided(self.points):
                        break

    @property
    def counted(self) -> list[MatchRecord]:
        """The games that count, in the order of the format, whatever order they were played in."""
        return [self.records[fixture] for fixture in self.format.counted(self.points)]

    def ratings(self, anchors: Mapping[str, float] | None = None) -> RatingTable:
        """Everybody's rating by the games that count."""
        return rate_records(self.settings.agents, self.counted, anchors)

    # ---- files -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _results_file(self) -> Iterator[BinaryIO]:
        """The file of games, to append to, for this process alone."""
        path = self.directory / RESULTS
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(path.open("ab"))
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                content = path.read_bytes()
                whole = content.rfind(b"\n") + 1
                file.truncate(whole)  # a line that was cut off is of a game that was not finished
            except BlockingIOError:
                raise TournamentError(f"Another process is playing the tournament in {self.directory}.") from None
            except OSError as error:
                raise TournamentError(f"{path} cannot be written: {error.strerror}; give another --out.") from None
            if content.count(b"\n", 0, whole) != len(self.records):
                raise TournamentError(f"The tournament in {self.directory} was played on meanwhile; --resume it again.")
            yield file

    def _append(self, file: BinaryIO, finished: list[MatchRecord]) -> None:
        try:
            file.write("".join(to_json_line(record) for record in finished).encode())
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise TournamentError(f"{self.directory / RESULTS} cannot be written: {error.strerror}.") from None
        for record in finished:
            self._take(record)

    def _read(self) -> None:
        path = self.directory / RESULTS
        for number, record in enumerate(read_records(path) if path.exists() else (), start=1):
            fixture = fixture_of(record)
            if fixture in self.records or not set(record.agents) <= set(self.settings.agents):
                raise TournamentError(f"{path}, line {number}: this game is not of this tournament, or there twice.")
            self._take(record)

    def _take(self, record: MatchRecord) -> None:
        fixture = fixture_of(record)
        self.records[fixture], self.points[fixture] = record, record.points_of(fixture.first)

    def _with_openings(self) -> Tournament:
        """This tournament, ready to be played; the games that were played must have the openings that it gives."""
        self._openings = self.settings.make_openings(self.game)
        for fixture, record in self.records.items():
            if self._openings[fixture.number] != Opening(record.start, record.opening):
                raise TournamentError(
                    f"Game {fixture.number} of {fixture.first} and {fixture.second} in {self.directory} has another "
                    "opening than it would get now; resume with the book and the agents that it was begun with."
                )
        self._openings[0]  # so that whatever is wrong with them is told before anything is written
        return self


def newest(parent: Path, game: str) -> Path:
    """The newest directory in ``parent`` that holds a tournament of ``game``. Raises TournamentError if none does."""
    found = [path.parent for path in parent.glob(f"{as_file_name(game)}-*/{SETTINGS}")]
    if not found:
        raise TournamentError(f"There is no tournament of {game} in {parent} to resume; give its directory as --out.")
    return max(found, key=lambda path: path.stat().st_mtime)


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else "none" if value in (None, "") else str(value)
