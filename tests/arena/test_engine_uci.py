"""Our agents as UCI and USI engines: every command, the clock, and whole games with python-chess."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import agents
import games
from arena.cli import main
from arena.engine import TimeKeeper
from arena.engine_uci import UciServer
from arena.play import play_games
from arena.records import Pairing
from games import EndReason
from games.notation import UCI, USI, without_past
from tests.arena.engine_client import Client

ENGINE = f"{sys.executable} -m arena.cli engine"
AGENT = "mcts:simulations=20"


@pytest.fixture(scope="module")
def shared() -> Iterator[Client]:
    client = Client(functools.partial(UciServer, UCI), AGENT, None)
    yield client
    client.close()


@pytest.fixture
def chess(shared: Client) -> Client:
    """A UCI engine that has begun a new game."""
    shared.clear()
    for line in ("setoption name MultiPV value 1", "setoption name Move Overhead value 10", "ucinewgame"):
        shared.send(line)
    shared.send("position startpos\nisready")
    assert shared.until("readyok") == ["readyok"]
    return shared


def go(client: Client, what: str) -> tuple[str, list[str]]:
    """The move that ``go …`` brings, and the lines before it."""
    client.send(f"go {what}")
    *lines, best = client.until("bestmove")
    return best.split()[1], lines


# ---- what there is to say --------------------------------------------------------------------------------------------


def test_it_introduces_itself(chess: Client) -> None:
    chess.send("uci")
    lines = chess.until("uciok")
    assert lines[0] == f"id name arena {AGENT}"
    options = [line.split(" type ") for line in lines if line.startswith("option name ")]
    assert {name.removeprefix("option name ") for name, _ in options} == {
        *("Hash", "Ponder", "Clear Hash", "MultiPV", "Move Overhead")
    }


def test_every_limit_ends_the_search(chess: Client) -> None:
    for limit in ("nodes 30", "movetime 100", "depth 2", "wtime 1000 btime 1000", "wtime 100 btime 100 movestogo 1"):
        started = time.monotonic()
        move, lines = go(chess, limit)
        assert re.fullmatch("[a-h][1-8][a-h][1-8]", move)
        assert time.monotonic() - started < 10
        assert lines == [] if "100 " in limit else lines[-1].startswith("info depth ")  # too little time to tell
        if limit == "nodes 30":
            assert " nodes 30 " in lines[-1]
        if limit == "depth 2":
            assert int(lines[-1].split()[2]) >= 2


def test_the_lines_say_what_they_mean(chess: Client) -> None:
    chess.send("setoption name MultiPV value 3")
    chess.send("position fen 7k/8/4Q1K1/8/8/8/8/8 w - - 0 1")
    _, lines = go(chess, "nodes 400")
    last = lines[-3:]
    pattern = r"info depth (\d+) multipv (\d) score cp (-?\d+) nodes (\d+) nps \d+ hashfull \d+ time \d+ pv (.*)"
    found = [re.fullmatch(pattern, line) for line in last]
    assert [match[2] for match in found if match] == ["1", "2", "3"]
    first = found[0]
    assert first
    assert first[5] in ("e6e8", "e6f7", "e6h3") or first[5].startswith("e6")
    assert int(first[3]) == 5000  # a mate is as good as it gets
    game = games.make("chess")
    for match in found:
        assert match
        state = game.parse_state("7k/8/4Q1K1/8/8/8/8/8 w - - 0 1")
        words = match[5].split()
        assert len(words) == int(match[1])
        for word in words:
            game.step(state, [UCI.parse_move(game, state[0], word)])


def test_stop_isready_and_ponderhit_are_heeded_at_once(chess: Client) -> None:
    chess.send("go infinite\nisready")
    assert chess.until("readyok")
    time.sleep(0.3)
    chess.send("stop")
    chess.until("bestmove")
    chess.send("go ponder wtime 2000 btime 2000")
    time.sleep(0.3)
    chess.clear()
    chess.send("isready")
    assert not any(line.startswith("bestmove") for line in chess.until("readyok"))
    started = time.monotonic()
    chess.send("ponderhit")
    assert " ponder " in chess.until("bestmove")[-1]
    assert time.monotonic() - started < 2
    chess.send("go ponder movetime 50")
    time.sleep(0.3)
    chess.send("stop")  # the other move was played
    chess.until("bestmove")
    chess.send("stop")  # too late, or by mistake
    chess.send("isready")
    assert chess.until("readyok") == ["readyok"]


def test_infinite_waits_for_stop_even_when_there_is_nothing_left_to_think(chess: Client) -> None:
    chess.send("position fen 7k/8/6K1/8/8/8/8/R7 b - - 0 1\ngo infinite nodes 3")
    assert chess.until("info")
    time.sleep(0.2)
    chess.clear()
    assert chess.is_silent(0.3)
    chess.send("stop")
    assert chess.until("bestmove")[-1].split()[1] == "h8g8"


def test_only_the_moves_that_are_asked_for(chess: Client) -> None:
    for moves in (["a2a3"], ["h2h4", "b1a3"]):
        assert go(chess, f"searchmoves {' '.join(moves)} nodes 20")[0] in moves
        assert go(chess, f"nodes 20 searchmoves {' '.join(moves)}")[0] in moves
    chess.send("go searchmoves e2e5 nodes 3")
    lines = chess.until("bestmove")
    assert lines[0].startswith("info string error: ")
    assert lines[-1] == "bestmove (none)"


def test_nothing_wrong_stops_it(chess: Client) -> None:
    wrong = [
        ("position fen 8/8 w", "is not a position of chess"),
        ("position startpos moves e2e5", "illegal"),
        ("position startpos moves e4", "is not how UCI writes e2e4"),
        ("position nowhere", "position needs startpos or fen"),
        ("position", "position needs startpos or fen"),
        ("setoption name Hsh value 3", "there is no option 'hsh'"),
        ("setoption name Hash value x", "takes 1 to 32768"),
        ("go nodes many", "needs a whole number"),
    ]
    for line, says in wrong:
        chess.send(line)
        assert says in chess.line()
        chess.clear()
    chess.send("go nodes 3")
    assert chess.until("bestmove")[-1] == "bestmove (none)"  # rather than a move in another position
    chess.send("position startpos\nxyzzy\njoho isready\n\n  \nregister later\ndebug on")
    assert chess.until("readyok") == ["readyok"]
    assert go(chess, "nodes 3 wibble")[0] != "(none)"


def test_when_the_game_is_over_there_is_no_move(chess: Client) -> None:
    chess.send("position fen 7k/5Q2/6K1/8/8/8/8/8 b - - 0 1")  # stalemate
    assert go(chess, "movetime 50")[0] == "(none)"


def test_a_draw_that_may_be_claimed_need_not_be(chess: Client) -> None:
    dance = "g1f3 g8f6 f3g1 f6g8 "
    for moves in (dance * 2, dance * 3 + "e2e4 e7e5", dance * 5 + "g1f3"):
        chess.send(f"position startpos moves {moves}")
        assert go(chess, "nodes 10")[0] != "(none)"
    chess.send("position fen 7k/8/6K1/8/8/8/8/R7 w - - 120 90")
    assert go(chess, "nodes 10")[0] != "(none)"


def test_the_past_can_be_forgotten_in_chess_and_shogi() -> None:
    for name, dance, protocol in (
        ("chess", "g1f3 g8f6 f3g1 f6g8", UCI),
        ("chess:history=8,planes=alphazero", "g1f3 g8f6 f3g1 f6g8", UCI),
        ("shogi", "2h3h 8b7b 3h2h 7b8b", USI),
    ):
        game = games.make(name)
        states = game.init(1)
        while not states["terminated"][0]:
            for word in dance.split():
                if not states["terminated"][0]:
                    game.step(states, [protocol.parse_move(game, states[0], word)])
        fresh = without_past(game, states)
        assert not fresh["terminated"][0]
        start = game.init(1)
        np.testing.assert_array_equal(game.legal_action_mask(fresh), game.legal_action_mask(start))
        assert fresh["ply"][0] == states["ply"][0]


def test_the_same_game_told_in_one_go_or_bit_by_bit(chess: Client) -> None:
    moves, server = ["e2e4", "e7e5", "g1f3", "b8c6", "f1b5", "a7a6"], chess.server
    assert isinstance(server, UciServer)
    for number in range(len(moves) + 1):
        chess.send(f"position startpos moves {' '.join(moves[:number])}\nisready")
        chess.until("readyok")
    bit_by_bit = server._position
    chess.send("ucinewgame")
    chess.send(f"position startpos moves {' '.join(moves)}\nisready")
    chess.until("readyok")
    assert bit_by_bit
    assert server._position
    assert bit_by_bit.states.tobytes() == server._position.states.tobytes()
    assert bit_by_bit.moves == server._position.moves
    chess.send("position startpos moves e2e4 c7c5\nisready")  # a branch, not a continuation
    chess.until("readyok")
    assert server._position.moves
    assert len(server._position.moves) == 2


@pytest.mark.parametrize("agent", ["random", "mcts:simulations=1"])
def test_agents_without_a_search_answer_too(agent: str) -> None:
    client = Client(functools.partial(UciServer, UCI), agent, "chess")
    try:
        client.send("go infinite")
        assert client.until("info")
        client.clear()
        client.send("stop")
        assert re.match("bestmove [a-h][1-8]", client.until("bestmove")[-1])
        assert go(client, "wtime 10 btime 10")[0]
        assert go(client, "searchmoves a2a3 b2b3 nodes 4")[0] in ("a2a3", "b2b3")
    finally:
        client.send("stop")
        client.close()


def test_shogi_speaks_usi() -> None:
    client = Client(functools.partial(UciServer, USI), AGENT, "shogi")
    try:
        client.send("usi")
        lines = client.until("usiok")
        assert any("USI_Hash" in line for line in lines)
        client.send("isready\nusinewgame\nposition startpos moves 7g7f 3c3d")
        assert re.fullmatch(r"\d[a-i]\d[a-i]\+?", go(client, "btime 0 wtime 0 byoyomi 200")[0])
        client.send("position sfen 4k4/9/4P4/9/9/9/9/9/4K4 b G 1")
        assert go(client, "searchmoves G*5b nodes 20")[0] == "G*5b"
        client.send("go mate 100")
        assert client.until("checkmate") == ["checkmate notimplemented"]
        client.send("position sfen 4k4/4G4/4P4/9/9/9/9/9/4K4 w - 2")
        assert go(client, "movetime 10")[0] == "resign"
    finally:
        client.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["uci", "--agent", "nobody"], "Unknown agent 'nobody'"),
        (["uci", "--agent", "human"], "A person cannot be the engine"),
        (["uci", "--agent", "mcts:simulatons=3"], "did you mean 'simulations'"),
        (["uci", "--agent", "random", "--game", "othello"], "UCI is for chess, not for othello"),
        (["uci", "--agent", "net:/nowhere"], "/nowhere"),
        (["gtp", "--agent", "random", "--game", "chess"], "GTP is for Go, Othello, Hex, Gomoku, not for chess"),
        (["gtp", "--agent", "solver", "--game", "go_5x5"], "has no exact solver"),
        (["xboard", "--agent", "random"], "xboard"),
        (["uci", "--agent", "random", "--seed", "-1"], "--seed is -1"),
    ],
)
def test_what_was_typed_wrong_is_told_in_one_sentence(
    words: list[str], says: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "typed").write_text("uci\nisready\n")
    with (tmp_path / "typed").open() as typed:
        monkeypatch.setattr(sys, "stdin", typed)
        with pytest.raises(SystemExit) as error:
            main(["engine", *words])
    assert error.value.code == 2
    told = capfd.readouterr().err.strip()
    assert says in told
    assert "\n" not in told


# ---- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("base", "increment"), [(1.0, 0.01), (10.0, 0.1), (60.0, 0.6), (0.5, 0.05), (30.0, 0.0)])
@pytest.mark.parametrize("cost", [0.001, 0.008, 0.05])
def test_the_clock_lasts_and_is_used(base: float, increment: float, cost: float) -> None:
    """A game of 80 moves whose moves cost more than they were allotted, now and then much more."""
    rng = np.random.default_rng(5)
    keeper, left, thought, hurried = TimeKeeper(), base, 0.0, 0
    for move in range(80):
        share = keeper.allot(left, increment)
        extra = (0.1 if share is None else 1.0) * cost * float(rng.exponential()) + (0.1 * base if move == 30 else 0)
        keeper.answered(share or 0.0, (share or 0.0) + 0.3 * extra)  # the rest is not seen by ourselves
        left -= (share or 0.0) + extra
        assert left > 0, move
        left += increment
        thought += share or 0.0
        hurried += share is None
    spendable = base + 80 * max(increment - cost, 0)
    if 80 * cost < base / 2:
        assert thought > 0.3 * spendable
        assert hurried < 8


def test_the_last_moves_before_a_time_control_use_it_up() -> None:
    keeper = TimeKeeper()
    assert 0.5 < (keeper.allot(10.0, 0.0, 1) or 0) / 10 < 1.0
    assert 0.1 < (TimeKeeper().allot(10.0, 0.0, 5) or 0) / 10 < 0.2


# ---- whole games -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("protocol", "game"), [("uci", "chess"), ("usi", "shogi")])
def test_our_engine_plays_our_engine(protocol: str, game: str) -> None:
    """What one half of us says, the other understands: forced passes, promotions, drops, draws and all."""
    rules = games.make(game)
    engine = agents.make(f"{protocol}:{ENGINE} {protocol} --agent random,timeout=60,nodes=1", rules)
    pairings = iter([Pairing(0, (0, 0))])
    for trajectory in play_games(rules, (engine,), pairings, slots=1, rng=np.random.default_rng(0)):
        assert trajectory.end_reason in (EndReason.WIN, EndReason.DRAW), trajectory.note
        assert len(trajectory.moves) > 20
    engine.close()  # type: ignore[attr-defined]


def test_python_chess_plays_whole_games_at_a_fast_clock() -> None:
    """1 s + 0.01 s, as `scripts` would 200 times: no illegal move, no loss on time."""
    pytest.importorskip("chess.engine")
    from tests.arena.engine_games import play_with_python_chess

    results = play_with_python_chess(f"{ENGINE} uci --agent {AGENT}", games=2, base=1.0, increment=0.01)
    assert sum(results.values()) == 2
    assert "time" not in results


def test_the_first_move_finds_everything_compiled() -> None:
    """What reads the opponent's moves, too: compiling it took a second, which lost the first game on time."""
    code = (
        "from arena.engine import Player; from games import chess\n"
        "assert not chess._find.signatures\n"
        "Player('mcts:simulations=8', 'chess', 'chess', 0).thinker\n"
        "assert chess._find.signatures and chess._describe.signatures and chess._step.signatures"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_clock_of_whole_seconds_is_no_cost() -> None:
    """GTP tells whole seconds: what is rounded away is not what moves cost, which would leave no time to think."""
    exact, rounded = TimeKeeper(), TimeKeeper(resolution=1.0)
    left, thought = 30.0, 0.0
    for _ in range(30):
        exact.allot(left)
        allotted = rounded.allot(float(int(left)))
        assert allotted is not None
        rounded.answered(allotted, allotted)
        exact.answered(allotted, allotted)
        left, thought = left - allotted, thought + allotted
    assert 10.0 < thought < 28.0
