"""What can be said after ``arena COMMAND``, as one dataclass for each command: tyro makes ``--help`` of their texts.

The options of ``arena train`` and ``arena learn`` depend on the game and the data; those are in ``arena/config.py`` and
``arena/learn_config.py``. Nothing is imported here that would make ``--help`` slow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

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

    curves: the course of losses and accuracies. calibration: how often it is right where it is so sure. filters: the
    first layer. confusion, roc, saliency: of a classifier of pictures. policy: over the board, in the position after
    --moves. probe: what a transformer knows of the board.
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
