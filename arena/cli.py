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
    from arena.tournament import Settings

Options = TypeVar("Options")

USAGE_ERROR = 2
INTERRUPTED = 130  # what shells report for a program that Ctrl-C ended

OVERVIEW = """\
arena: train agents that learn board games by themselves, play against them, rate them.

  arena train connect_four --minutes 10            learn from scratch by self-play
  arena learn cifar10 --data data                  learn from data: pictures, or games that people played
  arena play connect_four                          play against the result
  arena tournament connect_four --agents random mcts:simulations=100 mcts:simulations=800
                                                   rate agents against each other, with error bars
  arena accuracy connect_four --agent mcts         how often an agent finds the perfect move
  arena show runs/gpt                              look at a run: curves, filters, policies, probes
  arena doctor connect_four                        what this machine can do, and what is wrong with it
  arena benchmark                                  how fast everything is here
  arena engine uci --agent net:runs/chess          be an engine for other people's programs
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
    """Rate agents against each other: they meet in pairs of games, seats swapped, on the same openings.

    Examples:

      arena tournament connect_four --agents random mcts:simulations=100 mcts:simulations=800

      arena tournament connect_four --agents net:runs/c4,simulations=0 net:runs/c4 mcts --games 200 --anchor mcts

      arena tournament connect_four --agents net:runs/new net:runs/old --format sprt --elo1 20

      arena tournament connect_four --agents random mcts net:runs/c4 --out tournaments/one --resume

      arena tournament report tournaments/one

    Prints Bradley–Terry ratings on the Elo scale with 95 % intervals and a crosstable. Every game is a line of
    games.jsonl in the output directory as soon as it ends, so a tournament that was cut off goes on with --resume; and
    so does one with more agents, added at the end of --agents, or more --games.
    """

    game: Game
    """What to play; arena games lists them."""
    agents: Annotated[tuple[str, ...], tyro.conf.arg(metavar="AGENT AGENT …")]
    """Two agents or more (arena games lists them)."""
    format: Literal["round-robin", "gauntlet", "swiss", "sprt"] = "round-robin"
    """Who meets whom: everybody everybody, the first agent all others, those with like points in --rounds rounds, or
    two agents until a sequential test decides what the first is worth."""
    games: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Games of every two agents that meet; even, because each opening is played from both seats. By default 40; in a
    sequential test, the most, by default 10,000."""
    rounds: int = 5
    """Rounds of the Swiss system."""
    elo0: float = 0.0
    """Sequential test: accept that the first agent is worth this against the second, …"""
    elo1: float = 10.0
    """… or that it is worth this."""
    elo_model: Literal["normalized", "logistic"] = "normalized"
    """Sequential test: the Elo that is meant."""
    alpha: float = 0.05
    """Sequential test: how often it may accept elo1 where elo0 is true."""
    beta: float = 0.05
    """Sequential test: how often it may accept elo0 where elo1 is true."""
    seed: int = 0
    """What openings and agents draw from; the same seed gives the same tournament."""
    book: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Openings: games (.pgn, .sgf, .moves and archives of them) or one position per line (.fen, .epd, .sfen); by
    default random moves."""
    opening_plies: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Random plies at the start of each game, without which two deterministic agents would repeat one game; by default
    2 to 4, fewer in very short games. With --book: the most plies of its games that are played."""
    balance_by: Annotated[str | None, tyro.conf.arg(metavar="AGENT")] = None
    """Keep only random openings that this agent finds balanced, such as solver, or net:runs/c4."""
    balance: float = 0.2
    """The largest value, of -1 to 1, that it may see for either side."""
    resign_plies: int = 0
    """End games as won when both agents have expected it for so many plies; 0 = never."""
    resign_value: float = 0.95
    """The value, of 0 to 1, that both must expect."""
    draw_plies: int = 0
    """End games as drawn when both agents have expected it for so many plies; 0 = never."""
    draw_value: float = 0.05
    """The largest value that looks like a draw."""
    draw_after: int = 0
    """Plies that are always played before a draw."""
    max_plies: int = 0
    """End games that are so long as drawn; 0 = as the rules say."""
    anchor: Annotated[tuple[str, ...], tyro.conf.arg(metavar="AGENT[=ELO] …")] = ()
    """Agents whose rating is held at 0, or at what is given; by default the average is held at 0."""
    in_flight: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Games that are played at once; the result does not depend on it. By default 256, and 64 in a sequential test,
    which may stop at any time."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where the results go; by default tournaments/GAME-DATE-TIME, or with --resume the newest of them."""
    resume: bool = False
    """Go on with the tournament in --out: only what is missing is played."""


