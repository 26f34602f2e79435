"""The command line: ``arena train``, ``play``, ``tournament``, ``accuracy``, ``benchmark``, ``doctor`` and ``games``.

What a user got wrong is told in one sentence on stderr, with exit code 2. Each command imports what it needs when it
runs, so that ``arena --help`` answers at once.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import tyro

from games import ArenaError, UnknownNameError
from games.registry import unknown_name

if TYPE_CHECKING:
    from arena.records import MatchRecord

Options = TypeVar("Options")

USAGE_ERROR = 2
INTERRUPTED = 130  # what shells report for a program that Ctrl-C ended

OVERVIEW = """\
arena: train agents that learn board games by themselves, play against them, rate them.

  arena train connect_four --minutes 10            learn from scratch by self-play
  arena play connect_four                          play against the result
  arena tournament connect_four --agents random mcts:simulations=100 mcts:simulations=800
                                                   rate agents against each other, with error bars
  arena accuracy connect_four --agent mcts         how often an agent finds the perfect move
  arena doctor connect_four                        what this machine can do, and what is wrong with it
  arena benchmark                                  how fast everything is here
  arena games                                      the games and the agents there are

arena COMMAND --help explains each of them."""


_RULE = re.compile("[─-]{4,}$")


class UsageError(ArenaError):
    """A command line that cannot be understood."""


Game = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="GAME")]


@dataclass(frozen=True)
class Play:
    """Play a game in the terminal.

    Examples:

      arena play connect_four

      arena play connect_four --opponent mcts:simulations=2000 --seat second

      arena play connect_four --opponent net:runs/c4,simulations=400

      printf '4\\n4\\n' | arena play connect_four --opponent solver

    Type moves as people write them, or: hint, undo, help, quit.
    """

    game: Game
    """What to play; arena games lists them."""
    opponent: Annotated[str | None, tyro.conf.arg(metavar="AGENT")] = None
    """Who plays the other seat (arena games lists the agents). By default the newest trained run of the game in
    ./runs, and mcts where there is none."""
    seat: Literal["first", "second", "random"] = "first"
    """Where you sit; first moves first."""
    seed: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """What the opponent's choices are drawn from; the same seed and the same moves give the same game."""


@dataclass(frozen=True)
class Tournament:
    """Rate agents against each other: every pair plays, seats swapped, on the same random openings.

    Examples:

      arena tournament connect_four --agents random mcts:simulations=100 mcts:simulations=800

      arena tournament connect_four --agents net:runs/c4,simulations=0 net:runs/c4 mcts --games 200 --anchor mcts

    Prints Bradley–Terry ratings on the Elo scale with 95 % intervals and a crosstable; every game is a line of
    games.jsonl in the output directory.
    """

    game: Game
    """What to play; arena games lists them."""
    agents: Annotated[tuple[str, ...], tyro.conf.arg(metavar="AGENT AGENT …")]
    """Two agents or more (arena games lists them)."""
    games: int = 40
    """Games of every pair of agents; even, because each opening is played from both seats."""
    seed: int = 0
    """What openings and agents draw from; the same seed gives the same tournament."""
    opening_plies: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Random plies at the start of each game, without which two deterministic agents would repeat one game; by default
    2 to 4, fewer in very short games."""
    anchor: Annotated[str | None, tyro.conf.arg(metavar="AGENT")] = None
    """The agent whose rating is set to 0; by default the average is."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where the results go; by default tournaments/GAME-DATE-TIME."""


@dataclass(frozen=True)
class Accuracy:
    """Measure an agent against the solution of a game, on positions that ship with the package.

    Examples:

      arena accuracy connect_four --agent mcts:simulations=400

      arena accuracy connect_four --agent net:runs/c4,simulations=0

    Per class of positions: how often the agent's move keeps the game-theoretic outcome, and how often it is a
    best-scoring move (the soonest win, the latest loss).
    """

    game: Game
    """A solved game, such as connect_four."""
    agent: Annotated[str, tyro.conf.arg(metavar="AGENT")]
    """Who is examined (arena games lists the agents)."""
    positions: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Positions per class; by default all there are."""
    seed: int = 0
    """What the agent's choices are drawn from."""


