"""Our agents as GTP engines: every command, what Go programs draw while we think, and whole games."""

from __future__ import annotations

import itertools
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import agents
import games
from agents.engines.process import EngineProcess
from arena.engine import start_of
from arena.engine_gtp import Clock, GtpServer
from arena.gtp_analysis import read_request
from arena.play import play_games
from arena.records import Pairing
from games import EndReason, records
from games.notation import parse_vertex, plays_to, vertex
from tests.arena.engine_client import Client

ENGINE = f"{sys.executable} -m arena.cli engine gtp"
AGENT = "mcts:simulations=12"


class GtpClient(Client):
    """Asks for one answer after the other."""

    def ask(self, command: str) -> str:
        """The whole answer, mark and all, without the empty line."""
        self.send(command)
        return self.answer()

    def answer(self) -> str:
        lines = list(itertools.takewhile(bool, iter(self.line, None)))
        return "\n".join(lines).rstrip()

    def all(self, *commands: str) -> list[str]:
        return [self.ask(command) for command in commands]


@pytest.fixture(scope="module")
def shared() -> Iterator[GtpClient]:
    client = GtpClient(GtpServer, AGENT, "go_5x5")
    yield client
    client.close()


@pytest.fixture
def go(shared: GtpClient) -> GtpClient:
    """A GTP engine with an empty board of 5 × 5 points and komi 7.5, and no limit of time."""
    shared.clear()
    assert shared.all("boardsize 5", "komi 7.5", "time_settings 0 1 0", "clear_board") == ["="] * 4
    return shared


def board(client: GtpClient) -> str:
    """The stones, row by row from the top."""
    rows = re.findall(r"^ *\d+ (.*?) *\d+$", client.ask("showboard"), re.MULTILINE)
    return "/".join(re.sub(r"[^.+XO]", "", row).replace("+", ".") for row in rows)


# ---- commands --------------------------------------------------------------------------------------------------------


def test_it_introduces_itself(go: GtpClient) -> None:
    assert go.all("protocol_version", "name", "version", "17 name") == ["= 2", "= arena", f"= {AGENT}", "=17 arena"]
    commands = go.ask("list_commands")[2:].split("\n")
    assert commands == sorted(commands)
    for command in commands:
        assert go.ask(f"known_command {command}") == "= true"
    required = "protocol_version name version known_command list_commands quit boardsize clear_board komi play genmove"
    wanted = "undo loadsgf time_settings time_left final_score showboard lz-analyze kata-analyze"
    assert set(f"{required} {wanted}".split()) <= set(commands)
    assert go.all("known_command xyzzy", "xyzzy", "3 xyzzy") == ["= false", "? unknown command", "?3 unknown command"]
    assert go.ask("  \t\n# a comment\nname # another") == "= arena"


def test_a_game_is_played_and_taken_back(go: GtpClient) -> None:
    assert go.all("play black C3", "play W d3", "play b pass") == ["="] * 3
    assert board(go) == "...../...../..XO./...../....."
    assert go.ask("play w C3") == "? illegal move (go_5x5, ply 3: point C3 is taken.)"
    assert go.all("undo", "undo", "play w E5", "undo", "undo", "undo") == ["="] * 5 + ["? cannot undo"]
    assert board(go) == "/".join(["....."] * 5)
    move = go.ask("genmove b")
    assert re.fullmatch("= ([A-E][1-5]|pass)", move)
    assert go.ask("reg_genmove w").startswith("= ")
    assert go.ask("undo") == "="
    assert go.ask("undo") == "? cannot undo"  # reg_genmove plays nothing


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("play", "a colour is black or white"),
        ("play red C3", "a colour is black or white"),
        ("play b", "needs a colour and a vertex"),
        ("play b I3", "illegal move"),
        ("play b C9", "illegal move"),
        ("genmove", "a colour is black or white"),
        ("boardsize", "boardsize needs a size"),
        ("boardsize x", "boardsize needs a size"),
        ("boardsize 25", "unacceptable size"),
        ("boardsize 1e99", "unacceptable size"),
        ("boardsize inf", "boardsize needs a size"),
        ("komi", "komi not a float"),
        ("komi x", "komi not a float"),
        ("komi 0.3", "multiple of 0.5"),
        ("komi nan", "komi"),
        ("time_settings 1 2", "three whole numbers"),
        ("time_settings -1 2 3", "times are 0 or more"),
        ("time_left b 3", "two whole numbers"),
        ("loadsgf", "loadsgf needs a file"),
        ("loadsgf /nowhere.sgf", "cannot load file"),
        ("loadsgf /etc/passwd", "cannot load file"),
        ("set_free_handicap C3", "bad vertex list"),
        ("set_free_handicap C3 C3", "twice"),
        ("set_game Chess", "unsupported game"),
        ("final_status_list blue", "needs alive, dead or seki"),
        ("lz-analyze b allow b A1", "no legal move|"),
    ],
)
def test_what_is_wrong_is_refused_and_changes_nothing(go: GtpClient, command: str, says: str) -> None:
    go.ask("play b C3")
    if command.startswith("set_free"):
        go.ask("undo")
    before = board(go)
    if "analyze" in command:
        go.send(command)
        go.send("name")
        assert "info move" in go.until("info")[-1]
        go.until("= arena")
        return
    answer = go.ask(command)
    assert answer.startswith("? ")
    assert re.search(says, answer)
    assert board(go) == before


