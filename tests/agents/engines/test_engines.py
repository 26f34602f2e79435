"""Engines as opponents: whatever a program does, the game has an end and a reason within its time."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import agents
import games
from agents.core import ForfeitError, HistoryAgent, SearchResult
from agents.engines import process
from agents.engines.agent import EngineAgent
from agents.engines.process import EngineError, EngineProcess
from agents.engines.uci import Listed
from games import ArenaError, EndReason, UnknownNameError

FAKE = f"{sys.executable} {Path(__file__).with_name('fake_engine.py')}"
SHORT = 0.5  # seconds
LONG = 20.0  # enough to start Python on a busy machine
made: list[EngineAgent] = []


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """Every engine of a test ends with it."""
    yield
    while made:
        made.pop().close()


def fake(protocol: str, stage: str, deed: str, *starts: object, options: str = f"timeout={LONG}") -> EngineAgent:
    """An agent with a fake engine, for chess, shogi or 5 × 5 Go."""
    if protocol == "uci":
        pytest.importorskip("chess")
    words = " ".join(map(str, [FAKE, protocol, stage, deed, *starts]))
    agent = agents.make(
        f"{protocol}:{words},{options}", games.make({"uci": "chess", "usi": "shogi", "gtp": "go_5x5"}[protocol])
    )
    assert isinstance(agent, EngineAgent)
    assert isinstance(agent, HistoryAgent)
    made.append(agent)
    return agent


def ask(agent: EngineAgent) -> SearchResult:
    """Its move at the start of the game."""
    return agent.act(agent._game.init(1), np.random.default_rng(0))


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return False


# ---- misbehaviour ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["uci", "gtp"])
@pytest.mark.parametrize(
    ("deed", "says"),
    [
        ("hang", "in time"),
        ("die", "exit code 3; it said 'out of memory, as far as I can tell'"),
        ("flood", r"in time, but [\d,]+ bytes of other things"),
        ("line", "without an end of line"),
        ("utf16", "no text in UTF-8"),
        ("deaf", "in time"),
        ("illegal", "no legal move"),
        ("nonsense", "no legal move"),
    ],
)
def test_a_misbehaving_engine_forfeits_with_a_reason_and_is_started_again(
    protocol: str, deed: str, says: str, tmp_path: Path
) -> None:
    stage = "go" if protocol == "uci" else "genmove"
    agent = fake(protocol, stage, deed, 1, tmp_path / "starts")
    assert agent._engines[0] is not None
    agent._engines[0].options = dataclasses.replace(agent._engines[0].options, timeout=SHORT)
    started = time.monotonic()
    with pytest.raises(ForfeitError, match=says) as error:
        ask(agent)
    assert time.monotonic() - started < LONG
    (reason, why) = error.value.ends[0]
    assert reason is EndReason.FORFEIT
    assert "fake_engine.py" in why
    assert "\n" not in why
    assert error.value.result.action.tolist() == [-1]
    assert ask(agent).action[0] >= 0
    assert (tmp_path / "starts").read_text() == ".."


@pytest.mark.parametrize("deed", ["hang", "die", "flood", "line", "utf16", "deaf"])
@pytest.mark.parametrize(
    ("protocol", "stage"),
    [
        *(("uci", "uci"), ("uci", "isready"), ("usi", "usi"), ("usi", "isready")),
        *(("gtp", "protocol_version"), ("gtp", "list_commands"), ("gtp", "boardsize"), ("gtp", "komi")),
    ],
)
def test_an_engine_that_does_not_start_is_refused_in_time(protocol: str, stage: str, deed: str) -> None:
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"fake_engine\.py") as error:
        fake(protocol, stage, deed, options=f"timeout={SHORT if deed in ('hang', 'flood', 'deaf') else LONG}")
    assert time.monotonic() - started < LONG
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("deed", ["hang", "die", "utf16"])
@pytest.mark.parametrize("stage", ["clear_board", "play", "set_random_seed", "time_left"])
def test_at_every_command_of_a_move_it_may_fail_and_only_that_game_is_lost(
    stage: str, deed: str, tmp_path: Path
) -> None:
    agent = fake("gtp", stage, deed, 1, tmp_path / "starts", options=f"timeout={LONG},clock=30")
    assert agent._engines[0] is not None
    agent._engines[0].options = dataclasses.replace(agent._engines[0].options, timeout=SHORT)
    states, moves, plies = _after_one_move(agent, agent._game.init(1))
    started = time.monotonic()
    with pytest.raises(ForfeitError, match=r"fake_engine\.py"):
        agent.act_after(states, moves, plies, np.random.default_rng(0))
    assert time.monotonic() - started < LONG
    assert agent.act_after(states, moves, plies, np.random.default_rng(0)).action[0] >= 0


@pytest.mark.parametrize(("protocol", "stage"), [("uci", "uci"), ("uci", "isready"), ("gtp", "play"), ("gtp", "komi")])
def test_one_that_does_not_start_again_forfeits_the_next_game_too(protocol: str, stage: str, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    agent = fake(protocol, stage, "die", "2+3", starts)
    state = agent._game.init(1)
    assert ask(agent).action[0] >= 0
    agent._drop(0)  # as after a failure
    for _ in range(2):
        with pytest.raises(ForfeitError, match="exit code 3"):
            agent.act_after(*_after_one_move(agent, state), np.random.default_rng(0))
    assert agent.act_after(*_after_one_move(agent, state), np.random.default_rng(0)).action[0] >= 0


def _after_one_move(agent: EngineAgent, states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    states, moves = states.copy(), np.array([[agent._game.legal_action_mask(states)[0].argmax(), -7]])
    agent._game.step(states, moves[:, 0])
    return states, moves, np.array([1])


def test_resigning_is_not_failing() -> None:
    for protocol, stage in (("uci", "go"), ("gtp", "genmove")):
        agent = fake(protocol, stage, "resign")
        with pytest.raises(ForfeitError, match="resigned") as error:
            ask(agent)
        assert error.value.ends[0][0] is EndReason.RESIGNATION or protocol == "uci"
        assert agent._engines[0] is not None or protocol == "uci"


def test_other_games_of_a_batch_go_on(tmp_path: Path) -> None:
    agent = fake("gtp", "genmove", "die", 1, tmp_path / "starts")
    with pytest.raises(ForfeitError) as error:
        agent.act(agent._game.init(4), np.random.default_rng(0))
    assert list(error.value.ends) == [0]
    assert error.value.result.action.tolist() == [-1, 25, 25, 25]
    assert error.value.result.action_weights.sum(axis=1).tolist() == [0, 1, 1, 1]


def test_games_are_dealt_to_processes() -> None:
    agent = fake("gtp", "never", "hang", options=f"timeout={LONG},processes=3")
    states = agent._game.init(7)
    moves, plies = np.zeros((7, 4), np.int64), np.zeros(7, np.int64)
    result = agent.act_after(states, moves, plies, np.random.default_rng(0), np.array([0, 1, 2, 3, 4, 5, 9]))
    assert result.action.tolist() == [25] * 7
    assert len({engine.process.pid for engine in agent._engines if engine}) == 3


def test_a_slow_engine_loses_on_time_but_only_by_its_clock(tmp_path: Path) -> None:
    agent = fake("gtp", "genmove", "slow", options=f"timeout={LONG},clock=1.0+0.05")
    rng, game = np.random.default_rng(0), agent._game
    states, moves, slots = game.init(1), np.zeros((1, 9), np.int64), np.array([5])
    agent.act_after(states, moves, np.array([0]), rng, slots)
    assert 0.0 < agent._courses[5].left < 0.5
    with pytest.raises(ForfeitError, match=r"in time|lost on time"):
        agent.act_after(states, np.array([[0, 1]]), np.array([2]), rng, slots)
    agent.act_after(states, moves, np.array([0]), rng, slots)  # a new game has a new clock
    patient = fake("gtp", "genmove", "slow", options=f"timeout={LONG},movetime=10")
    assert ask(patient).action[0] == 25


# ---- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("Hsh=3", "Unknown option of .* 'Hsh'; did you mean 'Hash'"),
        ("Hash=99", "takes a whole number from 1 to 64, not '99'"),
        ("Hash=", "takes a whole number"),
        ("Skill Level=low", "takes very low, high, not 'low'"),
        ("Wipe=now", "takes no value"),
        ("elo=100", "takes a whole number from 500 to 2000, not '100'"),
        ("UCI_Variant=atomic", "plays chess here; leave UCI_Variant out"),
        ("movetime=5,clock=3", "both movetime and clock"),
        ("clock=fast", "write seconds"),
        ("clock=0", "write seconds"),
        ("clock=nan+1", "write seconds"),
        ("nodes=-1", "a whole number from 0"),
        ("Hash=3,Hash=4", "twice"),
        ("fast", "bare argument"),
    ],
)
def test_wrong_options_are_refused(options: str, says: str) -> None:
    with pytest.raises(ArenaError, match=says) as error:
        fake("uci", "never", "hang", options=f"timeout={LONG},{options}")
    assert "\n" not in str(error.value)


def test_right_options_are_taken_with_the_engines_own_capitals() -> None:
    agent = fake("uci", "never", "hang", options=f"timeout={LONG},hash=64,skill level=Very Low,Wipe=,elo=700,depth=3")
    result = ask(agent)
    assert result.action[0] >= 0
    assert result.value[0] == pytest.approx(math.tanh(25 * 0.00184104))
    assert result.action_weights.sum() == 1


@pytest.mark.parametrize(
    ("spec", "game", "says"),
    [
        ("uci", "chess", "needs a command"),
        ("uci:no-such-engine", "chess", "There is no program 'no-such-engine'; install it"),
        ("uci:'stockfish", "chess", "is not a command"),
        (f"uci:{FAKE}", "connect_four", "UCI is for chess, not for connect_four"),
        (f"usi:{FAKE}", "chess", "USI is for shogi"),
        (f"gtp:{FAKE}", "connect_four", "GTP is for Go, Othello, Hex, Gomoku"),
        (f"gtp:{FAKE} gtp never hang,level=5", "go_5x5", "Unknown command of .* 'level'"),
    ],
)
def test_engines_that_are_not_there_or_play_something_else(spec: str, game: str, says: str) -> None:
    with pytest.raises(ArenaError, match=says):
        agents.make(spec, games.make(game))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("option name Hash type spin default 16 min 1 max 33", Listed("Hash", "spin", 1, 33, ())),
        (
            "option name A b type combo default x var x var y z",
            Listed("A b", "combo", -math.inf, math.inf, ("x", "y z")),
        ),
        ("option name Clear type button", Listed("Clear", "button", -math.inf, math.inf, ())),
        ("option name Odd type spin min x", Listed("Odd", "spin", -math.inf, math.inf, ())),
        ("option name No", None),
        ("id name option", None),
    ],
)
def test_options_are_read_as_engines_list_them(line: str, expected: Listed | None) -> None:
    assert Listed.parse(line) == expected


# ---- processes -------------------------------------------------------------------------------------------------------


def test_nothing_outlives_an_agent_or_a_killed_arena(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = (
        f"import time\nfrom agents.engines.process import EngineProcess\n"
        f"p = EngineProcess({f'{FAKE} gtp child {pids}'!r})\n"
        f"p.send('name')\np.receive(time.monotonic() + 20, 'name')\nprint('up', flush=True)\n"
    )
    for ending in ("time.sleep(1000)", "p.close(); time.sleep(1000)", "", "raise SystemExit(1)"):
        arena = subprocess.Popen([sys.executable, "-c", script + ending], stdout=subprocess.PIPE, cwd=Path.cwd())
        assert arena.stdout is not None
        assert arena.stdout.readline() == b"up\n"
        engine, child = map(int, pids.read_text().split())
        if ending == "time.sleep(1000)":
            assert is_running(engine)
            assert is_running(child)
            os.kill(arena.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while (is_running(engine) or is_running(child)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not is_running(engine)
        assert not is_running(child)
        arena.kill()
        arena.wait()
        arena.stdout.close()


def test_what_an_engine_does_not_read_waits_without_blocking_us() -> None:
    running = EngineProcess(f"{sys.executable} -c 'import time; time.sleep(0.5); print(len(input()))'")
    running.send(1_000_000 * "x")
    assert running.receive(time.monotonic() + LONG, "a number") == "1000000"
    running.close()


def test_long_lines_are_cut_off_and_lines_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MAX_LINE", 1000)
    running = EngineProcess(f'{sys.executable} -c \'print(1); print(2); print(); print(4); print(5000 * "x", end="")\'')
    assert [running.receive(time.monotonic() + LONG, "x") for _ in range(4)] == ["1", "2", "", "4"]
    with pytest.raises(EngineError, match=r"without an end of line|exit code 0"):
        running.receive(time.monotonic() + LONG, "x")
    running.close()


# ---- real engines ----------------------------------------------------------------------------------------------------


def real(spec: str, game: str) -> EngineAgent:
    """An agent with a real engine; skips where there is none."""
    command = spec.partition(":")[2].split(",")[0].split()[0]
    if not (shutil.which(command) or shutil.which(command, path="/usr/games")):
        pytest.skip(f"{command} is not installed")
    agent = agents.make(spec, games.make(game))
    assert isinstance(agent, EngineAgent)
    made.append(agent)
    return agent


GNUGO = "gtp:gnugo --mode gtp --chinese-rules --positional-superko --play-out-aftermath --capture-all-dead,level=1"


@pytest.mark.parametrize(
    ("spec", "game", "slots"),
    [
        ("uci:stockfish,nodes=200,Hash=1", "chess", 4),
        ("uci:fairy-stockfish,depth=2,elo=1500", "chess", 4),
        ("uci:stockfish,clock=0.5+0.01", "chess", 2),
        ("usi:fairy-stockfish,nodes=200", "shogi", 2),
        (GNUGO, "go_5x5:komi=24.5,ko=situational", 2),
        ("gtp:gtp-rhino -l 1", "othello", 4),
    ],
)
def test_real_engines_win_whole_games_against_random_moves(spec: str, game: str, slots: int) -> None:
    from arena.play import play_games
    from arena.records import Pairing

    engine = real(spec, game)
    rules = engine._game
    players = (engine, agents.make("random", rules))
    pairings = iter([Pairing(number, (number % 2, 1 - number % 2)) for number in range(slots)])
    for trajectory in play_games(rules, players, pairings, slots=slots, rng=np.random.default_rng(1)):
        assert trajectory.end_reason is EndReason.WIN, trajectory.note
        assert trajectory.returns[trajectory.pairing.seats.index(0)] == 1
        if not spec.startswith("gtp"):
            assert np.isfinite(trajectory.root_values).sum() in (
                len(trajectory.moves) // 2,
                -(-len(trajectory.moves) // 2),
            )


def test_a_limited_engine_plays_the_same_whatever_it_did_before() -> None:
    engine, rng = real("uci:stockfish,nodes=2000", "chess"), np.random.default_rng(0)
    states = engine._game.init(3)
    engine._game.step(states[1:2], [int(engine._game.parse_action(states[1], "e4"))])
    first = engine.act(states, rng).action
    assert engine.act(states[::-1].copy(), rng).action.tolist() == first[::-1].tolist()


def test_the_same_seed_makes_gnu_go_play_the_same() -> None:
    engine = real(GNUGO, "go_9x9")
    results = [engine.act(engine._game.init(3), np.random.default_rng(seed)).action.tolist() for seed in (1, 2, 1)]
    assert results[0] == results[2]


@pytest.mark.parametrize(
    ("spec", "game", "says"),
    [
        ("gtp:gnugo --mode gtp", "othello", "plays Go, not Othello"),
        ("gtp:gnugo --mode gtp", "hex_11x11", "plays Go, not Hex"),
        ("gtp:gtp-rhino", "go_9x9", "plays Othello, not Go"),
        ("gtp:gnugo --mode gtp,level=x", "go_9x9", "level not an integer"),
        ("uci:fairy-stockfish,UCI_Variant=xiangqi", "chess", "leave UCI_Variant out"),
        ("uci:stockfish,Skill Level=21", "chess", "from 0 to 20"),
    ],
)
def test_real_engines_are_not_taken_for_others(spec: str, game: str, says: str) -> None:
    with pytest.raises(ArenaError, match=says):
        real(spec, game)


def test_unknown_options_of_real_engines() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'Threads'"):
        real("uci:stockfish,Thread=2", "chess")
