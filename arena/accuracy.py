"""Measures an agent against ground truth: how often it plays a perfect move in positions whose solution is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

import agents
import games
from agents.core import Agent, Array
from games import ArenaError, Game, solved
from games.solved import SolvedPositions

BATCH = 256
"""Positions that are handed to the agent at once."""
VALUE_DRAW = 1 / 3
"""An estimate closer to 0 than this counts as calling a draw: a third of [-1, 1] for each result."""


@dataclass(frozen=True)
class Share:
    """How often something was so.

    Attributes:
        count: positions measured.
        share: of them, in [0, 1].
        standard_error: of ``share``, from positions being a random sample.
    """

    count: int
    share: float
    standard_error: float


@dataclass(frozen=True)
class ClassAccuracy:
    """What was found in one class of positions, or over the classes.

    Attributes:
        name: of the class.
        outcome_kept: the move leads to the result (win, draw, loss) that perfect play gives the mover.
        best_move: the move has the best score of all: the soonest win or the latest loss.
        value: the agent's estimate calls that result; it calls a draw when nearer to 0 than a third.
    """

    name: str
    outcome_kept: Share
    best_move: Share
    value: Share


@dataclass(frozen=True)
class AccuracyTable:
    """One agent over all classes.

    Attributes:
        agent: its name.
        game: the game's name.
        classes: one row per class, in the order of the solved positions.
        mean: the unweighted mean over classes, with its standard error.
    """

    agent: str
    game: str
    classes: tuple[ClassAccuracy, ...]
    mean: ClassAccuracy


def measure(
    game: Game,
    agent: Agent,
    positions: SolvedPositions,
    rng: np.random.Generator,
    batch_size: int = BATCH,
    limit: int | None = None,
    progress: Progress | None = None,
) -> AccuracyTable:
    """Has ``agent`` choose a move in every one of ``positions``, none of which is over, and compares.

    Args:
        game: of the positions.
        agent: is asked for one move per position, without a game around it.
        positions: with the score of every move.
        rng: for the agent's choices.
        batch_size: positions per call of the agent.
        limit: the most positions per class, the first ones; None for all.
        progress: shows how far it is.

    Raises:
        ArenaError: ``positions`` are of another game, or ``limit`` or ``batch_size`` leaves nothing to measure.
    """
    if positions.game != game.spec.name:
        raise ArenaError(f"Solved positions of {positions.game} cannot measure an agent in {game.spec.name}.")
    if batch_size < 1 or (limit is not None and limit < 1):
        what, number = ("Positions per class", limit) if batch_size >= 1 else ("The batch size", batch_size)
        raise ArenaError(f"{what} must be 1 or more, not {number}.")
    chosen = _first_of_each_class(positions, limit)
    task = progress.add_task(agent.name, total=len(chosen)) if progress else None
    hits = np.empty((len(chosen), 3), np.bool_)
    for begin in range(0, len(chosen), batch_size):
        rows = chosen[begin : begin + batch_size]
        result = agent.act(positions.states[rows].copy(), rng)
        hits[begin : begin + batch_size] = judge_moves(positions.scores[rows], result.action, result.value)
        if progress and task is not None:
            progress.advance(task, len(rows))
    agent.reset()
    return _tabulate(agent.name, positions, positions.class_index[chosen], hits)


def judge_moves(scores: Array, actions: Array, values: Array) -> Array:
    """bool ``[B, 3]``: outcome kept, best move, value right; from scores ``[B, A]``, moves ``[B]``, values ``[B]``."""
    best = scores.max(axis=1)
    played = scores[np.arange(len(scores)), actions]
    called = np.where(np.abs(values) < VALUE_DRAW, 0, np.sign(values))
    return np.stack([np.sign(played) == np.sign(best), played == best, called == np.sign(best)], axis=1)


def _first_of_each_class(positions: SolvedPositions, limit: int | None) -> Array:
    """int64: the rows of up to ``limit`` positions per class, in order."""
    rows = [np.flatnonzero(positions.class_index == index)[:limit] for index in range(len(positions.class_names))]
    return np.concatenate(rows)


def _tabulate(agent: str, positions: SolvedPositions, class_index: Array, hits: Array) -> AccuracyTable:
    classes = []
    for index, name in enumerate(positions.class_names):
        if (members := hits[class_index == index]).size:
            classes.append(ClassAccuracy(name, *(_share(column) for column in members.T)))
    mean = ClassAccuracy(
        "mean of classes",
        _mean([row.outcome_kept for row in classes]),
        _mean([row.best_move for row in classes]),
        _mean([row.value for row in classes]),
    )
    return AccuracyTable(agent, positions.game, tuple(classes), mean)


def _share(hits: Array) -> Share:
    share = float(hits.mean())
    return Share(len(hits), share, math.sqrt(share * (1 - share) / len(hits)))


def _mean(shares: list[Share]) -> Share:
    error = math.sqrt(sum(share.standard_error**2 for share in shares)) / len(shares)
    return Share(sum(share.count for share in shares), sum(share.share for share in shares) / len(shares), error)


def format_table(table: AccuracyTable) -> Table:
    """The table as people read it: percent, with the standard error of the mean."""
    shown = Table(title=f"{table.agent} in {table.game}", title_justify="left")
    shown.add_column("positions")
    for heading in ("number", "keeps the outcome", "best move", "value"):
        shown.add_column(heading, justify="right")
    for row in (*table.classes, table.mean):
        if row is table.mean:
            shown.add_section()
        error = row is table.mean
        cells = (_percent(share, error=error) for share in (row.outcome_kept, row.best_move, row.value))
        shown.add_row(row.name, str(row.outcome_kept.count), *cells)
    return shown


def _percent(share: Share, *, error: bool) -> str:
    return f"{share.share:.1%}" + (f" ± {100 * share.standard_error:.1f}" if error else "")


def measure_accuracy(game: Game, agent: Agent, limit: int | None, rng: np.random.Generator) -> tuple[float, float]:
    """The means over classes of (outcome kept, best move), with up to ``limit`` of the shipped positions per class.

    Raises:
        UnsupportedError: there are no solved positions of the game.
    """
    mean = measure(game, agent, solved.load(game.spec.name), rng, limit=limit).mean
    return mean.outcome_kept.share, mean.best_move.share


def run(
    game_name: str,
    agent_spec: str,
    *,
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = BATCH,
    console: Console | None = None,
) -> AccuracyTable:
    """What ``arena accuracy`` does: measures the agent called ``agent_spec`` and prints the table.

    Raises:
        ArenaError: an unknown game or agent, or a game without solved positions.
    """
    console = console or Console()
    game = games.make(game_name)
    positions = solved.load(game.spec.name)
    agent = agents.make(agent_spec, game)
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        table = measure(game, agent, positions, np.random.default_rng(seed), batch_size, limit, progress)
    console.print(format_table(table))
    return table