def test_colours_need_not_alternate(go: GtpClient) -> None:
    assert go.all("play w C3", "play b B2", "play b D2", "play w A1", "genmove w") != []
    assert board(go).count("X") == 2
    assert go.all("clear_board", "play b A1", "play b B1", "play b C1", "undo") == ["="] * 5
    assert board(go).endswith("XX...")
    assert go.all("clear_board", "play b C3", "play w pass", "genmove w")[-1].startswith(
        "? illegal move (it is black's"
    )


def test_handicaps(go: GtpClient) -> None:
    assert go.all("set_free_handicap B2 D4", "play w C3") == ["=", "="]
    assert board(go) == "...../...X./..O../.X.../....."
    assert go.ask("set_free_handicap A1 A2") == "? board not empty"
    assert go.all("undo", "undo", "undo")[-1] == "? cannot undo"


def test_scores(go: GtpClient) -> None:
    assert go.ask("final_score") == "= W+7.5"
    assert go.all("play b C3", "final_score") == ["=", "= B+17.5"]
    assert go.all("komi 24.5", "final_score", "get_komi", "play w D3") == ["=", "= B+0.5", "= 24.5", "="]
    assert go.all("play b C2", "final_status_list dead", "final_status_list seki") == ["=", "=", "="]
    chains = sorted(" ".join(sorted(line.split())) for line in go.ask("final_status_list alive")[2:].split("\n"))
    assert chains == ["C2 C3", "D3"]
    assert go.all("play w pass", "play b pass", "genmove w") == ["=", "=", "= pass"]
    assert go.ask("play w A1").startswith("? illegal move")


def test_other_sizes(go: GtpClient) -> None:
    assert go.all("boardsize 7", "query_boardsize", "play b G7") == ["=", "= 7", "="]
    assert board(go).startswith("......X/")
    assert go.all("komi 0", "boardsize 5", "get_komi") == ["=", "=", "= 0"]


def test_records_are_loaded_up_to_a_move(go: GtpClient, tmp_path: Path) -> None:
    game = games.make("go_5x5:komi=3.5")
    states, moves = game.init(1), []
    for word in ("C3", "B2", "pass", "D4"):
        moves.append(game.parse_action(states[0], word))
        game.step(states, [moves[-1]])
    path = tmp_path / "game.sgf"
    records.write(path, [records.GameRecord("go_5x5:komi=3.5", np.array(moves))])
    assert go.all(f"loadsgf {path}", "get_komi") == ["=", "= 3.5"]
    assert board(go) == "...../...O./..X../.O.../....."
    assert go.all(f"loadsgf {path} 2", "play w A1", "undo", "undo", "undo") == ["="] * 4 + ["? cannot undo"]
    records.write(tmp_path / "hex.sgf", [records.GameRecord("hex_5x5", np.array([3, 4]))])
    assert "hex_5x5" in go.ask(f"loadsgf {tmp_path / 'hex.sgf'}")
    (tmp_path / "broken.sgf").write_text("(;GM[1]SZ[5];B[aa];W[aa])")
    before = board(go)
    assert go.ask(f"loadsgf {tmp_path / 'broken.sgf'}").startswith("? cannot load file")
    assert board(go) == before


# ---- time ------------------------------------------------------------------------------------------------------------


def test_times_are_kept(go: GtpClient) -> None:
    go.all("time_settings 0 1 2")
    for _ in range(4):
        started = time.monotonic()
        go.ask("genmove b")
        assert time.monotonic() - started < 1.0
    go.all("time_settings 100 0 0", "time_left b 0 0")
    started = time.monotonic()
    assert go.ask("genmove b").startswith("= ")
    assert time.monotonic() - started < 0.5


