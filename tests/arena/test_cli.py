"""The command line as people meet it: help that teaches, one sentence and exit code 2 for everything wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arena import cli

COMMANDS = ("train", "play", "tournament", "accuracy", "games")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command line."""
    code = 0
    try:
        cli.main([str(word) for word in words])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))


def test_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("--help",), ("-h",)):
        code, out, _ = run(capsys, *words)
        assert code == 0
        assert all(f"arena {command}" in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, command, "--help")
    assert code == 0
    assert not err
    assert f"usage: arena {command}" in out
    if command not in ("games", "train"):
        assert "Examples:" in out
        assert f"arena {command} connect_four" in out


def test_help_needs_neither_torch_nor_ray() -> None:
    code = (
        "import sys; from arena import cli\n"
        "for words in (['--help'], ['play', '--help'], ['tournament', '--help']):\n"
        "    try: cli.main(words)\n"
        "    except SystemExit: pass\n"
        "assert not {'torch', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, stdout=subprocess.DEVNULL)


def test_what_plays_computes_on_one_thread() -> None:
    """A network beside a training run took thirty times as long when its threads waited for each other."""
    code = (
        "from arena import cli\n"
        "cli.main(['accuracy', 'tic_tac_toe', '--agent', 'random', '--positions', '2'])\n"
        "import torch; assert torch.get_num_threads() == 1"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, stdout=subprocess.DEVNULL, env=environment)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("plya", "did you mean 'play'?"),
        ("play", "GAME"),
        ("play conect_four", "did you mean 'connect_four'?"),
        ("play tic_tac_toe --opponent solvr", "did you mean 'solver'?"),
        ("play tic_tac_toe --opponent mcts:simulations=x", "must be a whole number"),
        ("play tic_tac_toe --opponent net:nowhere", "nowhere"),
        ("play tic_tac_toe --seat third", "third"),
        ("play tic_tac_toe --sead first", "did you mean --seat?"),
        ("play tic_tac_toe --seed x", "--seed"),
        ("play tic_tac_toe extra", "extra"),
        ("play tic_tac_toe --seed -1", "--seed"),
        ("games extra", "extra"),
        ("tournament tic_tac_toe", "--agents"),
        ("tournament tic_tac_toe --agents random", "two agents or more"),
        ("tournament tic_tac_toe --agents random random", "given twice"),
        ("tournament tic_tac_toe --agents random solver --games 3", "even number"),
        ("tournament tic_tac_toe --agents random solver --games many", "many"),
        ("tournament tic_tac_toe --agents random solver --anchor mcts", "--anchor"),
        ("tournament tic_tac_toe --agents random solver --opening-plies 9", "--opening-plies"),
        ("tournament tic_tac_toe --agents random solver --opening-plies -1", "--opening-plies"),
        ("tournament tic_tac_toe --agents random solver --seed -1", "--seed"),
        ("tournament tic_tac_toe --agents random solver --anchor random=x", "--anchor"),
        ("tournament tic_tac_toe --agents random solver --in-flight -1", "--in-flight"),
        ("tournament tic_tac_toe --agents random solver --format sprt --elo1 -3", "elo0 below elo1"),
        ("tournament tic_tac_toe --agents random solver mcts --format sprt", "between two agents"),
        ("tournament tic_tac_toe --agents random solver --format swiss --rounds 0", "--rounds"),
        ("tournament tic_tac_toe --agents random solver --resign-plies -1", "resign_plies"),
        ("tournament tic_tac_toe --agents random solver --balance-by random", "no opinion"),
        ("tournament tic_tac_toe --agents random solver --book none.pgn", "no such file"),
        ("tournament tic_tac_toe --agents random solver --resume", "no tournament of tic_tac_toe"),
        ("tournament tic_tac_toe --agents random solver --resume --out none", "holds no tournament"),
        ("tournament report none", "holds no tournament"),
        ("tournament report", "DIR"),
        ("tournament checkers --agents random solver", "Unknown game 'checkers'"),
        ("accuracy tic_tac_toe --agent solvr", "did you mean 'solver'?"),
        ("accuracy checkers --agent random", "Unknown game 'checkers'"),
        ("accuracy tic_tac_toe --agent random --positions 0", "1 or more"),
        ("accuracy tic_tac_toe --agent random --seed -1", "--seed"),
        ("train", "Missing"),
        ("train checkers", "Unknown game 'checkers'"),
        ("train tic_tac_toe --minuts 3", "did you mean --minutes?"),
        ("train tic_tac_toe --minutes x", "--minutes"),
        ("train tic_tac_toe --minutes -1", "minutes"),
        ("train tic_tac_toe --resume", "tic_tac_toe"),
        ("train tic_tac_toe --resume --run nowhere", "nowhere"),
    ],
)
def test_whatever_is_wrong_is_one_sentence_and_exit_code_2(
    line: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = run(capsys, *line.split())
    assert code == 2
    assert not out
    assert says in err
    assert err.startswith("arena: ")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())  # nothing is written


