"""Random games beside OpenSpiel's: the same legal moves at every ply, the same ends, the same results?

    python -m scripts.beside_open_spiel                        # 100,000 games over all games, half an hour on one core
    python -m scripts.beside_open_spiel chess shogi --games 50
    python -m scripts.beside_open_spiel "hex_11x11:swap=true" --seed 7

Every game is played by random legal moves, in our rules and in OpenSpiel's at once. Where the rules do not coincide, a
note below the table says how they differ, and only that difference is let through; anything else is counted, shown, and
makes the exit code 1.
"""

from __future__ import annotations

from collections import Counter
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
from games.notation import family
from games.openspiel import their_name, their_numbers
from scripts.program import start

Array = np.ndarray

AT_ONCE = 200
EXAMPLES = 3

GAMES = {
    "tic_tac_toe": 12_000,
    "connect_four": 20_000,
    "othello": 16_000,
    "gomoku_9x9": 8_000,
    "gomoku_15x15": 2_000,
    "hex_5x5": 10_000,
    "hex_7x7:swap=true": 6_000,
    "hex_11x11": 2_000,
    "hex_19x19": 300,
    "go_5x5": 9_000,
    "go_9x9": 9_000,
    "go_13x13": 500,
    "go_19x19": 100,
    "chess": 3_100,
    "shogi": 2_000,
}
"""What is compared, and how many of the 100,000 games are of it."""

NOTES = {
    "go": "OpenSpiel allows a move that repeats a position and ends the game there, as a draw; ours forbids it",
    "shogi": "OpenSpiel counts the points of an entering king without a declaration, and has no end by length; "
    "it and we judge repetitions at different plies",
}
"""Where the rules do not coincide, by family."""


def why_more(other: Any, action: int) -> str:
    """Why a legal move of theirs is none of ours; "" = for no good reason."""
    child = other.child(action)
    is_go = str(other.get_game()).startswith("go(")
    return "superko" if is_go and child.is_terminal() and child.returns() == [0, 0] else ""


def why_over(game: Game, state: np.void, other: Any) -> str:
    """Why a game is over for only one of us; "" = for no good reason."""
    if family(game) != "shogi":
        return ""
    if state["terminated"]:
        return "repetition or length" if state["ply"] == 512 or "repetition" in game.render(state) else ""
    return "entering king" if has_reached_the_camp(other) else ""


def has_reached_the_camp(other: Any) -> bool:
    """Whether a king of OpenSpiel's shogi stands in its promotion zone, where the game may end by points."""
    ranks = str(other).split()[0].split("/")
    return any("K" in rank for rank in ranks[:3]) or any("k" in rank for rank in ranks[6:])


@dataclass
class Comparison:
    """What was found in one game: counts, and the first differences in words."""

    counts: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


class Beside:
    """One of our games beside OpenSpiel's.

    Args:
        name: of the game.
        theirs: OpenSpiel's name of what it is held against; by default the same game.

    Raises:
        ArenaError: OpenSpiel is not installed, or does not play this game.
    """

    def __init__(self, name: str, theirs: str = "") -> None:
        try:
            import pyspiel
        except ImportError:
            raise ArenaError(
                "OpenSpiel is not installed; pip install open_spiel, or this project with [test]."
            ) from None
        self.game, self.found = games.make(name), Comparison()
        self.theirs = theirs or their_name(self.game)
        self._oracle = pyspiel.load_game(self.theirs)
        self._seats = (1, 0) if family(self.game) == "chess" else (0, 1)  # white, who begins, is their player 1
        self._numbers = np.full((2, self.game.spec.num_actions), -1)  # by seat: their numbers of our actions, if known

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
        if other.current_player() != self._seats[seat]:
            self._differ(state, "it is the other's turn")
            return None
        numbers, theirs = self._numbers[seat], other.legal_actions()
        if sorted(numbers[legal].tolist()) != theirs:
            numbers[legal] = their_numbers(self.game, np.array([state]), other)[legal]
        same = set(numbers[legal].tolist())
        reasons = [why_more(other, more) for more in theirs if more not in same]
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
            result = [other.returns()[seat] for seat in self._seats]
            if returns != result:
                self._differ(state, f"the result is {returns} here, {result} there")
        elif ours or theirs:
            if reason := why_over(self.game, state, other):
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

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="GAME…")] = tuple(GAMES)
    """Which games, with options if need be; by default all."""
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
        count = options.games or GAMES.get(name, 1000)
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
            name, beside.theirs, *cells, alone, f"{counts['differences']:,}", f"{perf_counter() - started:.0f}"
        )
        if not console.is_terminal:
            console.print(f"{name}: {counts['games']:,} games, {counts['differences']:,} differences", highlight=False)
    console.print(table)
    console.print(f"{total['games']:,} games, {total['plies']:,} plies, {total['differences']:,} differences.")
    for group in dict.fromkeys(family(games.make(name)) for name in options.names):
        if group in NOTES:
            console.print(f"{group}: {NOTES[group]}.", highlight=False)
    for name in options.names:
        for line in findings[name].differences:
            console.print(f"DIFFERS {name}: {line}", highlight=False, markup=False, soft_wrap=True)
    return total["differences"]


if __name__ == "__main__":
    start(run, Options)