@dataclass(frozen=True)
class TournamentReport:
    """Print the standings of a tournament and write them, with every game, as one page for a browser.

    Examples:

      arena tournament report tournaments/one

      arena tournament report tournaments/one --anchor mcts=1000

    The page is report.html in the same directory; it needs nothing else, neither files nor a network.
    """

    directory: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Where the tournament is."""
    anchor: Annotated[tuple[str, ...], tyro.conf.arg(metavar="AGENT[=ELO] …")] = ()
    """Agents whose rating is held at 0, or at what is given; by default the average is held at 0."""


@dataclass(frozen=True)
class Engine:
    """Let programs of other people play with an agent: speak an engine's protocol on standard input and output.

    Examples:

      arena engine uci --agent net:runs/chess

      arena engine gtp --agent net:runs/go_9x9,simulations=400

      arena engine gtp --game othello --agent mcts:simulations=2000

    This is what to enter as the engine's command in a chess program (UCI), a shogi program (USI), or one for Go,
    Othello, Hex or Gomoku (GTP).
    """

    protocol: Annotated[Literal["uci", "usi", "gtp"], tyro.conf.Positional]
    """UCI for chess, USI for shogi, GTP for Go, Othello, Hex and Gomoku."""
    agent: Annotated[str, tyro.conf.arg(metavar="AGENT")]
    """Who plays (arena games lists the agents); where the client sets no limit, with the simulations given here."""
    game: Annotated[str | None, tyro.conf.arg(metavar="GAME")] = None
    """What is played; by default what the network was trained on, or else chess, shogi or go_19x19. With GTP the client
    may change the size."""
    seed: int = 0
    """What the agent's choices are drawn from."""


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
class Show:
    """Look at a run of arena learn or arena train, in the terminal and as PNG files.

    Examples:

      arena show runs/cifar10

      arena show runs/gpt --what policy --moves f5 d6 c3

      arena show runs/gpt --what probe --data data

    curves: the course of losses and accuracies. filters: the first layer. confusion, roc, saliency: of a classifier of
    pictures. policy: over the board, in the position after --moves. probe: what a transformer knows of the board.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run."""
    what: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PART PART …")] = ()
    """What to show; by default all that the run has."""
    moves: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MOVE MOVE …")] = ()
    """policy: the moves that lead to the position, as players write them."""
    index: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """saliency: the picture's number in the test split; by default the first one of a cat."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """saliency and probe: where the data lies, if no longer where the run found it."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where the PNG files go; by default RUN/show."""


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
        "engine": run_engine,
        "games": run_games,
        "learn": run_learn,
        "play": run_play,
        "show": run_show,
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


def run_learn(words: list[str]) -> None:
    """``arena learn``; its options depend on the dataset and the backbone, so ``arena.learn_config`` parses them."""
    from arena.learn_config import parse

    with usage_errors("arena learn"):
        config = parse(words)
    from arena.supervised import learn

    learn(config)


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
    if words[:1] == ["report"]:
        run_tournament_report(words[1:])
        return
    options = _parse(Tournament, "tournament", words)
    import agents
    from agents.core import RemarkingAgent
    from arena import tournament
    from arena.standings import console_for, play_with_progress, print_standings

    _check_seed(options.seed)
    slots = options.in_flight or (64 if options.format == "sprt" else 256)
    if slots < 1:
        raise UsageError(f"--in-flight is {slots}; give 1 or more.")
    settings = _tournament_settings(options)
    anchors = _anchors(options.anchor, options.agents)
    if options.resume:
        out = options.out or tournament.newest(Path("tournaments"), options.game)
        played = tournament.Tournament.resume(out, settings)
    else:
        out = options.out or Path("tournaments") / f"{options.game}-{time.strftime('%Y%m%d-%H%M%S')}"
        played = tournament.Tournament.create(out, settings)
    players = [agents.make(spec, played.game) for spec in options.agents]
    console = console_for(sys.stdout)
    finished = play_with_progress(played, players, console, slots)
    if not finished:
        console.print(f"Stopped after {len(played.records)} of {played.format.total} games.", highlight=False)
    if played.records:
        print_standings(played, console, anchors)
    for player in players:
        if isinstance(player, RemarkingAgent) and (remark := player.remark()):
            console.print(remark, highlight=False, soft_wrap=True, markup=False)
    console.print(f"Games: {out / tournament.RESULTS}", highlight=False, soft_wrap=True, markup=False)
    if not finished:
        sys.exit(INTERRUPTED)


