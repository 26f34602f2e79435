"""Rating against time for several runs of one game, in one plot: their snapshots meet in one tournament.

    python -m scripts.rating_curves runs/othello-from-people runs/othello-from-nothing

Each run's own Elo curve (``arena train`` shows it) has an origin of its own; here all snapshots play all others, so
that curves can be compared. Stop it whenever you like: the same command goes on. Writes rating_curves.md and .svg.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

import agents
from agents.files import write_atomically
from agents.networks.description import METADATA_FILE, read_description
from arena.checkpoint import read_config
from arena.ratings import RatingTable
from arena.tournament import SETTINGS, Settings, Tournament
from games import ArenaError
from scripts.program import start, svg_figure


@dataclass(frozen=True)
class Options:
    """Plots the ratings of several runs against their time."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Runs of arena train, of the same game."""
    snapshots: int = 6
    """How many networks of each run play, spread evenly over its time, the last one among them."""
    simulations: int = 32
    """Simulations per move of each of them."""
    games: int = 20
    """Games of every two."""
    anchor: str = "mcts:simulations=100"
    """The agent whose rating is 0."""
    seed: int = 0
    """What openings and agents draw from."""
    out: Path = Path("tournaments/rating_curves")
    """Where the tournament and the plot lie."""


@dataclass(frozen=True)
class Snapshot:
    """One network of a run, after so many minutes of training."""

    run: Path
    path: Path
    minutes: float

    def agent(self, simulations: int) -> str:
        """What plays for it."""
        return f"net:{self.path},simulations={simulations}"


def snapshots_of(run: Path, count: int) -> list[Snapshot]:
    """``count`` networks of a run, or all if there are fewer, spread evenly over its time; in order.

    Raises:
        ArenaError: the run has kept none, or they do not tell their time.
    """
    found = []
    for path in sorted((run / "checkpoints").glob(f"*/{METADATA_FILE}")):
        seconds = read_description(path.parent)[0].extra.get("seconds")
        if isinstance(seconds, (int, float)):
            found.append(Snapshot(run, path.parent, seconds / 60))
    if not found:
        raise ArenaError(f"{run} has kept no network that says after how much training it was saved.")
    if len(found) <= count:
        return found
    minutes = np.array([snapshot.minutes for snapshot in found])
    wanted = minutes[-1] * np.arange(1, count + 1) / count
    chosen = {int(np.abs(minutes - when).argmin()) for when in wanted}
    return [found[index] for index in sorted(chosen)]


def play(options: Options, game: str, snapshots: list[Snapshot]) -> RatingTable:
    """Plays what is missing of the tournament of ``snapshots`` and the anchor, and rates it."""
    names = (options.anchor, *(snapshot.agent(options.simulations) for snapshot in snapshots))
    settings = Settings(game, names, games=options.games, seed=options.seed)
    open_ = Tournament.resume if (options.out / SETTINGS).exists() else Tournament.create
    tournament = open_(options.out, settings)
    print(f"{len(names)} agents, {len(names) * (len(names) - 1) // 2 * options.games} games.", flush=True)
    tournament.play([agents.make(name, tournament.game) for name in names])
    return tournament.ratings({options.anchor: 0.0})


def as_markdown(options: Options, game: str, snapshots: list[Snapshot], ratings: RatingTable) -> str:
    """The figures of the plot."""
    lines = [
        f"# {game}: rating against time",
        "",
        f"Round-robin of all snapshots with {options.simulations} simulations a move, {options.games} games of every "
        f"two; `{options.anchor}` is held at 0. ± is a 95 % interval.",
        "",
        "| run | minutes | Elo | ± |",
        "|---|---:|---:|---:|",
    ]
    for snapshot in snapshots:
        place = ratings.names.index(snapshot.agent(options.simulations))
        cells = f"{snapshot.minutes:.1f} | {ratings.elo[place]:.0f} | {ratings.interval[place]:.0f}"
        lines.append(f"| {snapshot.run} | {cells} |")
    return "\n".join([*lines, "", "![Elo against minutes](rating_curves.svg)", ""])


def draw(options: Options, snapshots: list[Snapshot], ratings: RatingTable, path: Path) -> None:
    """One curve for each run."""
    with svg_figure(path, 6.4, 4.0) as axes:
        for run in options.runs:
            mine = [snapshot for snapshot in snapshots if snapshot.run == run]
            places = [ratings.names.index(snapshot.agent(options.simulations)) for snapshot in mine]
            minutes = [snapshot.minutes for snapshot in mine]
            axes.errorbar(minutes, ratings.elo[places], yerr=ratings.interval[places], marker="o", capsize=3, label=run)
        axes.set(xlabel="minutes of training", ylabel=f"Elo over {options.anchor}")
        axes.grid(alpha=0.3)
        axes.legend()


def main(options: Options) -> None:
    """Plays, and writes rating_curves.md and rating_curves.svg.

    Raises:
        ArenaError: no runs, of different games, or without networks.
    """
    if len(set(options.runs)) != len(options.runs) or not options.runs:
        raise ArenaError("Give one run or more, each of them once.")
    if options.snapshots < 1:
        raise ArenaError(f"--snapshots is {options.snapshots}; it must be 1 or more.")
    played = {read_config(run).game for run in options.runs}
    if len(played) > 1:
        raise ArenaError(f"These are runs of different games: {', '.join(sorted(played))}.")
    (game,) = played
    snapshots = [snapshot for run in options.runs for snapshot in snapshots_of(run, options.snapshots)]
    ratings = play(options, game, snapshots)
    text = as_markdown(options, game, snapshots, ratings)
    write_atomically(options.out / "rating_curves.md", text.encode())
    draw(options, snapshots, ratings, options.out / "rating_curves.svg")
    print(text)
    print(f"Wrote {options.out / 'rating_curves.md'} and {options.out / 'rating_curves.svg'}.")


if __name__ == "__main__":
    start(main, Options, goes_on=True)