def test_games_lists_games_and_agents(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "games")
    assert code == 0
    for word in ("connect_four", "tic_tac_toe", "mcts:simulations=800", "net:PATH", "solver:ties=random|first"):
        assert word in out


def test_play_through_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("5\nhint\nwhat\nundo\nquit\n"))
    code, out, err = run(capsys, "play", "tic_tac_toe", "--opponent", "solver", "--seed", "3")
    assert code == 0
    assert not err
    assert "would play" in out
    assert "'what' is not a move" in out
    assert "You left the game after 0 plies." in out


def test_play_without_a_run_says_how_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "play", "tic_tac_toe")
    assert code == 0
    assert "arena train tic_tac_toe --minutes 10" in out
    assert "against mcts" in out


def test_tournament_writes_games_and_prints_ratings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("tournament", "tic_tac_toe", "--agents", "random", "solver", "mcts:simulations=8", "--games", "4")
    code, out, err = run(capsys, *words, "--anchor", "random", "--out", "one")
    assert code == 0
    assert not err
    assert "random = 0" in out
    assert "games.jsonl" in out
    lines = (tmp_path / "one" / "games.jsonl").read_text().splitlines()
    assert len(lines) == 12
    assert set(json.loads(lines[0])["agents"]) <= {"random", "solver", "mcts:simulations=8"}
    code, _, err = run(capsys, *words, "--out", "one")
    assert code == 2
    assert "holds a tournament already" in err
    assert run(capsys, *words, "--out", "two")[0] == 0
    assert (tmp_path / "two" / "games.jsonl").read_text().splitlines() == lines
    assert run(capsys, *words)[0] == 0
    assert len(list((tmp_path / "tournaments").glob("tic_tac_toe-*/games.jsonl"))) == 1


def test_tournament_is_resumed_grows_and_is_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("tournament", "tic_tac_toe", "--games", "4", "--agents", "random", "solver")
    assert run(capsys, *words)[0] == 0
    code, out, err = run(capsys, *words, "mcts:simulations=8", "--resume", "--anchor", "mcts:simulations=8=500")
    assert (code, err) == (0, "")
    assert "mcts:simulations=8 = 500" in out
    (directory,) = (tmp_path / "tournaments").iterdir()
    assert len((directory / "games.jsonl").read_text().splitlines()) == 12
    code, again, err = run(capsys, "tournament", "report", directory, "--anchor", "mcts:simulations=8=500")
    assert (code, err) == (0, "")
    assert again[: again.index("Report: ")] == out[: out.index("Games: ")]
    page = (directory / "report.html").read_text(encoding="utf-8")
    assert "mcts:simulations=8" in page
    code, _, err = run(capsys, *words, "--seed", "5", "--resume")
    assert code == 2
    assert "was played with" in err


def test_a_sequential_test_says_what_it_found(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("tournament", "tic_tac_toe", "--agents", "solver", "random", "--format", "sprt", "--elo1", "50")
    code, out, err = run(capsys, *words, "--out", "test")
    assert (code, err) == (0, "")
    assert "accepted: solver is worth 50 normalized Elo against random, not 0" in out
    assert (tmp_path / "test" / "tournament.json").exists()


def test_accuracy_of_a_perfect_player(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "accuracy", "tic_tac_toe", "--agent", "solver", "--positions", "20")
    assert (code, err) == (0, "")
    mean = next(line for line in out.splitlines() if "mean of classes" in line)
    assert mean.count("100.0%") == 3


def test_ctrl_c_in_a_tournament_keeps_what_was_played(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agents.random_agent import RandomAgent

    act, calls = RandomAgent.act, []

    def act_until_interrupted(self, states, rng, slots=None):
        calls.append(len(states))
        if sum(calls) > 600:
            raise KeyboardInterrupt
        return act(self, states, rng, slots)

    monkeypatch.setattr(RandomAgent, "act", act_until_interrupted)
    code, out, err = run(
        capsys, "tournament", "tic_tac_toe", "--agents", "random", "solver", "--games", "1000", "--out", "cut"
    )
    assert code == 130
    assert "of 1000 games" in out
    assert "Traceback" not in out + err
    kept = (tmp_path / "cut" / "games.jsonl").read_text().splitlines()
    assert 0 < len(kept) < 1000
    assert all(json.loads(line) for line in kept)


def test_ctrl_c_in_a_game(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(io.StringIO):
        def readline(self, size: int | None = -1) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", Interrupted())
    code, _, err = run(capsys, "play", "tic_tac_toe", "--opponent", "random")
    assert (code, err) == (130, "\nStopped.\n")
