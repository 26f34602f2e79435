"""Random games beside OpenSpiel's: the same legal moves at every ply, the same ends, the same results?

    python -m scripts.beside_open_spiel                        # 100,000 games over all games, half an hour on one core
    python -m scripts.beside_open_spiel chess shogi --games 50
    python -m scripts.beside_open_spiel "hex_11x11:swap=true" --seed 7

Every game is played by random legal moves, in our rules and in OpenSpiel's at once. Where the rules do not coincide, a
note below the table says how they differ, and only that difference is let through; anything else is counted, shown, and
makes the exit code 1.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

import games
from games import ArenaError, Game, sample_legal

Array = np.ndarray
Words = dict[str, int]  # a move as players write it, and its number

AT_ONCE = 200
EXAMPLES = 3


@dataclass(frozen=True)
class Rules:
    """How OpenSpiel plays one of our games.

    Attributes:
        theirs: OpenSpiel's name and options.
        games: how many of the 100,000 are of this game.
        numbers: OpenSpiel's numbers of our actions; empty where they are found by the words of both.
        words: the legal moves of a state of ours, and of theirs, as words with numbers.
        seats: whose turn it is by their count, for our player 0 and 1.
        extra: what is to be said of a move that only they allow; "" = a difference.
        ends: what is to be said of a game that is over for only one of us; "" = a difference.
        note: how the rules differ.
    """

    theirs: str
    games: int
    numbers: Sequence[int] = ()
    words: Callable[[Game, np.void, Any], tuple[Words, Words]] | None = None
    seats: tuple[int, int] = (0, 1)
    extra: Callable[[Any, int], str] = lambda _state, _action: ""
    ends: Callable[[Game, np.void, Any], str] = lambda _game, _state, _other: ""
    note: str = ""


def chess_words(game: Any, state: np.void, other: Any) -> tuple[Words, Words]:
    """Both sides' legal moves in UCI."""
    import pyspiel

    board = other.board()
    theirs = {pyspiel.chess.action_to_move(action, board).to_lan(): action for action in other.legal_actions()}
    return {game.move_to_uci(state, int(action)): int(action) for action in game.legal_actions(state)}, theirs


def usi_words(game: Game, state: np.void, other: Any) -> tuple[Words, Words]:
    """Both sides' legal moves in USI."""
    ours = np.flatnonzero(game.legal_action_mask(np.array([state]))[0])
    theirs = {other.action_to_string(action): action for action in other.legal_actions()}
    return {game.action_to_string(state, int(action)): int(action) for action in ours}, theirs


def repeats(other: Any, action: int) -> str:
    """A move in Go that only they allow: it must be one that they punish as a repetition."""
    child = other.child(action)
    return "superko" if child.is_terminal() and child.returns() == [0, 0] else ""


def shogi_ends(game: Game, state: np.void, other: Any) -> str:
    """Why only one of us calls a game of shogi over."""
    if state["terminated"]:
        return "repetition or length" if state["ply"] == 512 or "repetition" in game.render(state) else ""
    return "entering king" if has_reached_the_camp(other) else ""


def has_reached_the_camp(other: Any) -> bool:
    """Whether a king of OpenSpiel's shogi stands in its promotion zone, where the game may end by points."""
    ranks = str(other).split()[0].split("/")
    return any("K" in rank for rank in ranks[:3]) or any("k" in rank for rank in ranks[6:])


def go_rules(size: int, count: int) -> Rules:
    """Go: OpenSpiel counts rows from the bottom."""
    points = np.arange(size * size).reshape(size, size)[::-1].ravel()
    note = "OpenSpiel allows a move that repeats a position and ends the game there, as a draw; ours forbids it"
    theirs = f"go(board_size={size},komi=7.5)"
    return Rules(theirs, count, [*points.tolist(), size * size], extra=repeats, note=note)


RULES = {
    "tic_tac_toe": Rules("tic_tac_toe", 12_000, range(9)),
    "connect_four": Rules("connect_four", 20_000, range(7)),
    "othello": Rules("othello", 16_000, range(65)),
    "gomoku_9x9": Rules("gomoku(size=9)", 8_000, range(81)),
    "gomoku_15x15": Rules("gomoku(size=15)", 2_000, range(225)),
    "hex_5x5": Rules("hex(board_size=5)", 10_000, range(25)),
    "hex_7x7:swap=true": Rules("hex(board_size=7,swap=True)", 6_000, range(50)),
    "hex_11x11": Rules("hex(board_size=11)", 2_000, range(121)),
    "hex_19x19": Rules("hex(board_size=19)", 300, range(361)),
    "go_5x5": go_rules(5, 9_000),
    "go_9x9": go_rules(9, 9_000),
    "go_13x13": go_rules(13, 500),
    "go_19x19": go_rules(19, 100),
    "chess": Rules("chess", 3_100, words=chess_words, seats=(1, 0)),
    "shogi": Rules(
        "shogi",
        2_000,
        words=usi_words,
        ends=shogi_ends,
        note="OpenSpiel counts the points of an entering king without a declaration, and has no end by length; "
        "it and we judge repetitions at different plies",
    ),
}


@dataclass
class Comparison:
    """What was found in one game: counts, and the first differences in words."""

    counts: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