def _tournament_settings(options: Tournament) -> Settings:
    from arena.adjudication import Adjudication
    from arena.sprt import Sprt
    from arena.tournament import Settings

    is_test = options.format == "sprt"
    rules = Adjudication(
        resign_value=options.resign_value,
        resign_plies=options.resign_plies,
        draw_value=options.draw_value,
        draw_plies=options.draw_plies,
        draw_after=options.draw_after,
        max_plies=options.max_plies,
    )
    plies = options.opening_plies
    if plies is not None and plies < 0:
        raise UsageError(f"--opening-plies is {plies}; give 0 or more.")
    return Settings(
        game=options.game,
        agents=tuple(spec.strip() for spec in options.agents),
        format=options.format,
        games=(10_000 if is_test else 40) if options.games is None else options.games,
        rounds=options.rounds,
        seed=options.seed,
        book="" if options.book is None else str(options.book),
        opening_plies=None if plies is None else (plies, plies),
        balance_by=options.balance_by or "",
        balance=options.balance,
        adjudication=rules if rules.resign_plies or rules.draw_plies or rules.max_plies else None,
        sprt=Sprt(options.elo0, options.elo1, options.alpha, options.beta, options.elo_model) if is_test else None,
    )


def _anchors(given: Sequence[str], agents: Sequence[str]) -> dict[str, float]:
    """``AGENT`` or ``AGENT=ELO``, where the agent itself may hold equals signs."""
    anchors = {}
    for text in given:
        name, _, elo = text.rpartition("=")
        if text in agents:
            anchors[text] = 0.0
            continue
        try:
            anchors[name] = float(elo)
        except ValueError:
            name = ""
        if name not in agents:
            raise UsageError(f"--anchor {text} is not one of --agents {' '.join(agents)}, or one of them and =ELO.")
    return anchors


def run_tournament_report(words: list[str]) -> None:
    """``arena tournament report``."""
    options = _parse(TournamentReport, "tournament report", words)
    from arena.report import write_report
    from arena.standings import console_for, print_standings
    from arena.tournament import Tournament as Played

    played = Played.load(options.directory)
    if not played.records:
        raise UsageError(f"No game of the tournament in {options.directory} is over yet.")
    anchors = _anchors(options.anchor, played.settings.agents)
    console = console_for(sys.stdout)
    print_standings(played, console, anchors)
    path = write_report(played, anchors)
    console.print(f"Report: {path}", highlight=False, soft_wrap=True, markup=False)


def run_engine(words: list[str]) -> None:
    """``arena engine``: nothing but the protocol goes to standard output."""
    options = _parse(Engine, "engine", words)
    from arena.engine import Player
    from arena.engine_gtp import GtpServer
    from arena.engine_uci import UciServer
    from games.notation import UCI, USI

    _check_seed(options.seed)
    protocol = {"uci": UCI, "usi": USI}.get(options.protocol)
    player = Player(options.agent, options.game, protocol.family if protocol else "go_19x19", options.seed)
    streams = sys.stdin.buffer, sys.stdout
    server = UciServer(protocol, player, *streams) if protocol else GtpServer(player, *streams)
    server.run()


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


def run_show(words: list[str]) -> None:
    """``arena show``."""
    options = _parse(Show, "show", words)
    from arena import show
    from arena.standings import console_for

    for name in options.what:
        if name not in show.PARTS:
            raise UnknownNameError(unknown_name("part", name, show.PARTS))
    console = console_for(sys.stdout)
    places = {"out": options.out, "data": options.data}
    show.show(options.run, options.what, console=console, moves=options.moves, index=options.index, **places)


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