def test_periods_of_overtime_begin_anew() -> None:
    clock = Clock(overtime=10, stones=2, left=5)
    clock.use(3)
    assert (clock.left, clock.stones_left) == (2, 0)
    clock.use(3)
    assert (clock.left, clock.stones_left) == (10, 2)
    clock.use(4)
    assert (clock.left, clock.stones_left) == (6, 1)
    clock.use(1)
    assert (clock.left, clock.stones_left) == (10, 2)
    absolute = Clock(overtime=0, stones=0, left=5)
    absolute.use(6)
    assert (absolute.left, absolute.stones_left) == (-1, 0)


# ---- analysis --------------------------------------------------------------------------------------------------------


def infos(line: str) -> list[dict[str, str]]:
    """The moves of a line of analysis, read as Sabaki and Lizzie do."""
    found = []
    for part in line.split("info ")[1:]:
        facts, _, variation = part.partition(" pv ")
        words = facts.split()
        found.append({**dict(zip(words[::2], words[1::2], strict=True)), "pv": variation})
    return found


@pytest.mark.parametrize("style", ["lz", "kata"])
def test_analysis_goes_on_until_the_next_command(go: GtpClient, style: str) -> None:
    go.ask("play b C3")
    go.send(f"8 {style}-analyze w 5")
    assert go.line() == "=8"
    lines = [go.line() for _ in range(4)]
    go.send("9 name")
    rest = go.until("=9")
    assert rest[-2] == ""
    assert rest[-1] == "=9 arena"
    assert go.line() == ""
    visits = [int(infos(line)[0]["visits"]) for line in lines]
    assert visits == sorted(visits)
    for entry in infos(lines[-1]):
        assert entry["move"] == entry["pv"].split()[0]
        assert 0 <= float(entry["winrate"]) <= (10_000 if style == "lz" else 1)
        assert float(entry["lcb"]) <= float(entry["winrate"])
        assert 0 <= float(entry["prior"]) <= (10_000 if style == "lz" else 1)
        assert ("." in entry["winrate"]) == (style == "kata")
    assert [int(entry["order"]) for entry in infos(lines[-1])] == list(range(len(infos(lines[-1]))))
    assert board(go) == "...../...../..X../...../....."


def test_analysis_of_some_moves_only(go: GtpClient) -> None:
    for words, wanted in (
        ("b interval 5 allow b A1,B1 1 maxmoves 1", {"A1", "B1"}),
        ("5 avoid b A1,B1 9 rootInfo true", None),
    ):
        go.send(f"kata-analyze {words}")
        lines = [go.line() for _ in range(4)]
        go.ask("name")
        go.line()
        moves = {entry["move"] for line in lines[1:] for entry in infos(line)}
        assert moves <= wanted if wanted else not moves & {"A1", "B1"}
        assert not wanted or all(len(infos(line)) == 1 for line in lines[1:])
        go.clear()


@pytest.mark.parametrize(
    ("words", "interval", "most"),
    [
        ("", 1.0, 64),
        ("25", 0.25, 64),
        ("interval 50 minmoves 3 maxmoves 7 ownership true", 0.5, 7),
        ("10 minmoves 3 rootInfo true pvVisits false maxmoves 2", 0.1, 2),
        ("maxmoves 0 interval 0 ownership", 0.01, 1),
    ],
)
def test_words_of_other_programs_are_passed_over_with_their_values(words: str, interval: float, most: int) -> None:
    game = games.make("go_5x5")
    request = read_request(game, start_of(game), 0, words.split())
    assert (request.interval, request.most, request.allowed) == (interval, most, None)


def test_the_first_move_counts_though_nobody_cleared_the_board() -> None:
    client = GtpClient(GtpServer, "random", "go_5x5")
    try:
        assert client.all("play b A1", "play w B1") == ["=", "="]
        assert board(client).endswith("XO...")
        assert client.all("undo", "undo", "undo") == ["=", "=", "? cannot undo"]
    finally:
        client.close()


def test_when_a_game_without_passes_is_over_there_is_no_move_and_nothing_is_promised() -> None:
    client = GtpClient(GtpServer, "random", "hex_5x5")
    try:
        for row in range(1, 6):
            assert client.ask(f"play b A{row}") == "="
            if row < 5:
                assert client.ask(f"play w B{row}") == "="
        for command in ("genmove w", "lz-genmove_analyze w", "lz-analyze w"):
            assert client.ask(command) == "? the game is over"
    finally:
        client.close()