class Beside:
    """One of our games beside OpenSpiel's.

    Raises:
        ArenaError: OpenSpiel is not installed, or is not compared in this game.
    """

    def __init__(self, name: str) -> None:
        try:
            import pyspiel
        except ImportError:
            raise ArenaError(
                "OpenSpiel is not installed; pip install open_spiel, or this project with [test]."
            ) from None
        if name not in RULES:
            raise ArenaError(f"{name} is not compared with OpenSpiel; these are: {', '.join(RULES)}.")
        self.game, self.rules, self.found = games.make(name), RULES[name], Comparison()
        self._oracle = pyspiel.load_game(self.rules.theirs)
        # Their numbers of our actions, by seat; what is missing is learned from the words of both.
        self._numbers = np.full((2, self.game.spec.num_actions), -1)
        if self.rules.numbers:
            self._numbers[:] = self.rules.numbers

    def play(self, count: int, rng: np.random.Generator) -> Comparison:
        """Plays ``count`` random games on both sides at once; all that was found so far."""
        states, others = self.game.init(count), [self._oracle.new_initial_state() for _ in range(count)]
        self.found.counts["games"] += count
        while len(states):
            self.found.counts["plies"] += len(states)
            mask = self.game.legal_action_mask(states)
            actions = sample_legal(mask, rng)
            agreed = []
            for row, (state, other) in enumerate(zip(states, others, strict=True)):
                number = self._their_number(state, other, np.flatnonzero(mask[row]), int(actions[row]))
                if number is not None:
                    other.apply_action(number)
                    agreed.append(row)
            states, others = states[agreed], [others[row] for row in agreed]
            self.game.step_unchecked(states, actions[agreed])
            returns = self.game.returns(states).tolist()
            going_on = [row for row, other in enumerate(others) if not self._is_over(states[row], other, returns[row])]
            states, others = states[going_on], [others[row] for row in going_on]
        return self.found

    def _their_number(self, state: np.void, other: Any, legal: Array, action: int) -> int | None:
        """OpenSpiel's number of ``action``; None where the turn or the ``legal`` moves differ, which is noted."""
        seat = int(state["to_play"])
        if other.current_player() != self.rules.seats[seat]:
            self._differ(state, "it is the other's turn")
            return None
        numbers, theirs = self._numbers[seat], other.legal_actions()
        if self.rules.words is not None and sorted(numbers[legal].tolist()) != theirs:
            our_words, their_words = self.rules.words(self.game, state, other)
            for word, ours in our_words.items():
                numbers[ours] = their_words.get(word, -1)
        same = set(numbers[legal].tolist())
        reasons = [self.rules.extra(other, more) for more in theirs if more not in same]
        if not same <= set(theirs) or not all(reasons):
            ours = ", ".join(self.game.action_to_string(state, int(a)) for a in legal)
            self._differ(state, f"legal here {ours}; there {', '.join(other.action_to_string(a) for a in theirs)}")
            return None
        self.found.alone.update(reasons)
        return int(numbers[action])

    def _is_over(self, state: np.void, other: Any, returns: list[float]) -> bool:
        """Whether the game is over for one of us; notes how that compares."""
        ours, theirs = bool(state["terminated"]), other.is_terminal()
        if ours and theirs:
            self.found.counts["over for both"] += 1
            result = [other.returns()[seat] for seat in self.rules.seats]
            if returns != result:
                self._differ(state, f"the result is {returns} here, {result} there")
        elif ours or theirs:
            if reason := self.rules.ends(self.game, state, other):
                self.found.alone[reason] += 1
            else:
                self._differ(state, f"over {'here' if ours else 'there'} only")
        return ours or theirs

    def _differ(self, state: np.void, what: str) -> None:
        self.found.counts["differences"] += 1
        if len(self.found.differences) < EXAMPLES:
            self.found.differences.append(f"{self.game.state_to_string(state)}: {what}")


@dataclass(frozen=True)
class Options:
    """Plays random games in our rules and in OpenSpiel's at once, and counts what differs."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="GAME…")] = tuple(RULES)
    """Which games; by default all."""
    games: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Games of each; by default as many as make 100,000 over all."""
    seed: int = 0
    """What the moves are drawn from."""


def run(options: Options) -> int:
    """Prints the table, the notes and the differences; returns how many there are."""
    console = Console()
    if options.games is not None and options.games < 1:
        raise ArenaError(f"--games is {options.games}; give 1 or more.")
    table = Table("game", "OpenSpiel's", "games", "plies", "over for both", "allowed differences", "differences", "s")
    total, findings = Counter(), {}
    for name in options.names:
        beside, started = Beside(name), perf_counter()
        count = options.games or beside.rules.games
        batches = [min(AT_ONCE, count - first) for first in range(0, count, AT_ONCE)]
        shown = track(batches, name, console=console, transient=True, disable=not console.is_terminal)
        rng = np.random.default_rng(options.seed)
        for batch in shown:
            beside.play(batch, rng)
        found = findings[name] = beside.found
        counts = found.counts
        total.update(counts)
        alone = ", ".join(f"{what} {times:,}" for what, times in sorted(found.alone.items()) if times) or "-"
        cells = (f"{counts[key]:,}" for key in ("games", "plies", "over for both"))
        table.add_row(
            name, beside.rules.theirs, *cells, alone, f"{counts['differences']:,}", f"{perf_counter() - started:.0f}"
        )
        if not console.is_terminal:
            console.print(f"{name}: {counts['games']:,} games, {counts['differences']:,} differences", highlight=False)
    console.print(table)
    console.print(f"{total['games']:,} games, {total['plies']:,} plies, {total['differences']:,} differences.")
    for name in options.names:
        if RULES[name].note:
            console.print(f"{name}: {RULES[name].note}.", highlight=False)
        for line in findings[name].differences:
            console.print(f"DIFFERS {name}: {line}", highlight=False, markup=False, soft_wrap=True)
    return total["differences"]


if __name__ == "__main__":
    try:
        sys.exit(1 if run(tyro.cli(Options, prog="python -m scripts.beside_open_spiel")) else 0)
    except ArenaError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
