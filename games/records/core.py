"""What a game record is, the error for a broken one, and how a record names its game.

A record keeps actions, not text: every format is read into the same ``GameRecord`` and written from it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from games.core import ArenaError, Array, EndReason, Game
from games.registry import make

RESULTS = {"1-0": (1.0, -1.0), "0-1": (-1.0, 1.0), "1/2-1/2": (0.0, 0.0)}
"""PGN's results of two players as returns by seat; the first seat is PGN's White, whatever colour the game gives it."""

NO_RESULT = "*"


class RecordError(ArenaError):
    """A record that cannot be read or written; the message names the file, the number of the game and the ply.

    Attributes:
        source: the file, and the member of an archive.
        number: which game of the file, from 1; 0: none of them.
        ply: how many moves stand before the trouble; None: it is not in the moves.
    """

    def __init__(self, what: str, *, source: str = "", number: int = 0, ply: int | None = None) -> None:
        self.what, self.source, self.number, self.ply = what, source, number, ply
        where = [source] if source else []
        where += [f"game {number}"] if number else []
        where += [f"ply {ply}"] if ply is not None else []
        super().__init__(f"{', '.join(where)}: {what.rstrip('.')}." if where else f"{what.rstrip('.')}.")


@dataclass(frozen=True, eq=False)
class GameRecord:
    """One game, as it was played. Two records are equal if all but ``source`` and ``number`` is.

    Attributes:
        game: what ``games.make`` takes, options that differ from their defaults included: ``"hex_11x11:swap=true"``.
        moves: int32 ``[T]``, the actions.
        start: the position they begin in, as the game writes it (``state_to_string``); "" = the game's own start.
        returns: float32 ``[P]`` by seat in [-1, 1]; None = the record does not say.
        end: how it ended; None = the record does not say.
        end_text: the same in the record's own words, such as ``B+12.5`` or ``time forfeit``.
        players: names by seat, ``P`` of them; "" = not known.
        tags: everything else that is said about the game, by PGN's names where PGN has one (Event, Site, Date, Round),
            else by the names of the format that it was read from.
        comments: ``T + 1`` texts, the first of which stands before the first move, or none at all.
        evaluations: float32 ``[T]``, what the player of each move expected, in [-1, 1]; NaN = not said; None = nowhere.
        source: the file it was read from.
        number: which game of that file, from 1.
    """

    game: str
    moves: Array
    start: str = ""
    returns: Array | None = None
    end: EndReason | None = None
    end_text: str = ""
    players: tuple[str, ...] = ("", "")
    tags: dict[str, str] = field(default_factory=dict)
    comments: tuple[str, ...] = ()
    evaluations: Array | None = None
    source: str = ""
    number: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "moves", np.asarray(self.moves, np.int32))
        if self.returns is not None:
            object.__setattr__(self, "returns", np.asarray(self.returns, np.float32))
        if self.evaluations is not None:
            object.__setattr__(self, "evaluations", np.asarray(self.evaluations, np.float32))
        plies = len(self.moves) if self.moves.ndim == 1 else -1
        if plies < 0:
            raise self.error(f"moves have shape {self.moves.shape}; give a line of actions, [T]")
        if self.comments and len(self.comments) != plies + 1:
            raise self.error(f"{plies} moves take {plies + 1} comments, or none, not {len(self.comments)}")
        if self.evaluations is not None and self.evaluations.shape != (plies,):
            raise self.error(f"{plies} moves take {plies} evaluations, or none, not {self.evaluations.shape}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GameRecord):
            return NotImplemented
        plain = ("game", "start", "end", "end_text", "players", "tags", "comments")
        arrays = ((self.moves, other.moves), (self.returns, other.returns), (self.evaluations, other.evaluations))
        return all(getattr(self, name) == getattr(other, name) for name in plain) and all(
            mine is theirs is None
            or (mine is not None and theirs is not None and np.array_equal(mine, theirs, equal_nan=True))
            for mine, theirs in arrays
        )

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    def error(self, what: str, ply: int | None = None) -> RecordError:
        """A RecordError about this record."""
        return RecordError(what, source=self.source, number=self.number, ply=ply)


Parsed = Iterator[GameRecord | RecordError]
"""What the reader of a format yields: the games of a stream in their order, an error in the place of a broken one."""


class Reader(Iterator[GameRecord]):
    """The games of a file, one at a time; use it as an iterator, and ``with`` to close the file early.

    A broken game raises its RecordError, after which the next ``next()`` goes on with the game that follows it; or,
    with ``errors="skip"``, it is counted and left out.

    Attributes:
        read: how many games came out whole.
        broken: how many did not.
        problems: the errors of the first hundred of those.
    """

    def __init__(
        self, parsed: Parsed, errors: Literal["raise", "skip"] = "raise", close: Callable[[], None] = lambda: None
    ) -> None:
        if errors not in ("raise", "skip"):
            raise RecordError(f"errors is {errors!r}; give 'raise' or 'skip'")
        self._parsed, self._skip, self._close = parsed, errors == "skip", close
        self.read, self.broken = 0, 0
        self.problems: list[RecordError] = []

    def __next__(self) -> GameRecord:
        for item in self._parsed:
            if isinstance(item, GameRecord):
                self.read += 1
                return item
            self.broken += 1
            self.problems += [item] if len(self.problems) < 100 else []
            if not self._skip:
                raise item
        self._close()
        raise StopIteration

    def close(self) -> None:
        """Closes the file; nothing more comes."""
        self._parsed = iter(())
        self._close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# ---- games by text -----------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def game_of(text: str) -> Game:
    """``games.make(text)``, such as ``hex_11x11:swap=true``, made once and kept: many records are of the same game.

    Raises:
        UnknownNameError: a game or an option that does not exist.
        ArenaError: a value that the option does not take.
    """
    try:
        return make(text)
    except (ValueError, OverflowError) as error:
        raise ArenaError(f"There is no game {text[:80]!r}: {error}") from error


def game_text(text: str, **options: object) -> str:
    """The name of the game ``text`` with ``options`` on top of those that it has: what ``game_of`` reads back.

    Raises:
        UnknownNameError, ArenaError: as ``game_of`` does.
    """
    items = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in options.items()]
    return game_of(",".join([text if ":" in text or not items else f"{text}:{items.pop(0)}", *items])).spec.name


# ---- results -----------------------------------------------------------------------------------------------------


def result_text(returns: Array | None) -> str:
    """``1-0``, ``0-1``, ``1/2-1/2``; ``*`` where nothing is known; else the returns by seat, such as ``0.5,-0.5``."""
    if returns is None:
        return NO_RESULT
    values = tuple(float(value) for value in returns)
    for text, by_seat in RESULTS.items():
        if values == by_seat:
            return text
    return ",".join(str(value) for value in returns.astype(np.float32))


def parse_result(text: str, num_players: int = 2) -> Array | None:
    """The inverse of ``result_text``: float32 ``[P]``, or None. Raises RecordError on anything else."""
    if text == NO_RESULT:
        return None
    if text in RESULTS and num_players == 2:
        return np.array(RESULTS[text], np.float32)
    try:
        values = np.array([float(part) for part in text.split(",")], np.float32)
    except ValueError:
        values = np.empty(0, np.float32)
    if len(values) != num_players or not (np.abs(values) <= 1).all():
        raise RecordError(
            f"{text[:80]!r} is not a result; give {', '.join(RESULTS)}, {NO_RESULT} or, for each of {num_players} "
            "players, a number from -1 to 1"
        )
    return values


def end_of(returns: Array | None) -> EndReason | None:
    """The reason that a result alone speaks of: a win, a draw, or nothing."""
    if returns is None:
        return None
    return EndReason.WIN if returns.any() else EndReason.DRAW
