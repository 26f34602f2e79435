"""Scripted games at the terminal: every command, every kind of wrong move, every way to end."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

import agents
import games
from arena.terminal import PlaySession, choose_seat, default_opponent
from games import Game


@pytest.fixture(scope="module")
def game() -> Game:
    return games.make("tic_tac_toe")


def session(
    game: Game,
    typed: str,
    *,
    opponent: str = "solver:ties=first",
    seat: int = 0,
    seed: int = 0,
    screen: io.StringIO | None = None,
) -> str:
    """The transcript of a game in which a person types the words of ``typed``."""
    screen = screen or io.StringIO()
    source = io.StringIO("".join(f"{word}\n" for word in typed.split()))
    PlaySession(game, agents.make(opponent, game), seat, np.random.default_rng(seed), source, screen).run()
    return screen.getvalue()


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def test_a_lost_game(game: Game) -> None:
    text = session(game, "1 2 4")
    assert "tic_tac_toe: you move first, against solver:ties=first." in text
    assert "solver:ties=first plays" in text
    assert last_line(text) == "solver:ties=first wins after 6 plies."


def test_a_won_game_and_who_won(game: Game) -> None:
    # Against a random opponent some seed loses to the top row; the person only types squares that are free.
    for seed in range(200):
        text = session(game, "1 2 3", opponent="random", seed=seed)
        if "You win" in text:
            assert last_line(text) == "You win after 5 plies."
            return
    pytest.fail("random play should leave the top row free in one of 200 games")


def test_a_drawn_game_as_second(game: Game) -> None:
    text = session(game, "hint 5 3 4 8 9 7 6 2", seat=1)
    assert "you move second" in text
    assert "would play" in text
    assert last_line(text).startswith(("A draw after 9 plies", "solver:ties=first wins"))


def test_wrong_moves_are_explained_and_asked_again(game: Game) -> None:
    text = session(game, "5 5 10 foo 5")
    assert "square 5 is taken. Type 'help' for the commands." in text
    assert "'10' is not a move in tic_tac_toe" in text
    assert "'foo' is not a move" in text
    assert text.count("plays") == 1  # only the first 5 was a move


def test_the_end_of_the_input_leaves_the_game(game: Game) -> None:
    assert last_line(session(game, "5")) == "You left the game after 2 plies."
    assert last_line(session(game, "5 QUIT 1")) == "You left the game after 2 plies."
    assert last_line(session(game, "")) == "You left the game after 0 plies."


def test_help_lists_moves_and_commands(game: Game) -> None:
    text = session(game, "help quit")
    assert "moves: 1 2 3 4 5 6 7 8 9" in text
    for command in ("hint:", "undo:", "help:", "quit:"):
        assert command in text


def test_undo_goes_back_to_the_previous_move_of_the_person(game: Game) -> None:
    text = session(game, "undo 5 undo 1 9 undo undo 2 quit")
    assert text.count("There is no move of yours to take back.") == 1
    assert last_line(text) == "You left the game after 2 plies."
    boards = text.split("your move> ")
    assert boards[3].count("x |") <= 1  # after the first undo the board is empty again
    assert " 1 | 2 | 3 " in boards[3]


def test_undo_as_second_keeps_the_opponents_first_move(game: Game) -> None:
    text = session(game, "undo 5 undo quit", seat=1)
    assert "There is no move of yours to take back." in text
    assert last_line(text) == "You left the game after 1 plies."


def test_hints_show_policy_visits_and_value_of_every_move(game: Game) -> None:
    text = session(game, "hint quit", opponent="mcts:simulations=64")
    table = text[text.index("would play") :].splitlines()[1:]
    assert table[0].split() == ["move", "policy", "visits", "value"]
    rows = [line.split() for line in table[1:10]]
    assert sorted(row[0] for row in rows) == [str(square) for square in range(1, 10)]
    assert sum(int(row[2]) for row in rows) in (63, 64)
    assert all(-1 <= float(row[3]) <= 1 for row in rows)
    policies = [float(row[1].rstrip("%")) for row in rows]
    assert policies == sorted(policies, reverse=True)


def test_the_value_of_a_hint_is_the_persons(game: Game) -> None:
    text = session(game, "5 hint quit")
    values = {line.split()[0]: float(line.split()[-1]) for line in text.splitlines() if "%" in line}
    states = game.init(1)
    game.step(states, [4])
    game.step(states, [game.parse_action(states[0], text.split("solver:ties=first plays ")[1].split()[0])])
    exact, legal = np.sign(game.solve(states)[0]), np.flatnonzero(game.legal_action_mask(states)[0])
    assert values == {game.action_to_string(states[0], int(action)): exact[action] for action in legal}
    # o to move against a fork: most moves lose, and the hint says -1 for them.
    text = session(game, "1 hint quit", seat=1)
    assert "-1.00" in text


def test_hints_do_not_change_the_game(game: Game) -> None:
    def moves(text: str) -> list[str]:
        return [line for line in text.splitlines() if " plays " in line]

    plain = session(game, "1 2 3 4 5 6 7 8 9", opponent="mcts:simulations=16", seed=4)
    hinted = session(game, "hint 1 hint 2 3 hint 4 5 6 7 8 9", opponent="mcts:simulations=16", seed=4)
    assert moves(plain) == moves(hinted)


def test_a_random_opponent_has_no_opinion(game: Game) -> None:
    text = session(game, "hint 5 quit", opponent="random")
    assert "rates its position" not in text
    assert "–" in text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_on_terminals_and_none_in_pipes(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in session(game, "5 quit", screen=Terminal())
    assert "\x1b[" not in session(game, "5 quit")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in session(game, "5 quit", screen=Terminal())


def test_connect_four_moves_are_column_numbers() -> None:
    game = games.make("connect_four")
    text = session(game, "4 hint 9 4 quit", opponent="mcts:simulations=20")
    assert "'9'" in text
    assert last_line(text) == "You left the game after 4 plies."


def test_seats(game: Game) -> None:
    rng = np.random.default_rng(0)
    assert (choose_seat("first", game, rng), choose_seat("second", game, rng)) == (0, 1)
    assert {choose_seat("random", game, rng) for _ in range(50)} == {0, 1}  # one in 2 ** 49 fails


def test_without_a_run_the_opponent_is_mcts_and_says_how_to_train(game: Game, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.toml").write_bytes(b"\xff = [")
    screen = io.StringIO()
    assert default_opponent(game, tmp_path, screen).name == "mcts"
    assert "arena train tic_tac_toe --minutes 10" in screen.getvalue()
    assert default_opponent(game, tmp_path / "nowhere", screen).name == "mcts"


def test_the_newest_run_of_the_game_is_the_opponent(game: Game, tmp_path: Path) -> None:
    from tests.agents.test_agents import save_noisy_network

    other = games.make("connect_four")
    for age, (name, played) in enumerate([("new", game), ("old", game), ("newest-of-another", other)]):
        run = tmp_path / name
        save_noisy_network(run / "checkpoints" / "100", played, seed=age)
        (run / "config.toml").write_text(f'game = "{played.spec.name}"\n')
        when = 1000 if name == "old" else 2000
        os.utime(run / "checkpoints" / "100" / "network.json", (when, when))
    screen = io.StringIO()
    assert default_opponent(game, tmp_path, screen).name == f"net:path={tmp_path / 'new'}"
    assert screen.getvalue() == ""