@dataclass(frozen=True)
class Benchmark:
    """Measure the arena's speed on one core of this machine.

    Examples:

      arena benchmark

      arena benchmark connect_four --checkpoint runs/c4 --rounds 3

    Prints medians, the lowest and the highest of several rounds as one table. python -m scripts.benchmark --peers, in
    a checkout of the repository, measures other projects beside it.
    """

    game: Game = "connect_four"
    """The game that the tree, the network, self-play and learning are measured on."""
    network: Annotated[str | None, tyro.conf.arg(metavar="BLOCKSxCHANNELS")] = None
    """Shape of an untrained network, as in 3x32; by default that of the game's preset."""
    checkpoint: Path | None = None
    """A run or a checkpoint whose network is measured instead."""
    simulations: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Simulations per move in self-play; by default those of the game's preset."""
    games_in_flight: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Games that self-play plays at once; by default those of the game's preset."""
    seconds: float = 2.0
    """Seconds per row and round."""
    rounds: int = 5
    """How often every row is measured."""


@dataclass(frozen=True)
class Doctor:
    """Measure what this machine can do for a game, in less than a minute, and say what is wrong with it.

    Examples:

      arena doctor connect_four

    Prints the speed of the network, of self-play and of learning, what limits a training run, what arena train will
    use by default, and whatever would make it slow without saying so.
    """

    game: Game = "connect_four"
    """The game that would be trained."""


