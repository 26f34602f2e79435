"""The command line, ``arena COMMAND``: what each command does with its options, which are in ``arena/options.py``.

What a user got wrong is told in one sentence on stderr, with exit code 2. Each command imports what it needs when it
runs, so that ``arena --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arena.options import Accuracy, Benchmark, Doctor, Engine, Games, Play, Show, Tournament, TournamentReport
from arena.usage import UsageError, parse, usage_errors
from games import ArenaError, UnknownNameError
from games.registry import unknown_name

if TYPE_CHECKING:
    from arena.tournament import Settings

PLAYING = ("accuracy", "play", "show", "tournament")
"""Commands whose networks compute on one thread: two that wait for each other beside another busy process, such as a
training run, take thirty times as long as one. Engines see to it themselves, once they are told which network."""
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
    if words[0] in PLAYING:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # PyTorch, which is not imported yet, reads it
    commands[words[0]](words[1:])


def run_train(words: list[str]) -> None:
    """``arena train``; its options depend on the game, so ``arena.config`` parses them."""
    from arena.config import parse as parse_config

    with usage_errors("arena train"):
        config = parse_config(words)
    from arena.train import train

    train(config)


def run_learn(words: list[str]) -> None:
    """``arena learn``; its options depend on the dataset and the backbone, so ``arena.learn_config`` parses them."""
    from arena.learn_config import parse as parse_config

    with usage_errors("arena learn"):
        config = parse_config(words)
    from arena.supervised import learn

    learn(config)


def run_play(words: list[str]) -> None:
    """``arena play``."""
    options = parse(Play, "play", words)
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
    options = parse(Tournament, "tournament", words)
    import agents
    from agents.core import RemarkingAgent
    from agents.files import dated
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
        out = options.out or dated(Path("tournaments"), options.game)
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
    options = parse(TournamentReport, "tournament report", words)
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
    options = parse(Engine, "engine", words)
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
    options = parse(Accuracy, "accuracy", words)
    _check_seed(options.seed)
    from arena import accuracy
    from arena.standings import console_for

    accuracy.run(
        options.game, options.agent, seed=options.seed, limit=options.positions, console=console_for(sys.stdout)
    )


def run_benchmark(words: list[str]) -> None:
    """``arena benchmark``."""
    options = parse(Benchmark, "benchmark", words)
    from arena import benchmark

    benchmark.run(options)


def run_show(words: list[str]) -> None:
    """``arena show``."""
    options = parse(Show, "show", words)
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
    options = parse(Doctor, "doctor", words)
    from arena import doctor
    from arena.standings import console_for

    doctor.examine(options.game, console_for(sys.stdout))


def _check_seed(seed: int | None) -> None:
    if seed is not None and seed < 0:
        raise UsageError(f"--seed is {seed}; it must be 0 or more.")


def run_games(words: list[str]) -> None:
    """``arena games``."""
    parse(Games, "games", words)
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