def test_a_move_with_analysis(go: GtpClient) -> None:
    go.ask("time_settings 0 1 1")
    for style in ("lz", "kata"):
        go.ask("clear_board")  # had black passed before, another move of his would need a pass of white's and end it
        before = board(go)
        go.send(f"{style}-genmove_analyze b 10")
        lines = go.answer().split("\n")
        assert lines[0] == "="
        assert len(lines) > 3
        assert lines[-1] == f"play {infos(lines[-2])[0]['move']}"
        assert (lines[-1] == "play pass") == (board(go) == before)


# ---- other games -----------------------------------------------------------------------------------------------------


def test_othello_passes_by_itself_and_as_told() -> None:
    client = GtpClient(GtpServer, "random", "othello")
    try:
        assert client.all("list_games", "set_game othello", "boardsize 8", "boardsize 9")[:3] == ["= Othello", "=", "="]
        game, rng = games.make("othello"), np.random.default_rng(0)
        passes = 0
        while passes < 3:  # one told, one left out
            states = game.init(1)
            client.ask("clear_board")
            while not states["terminated"][0]:
                legal = np.flatnonzero(game.legal_action_mask(states)[0])
                action, color = int(rng.choice(legal)), "bw"[states["to_play"][0]]
                if action == 64:
                    passes += 1
                if action != 64 or passes % 2:
                    assert client.ask(f"play {color} {vertex(game, states[0], action)}") == "="
                game.step(states, [action])
            black, white = (int(count) for count in np.bitwise_count(states["discs"][0]))
            lead = black - white
            assert client.ask("final_score") == (f"= {'BW'[lead < 0]}+{abs(lead)}" if lead else "= 0")
            assert client.ask("genmove b") == "= pass"
            assert client.ask("final_status_list dead").startswith("? ")
    finally:
        client.close()


@pytest.mark.parametrize("name", ["go_5x5", "othello", "hex_5x5", "hex_5x5:swap=true", "gomoku_15x15"])
def test_our_engine_plays_our_engine(name: str) -> None:
    rules = games.make(name)
    engine = agents.make(f"gtp:{ENGINE} --agent random --game {name},timeout=60", rules)
    pairings = iter([Pairing(number, (0, 0)) for number in range(4)])
    for trajectory in play_games(rules, (engine,), pairings, slots=2, rng=np.random.default_rng(0)):
        assert trajectory.end_reason in (EndReason.WIN, EndReason.DRAW), trajectory.note
    engine.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["go_5x5", "othello", "hex_5x5", "hex_5x5:swap=true", "gomoku_9x9", "gomoku_15x15"])
def test_points_and_the_ways_to_a_position(name: str) -> None:
    """Every legal move comes back from its text; and the moves that are found to a position lead there."""
    game, rng = games.make(name), np.random.default_rng(0)
    for plies in (0, 1, 2, 5, 9):
        states = game.init(1)
        for _ in range(plies):
            if not states["terminated"][0]:
                legal = np.flatnonzero(game.legal_action_mask(states)[0])
                for action in legal:
                    text = vertex(game, states[0], int(action))
                    assert parse_vertex(game, states[0], text) == action
                    assert parse_vertex(game, states[0], text.lower()) == action
                    assert not text.startswith("I") or name.startswith("hex")
                game.step(states, [int(rng.choice(legal))])
        if name.endswith("swap=true"):
            continue  # the stone that changed its colour is on the board, whoever put it there
        replayed = game.init(1)
        for seat, action in plays_to(game, states[0]):
            assert seat == replayed["to_play"][0]
            game.step(replayed, [action])
        assert game.hash(replayed)[0] == game.hash(states)[0]
        np.testing.assert_array_equal(game.legal_action_mask(replayed), game.legal_action_mask(states))


def test_gnu_go_plays_whole_games_with_our_engine_and_finds_no_illegal_move() -> None:
    """A controller as simple as they come: each program is told the other's moves, and a clock runs."""
    gnugo = shutil.which("gnugo") or shutil.which("gnugo", path="/usr/games")
    if gnugo is None:
        pytest.skip("gnugo is not installed")
    from tests.arena.engine_games import play_with_gtp

    results = play_with_gtp(f"{ENGINE} --agent {AGENT}", f"{gnugo} --mode gtp --level 1", games=2, size=5, seconds=10)
    assert sum(results.values()) == 2
    assert not {"time", "illegal"} & set(results)


def test_the_end_of_the_input_ends_the_engine() -> None:
    engine = EngineProcess(f"{ENGINE} --agent random --game go_5x5")
    engine.send("quit")
    assert engine.receive(time.monotonic() + 60, "=") == "= "
    assert engine.receive(time.monotonic() + 60, "an empty line") == ""
    assert engine._process.wait(10) == 0
    engine.close()