@dataclass(frozen=True)
class Games:
    """List the games, and the agents with their options."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script ``arena``. Exits with 0, 2 (something typed was wrong) or 130 (Ctrl-C)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _dispatch(words)
    except ArenaError as error:
        print(f"arena: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output, such as head, has left
        sys.stderr.close()
        sys.exit(0)


def _dispatch(words: list[str]) -> None:
    commands: dict[str, Callable[[list[str]], None]] = {
        "accuracy": run_accuracy,
        "benchmark": run_benchmark,
        "doctor": run_doctor,
        "games": run_games,
        "play": run_play,
        "tournament": run_tournament,
        "train": run_train,
    }
    if not words or words[0] in ("-h", "--help", "help"):
        print(OVERVIEW)
        return
    if words[0] not in commands:
        raise UnknownNameError(unknown_name("command", words[0], commands))
    commands[words[0]](words[1:])


def _parse(options: type[Options], command: str, words: list[str]) -> Options:
    with usage_errors(f"arena {command}"):
        return tyro.cli(options, prog=f"arena {command}", args=words, description=inspect.getdoc(options))


@contextlib.contextmanager
def usage_errors(prog: str) -> Iterator[None]:
    """Turns the box that tyro draws around what it did not understand into a UsageError of one sentence."""
    captured = io.StringIO()
    try:
        with contextlib.redirect_stderr(captured):
            yield
    except SystemExit as ended:
        if ended.code in (0, None):
            raise
        raise UsageError(_sentence(captured.getvalue(), prog)) from None
    sys.stderr.write(captured.getvalue())


def _sentence(box: str, prog: str) -> str:
    lines = [line.strip("│╭╮╰╯ ") for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines()]
    lines = [line for line in lines if line][1:]  # the first is the title
    if lines and _RULE.match(lines[0]):  # where the box has no frame, the title is underlined
        del lines[0]
    message: list[str] = []
    for line in lines:
        if _RULE.match(line) or line.startswith(("Got errors:", "Argument helptext:")):
            break
        message.append(line)
    close = next((line.split()[0].rstrip(",") for line in lines[len(message) :] if re.match("--[a-z]", line)), None)
    if message and message[0].startswith("Missing from"):
        message = message[:2]  # the first thing that is missing, without its help
    text = " ".join(message).rstrip(".") or "The command line was not understood"
    hint = f"; did you mean {close}?" if close and text.startswith("Unrecognized") else ";"
    return f"{text}{hint} {prog} --help explains the options."


# ---- the commands ----------------------------------------------------------------------------------------------------


def run_train(words: list[str]) -> None:
    """``arena train``; its options depend on the game, so ``arena.config`` parses them."""
    from arena.config import parse

    with usage_errors("arena train"):
        config = parse(words)
    from arena.train import train

    train(config)


def run_play(words: list[str]) -> None:
    """``arena play``."""
    options = _parse(Play, "play", words)
    import numpy as np

    import agents
    import games
    from arena.terminal import PlaySession, choose_seat, default_opponent

    game = games.make(options.game)
    _check_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    if options.opponent is None:
        opponent = default_opponent(game, Path("runs"), sys.stdout)
    else:
        opponent = agents.make(options.opponent, game)
    PlaySession(game, opponent, choose_seat(options.seat, game, rng), rng, sys.stdin, sys.stdout).run()


def run_tournament(words: list[str]) -> None:
    """``arena tournament``: plays with a progress bar, then prints the standings, also after Ctrl-C."""
    options = _parse(Tournament, "tournament", words)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    import agents
    import games
    from arena.standings import console_for, print_standings
    from arena.tournament import RESULTS, check_tournament, play_tournament

    game = games.make(options.game)
    check_tournament(game, options.agents, options.games)
    _check_seed(options.seed)
    if options.anchor is not None and options.anchor not in options.agents:
        raise UsageError(f"--anchor {options.anchor} is not one of --agents {' '.join(options.agents)}.")
    if options.opening_plies is not None and not 0 <= options.opening_plies < game.spec.max_plies:
        raise UsageError(f"--opening-plies is {options.opening_plies}; give 0 to {game.spec.max_plies - 1}.")
    players = [agents.make(spec, game) for spec in options.agents]
    out = options.out or Path("tournaments") / f"{options.game}-{time.strftime('%Y%m%d-%H%M%S')}"
    plies = None if options.opening_plies is None else (options.opening_plies, options.opening_plies)
    total = options.games * len(players) * (len(players) - 1) // 2
    records: list[MatchRecord] = []
    console = console_for(sys.stdout)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    interrupted = False
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(options.game, total=total)

        def on_game(record: MatchRecord) -> None:
            records.append(record)
            progress.update(task, advance=1)

        try:
            play_tournament(
                game, players, options.games, seed=options.seed, out=out, opening_plies=plies, on_game=on_game
            )
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        console.print(f"Stopped after {len(records)} of {total} games.", highlight=False)
    if records:
        print_standings(options.agents, records, console, anchor=options.anchor)
    console.print(f"Games: {out / RESULTS}", highlight=False, soft_wrap=True)
    if interrupted:
        sys.exit(INTERRUPTED)


def run_accuracy(words: list[str]) -> None:
    """``arena accuracy``."""
    options = _parse(Accuracy, "accuracy", words)
    _check_seed(options.seed)
    from arena import accuracy
    from arena.standings import console_for

    accuracy.run(
        options.game, options.agent, seed=options.seed, limit=options.positions, console=console_for(sys.stdout)
    )


def run_benchmark(words: list[str]) -> None:
    """``arena benchmark``."""
    options = _parse(Benchmark, "benchmark", words)
    from arena import benchmark

    benchmark.run(options)


def run_doctor(words: list[str]) -> None:
    """``arena doctor``."""
    options = _parse(Doctor, "doctor", words)
    from arena import doctor
    from arena.standings import console_for

    doctor.examine(options.game, console_for(sys.stdout))


def _check_seed(seed: int | None) -> None:
    if seed is not None and seed < 0:
        raise UsageError(f"--seed is {seed}; it must be 0 or more.")


def run_games(words: list[str]) -> None:
    """``arena games``."""
    _parse(Games, "games", words)
    import games
    from agents.registry import describe

    print("Games:")
    for default, names in games.families().items():
        game = games.make(default)
        spec, solver = game.spec, ", has an exact solver" if game.can_solve else ""
        players = "1 player" if spec.num_players == 1 else f"{spec.num_players} players"
        others = f" (and {', '.join(name for name in names if name != default)})" if len(names) > 1 else ""
        print(f"  {default}: {players}, {spec.num_actions} actions, at most {spec.max_plies} plies{solver}{others}")
    print("\nAgents (name[:argument][,key=value]…):")
    print("\n".join(f"  {line}" for line in describe().splitlines()))


if __name__ == "__main__":
    main()
