"""OpenSpiel's bots as agents: the same game on both sides, whatever the numbers there."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import agents
import games
from agents.core import ForfeitError, HistoryAgent
from games import ArenaError, EndReason, UnknownNameError, UnsupportedError
from games.openspiel import their_name, their_numbers
from tests.arena.helpers import play_fixtures_of

pyspiel = pytest.importorskip("pyspiel")

GAMES = (
    *("tic_tac_toe", "connect_four", "othello", "gomoku_9x9", "hex_5x5", "hex_5x5:swap=true", "go_5x5:komi=3.5"),
    *("chess", "shogi"),
)


@pytest.mark.parametrize("name", GAMES)
def test_every_legal_move_has_a_number_there(name: str) -> None:
    game, rng = games.make(name), np.random.default_rng(3)
    states, other = game.init(1), pyspiel.load_game(their_name(game)).new_initial_state()
    for _ in range(40):
        numbers = their_numbers(game, states, other)
        legal = game.legal_action_mask(states)[0]
        assert ((numbers >= 0) == legal).all()
        assert set(numbers[legal].tolist()) <= set(other.legal_actions())
        if not name.startswith("go"):
            assert sorted(numbers[legal].tolist()) == other.legal_actions()
        action = int(rng.choice(np.flatnonzero(legal)))
        other.apply_action(int(numbers[action]))
        game.step(states, [action])
        if states["terminated"][0] or other.is_terminal():
            break


@pytest.mark.parametrize("name", GAMES)
def test_whole_games_are_played_in_every_game(name: str) -> None:
    specs = ("openspiel:mcts,simulations=2", "random")
    records = play_fixtures_of(games.make(name), specs, games=2)
    assert {record.end_reason for record in records} <= {"win", "draw"}, records


def test_it_finds_the_win_and_says_so() -> None:
    game = games.make("connect_four")
    agent = agents.make("openspiel:mcts,simulations=300", game)
    assert isinstance(agent, HistoryAgent)
    states, moves = game.init(1), [3, 0, 3, 0, 3, 1]
    for move in moves:
        game.step(states, [move])
    result = agent.act_after(states, np.array([moves]), np.array([6]), np.random.default_rng(0))
    assert result.action[0] == 3
    assert result.value[0] == 1.0
    assert result.action_weights.sum() == pytest.approx(1.0)
    assert result.visit_counts[0].argmax() == result.action_weights[0].argmax()


def test_a_game_does_not_depend_on_those_beside_it() -> None:
    specs = ("openspiel:mcts,simulations=20", "random", "openspiel:mcts,simulations=10,uct_c=1,solve=false")
    game = games.make("connect_four")
    assert play_fixtures_of(game, specs, games=6, slots=9) == play_fixtures_of(game, specs, games=6, slots=2)


def test_chess_begins_anywhere() -> None:
    game = games.make("chess")
    agent = agents.make("openspiel:mcts,simulations=200", game)
    states = game.parse_state("7k/8/5KQ1/8/8/8/8/8 w - - 0 1")
    assert isinstance(agent, HistoryAgent)
    result = agent.act_after(states, np.zeros((1, 0), np.int64), np.zeros(1, np.int64), np.random.default_rng(0))
    game.step(states, result.action)
    assert states["terminated"][0]
    assert result.value[0] == 1.0


def test_registered_bots_may_enter() -> None:
    records = play_fixtures_of(games.make("tic_tac_toe"), ("openspiel:uniform_random", "random"), games=4)
    assert {record.end_reason for record in records} <= {"win", "draw"}


def test_where_openspiel_has_ended_the_game_the_bot_forfeits_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    game = games.make("tic_tac_toe")
    agent = agents.make("openspiel:mcts,simulations=5", game)
    over = pyspiel.load_game("tic_tac_toe").new_initial_state()
    for action in (0, 3, 1, 4, 2):
        over.apply_action(action)
    monkeypatch.setattr(agent, "_begin", None)
    monkeypatch.setattr(agent._followers, "follow", lambda *_: over)  # type: ignore[attr-defined]
    with pytest.raises(ForfeitError, match="by OpenSpiel's rules this game is over") as error:
        agent.act(game.init(2), np.random.default_rng(0))
    assert {reason for reason, _ in error.value.ends.values()} == {EndReason.FORFEIT}
    assert error.value.result.action_weights.sum() == 0


@pytest.mark.parametrize(
    ("spec", "game", "kind", "says"),
    [
        ("openspiel:mtcs", "tic_tac_toe", UnknownNameError, "did you mean 'mcts'"),
        ("openspiel:mcts,simulations=0", "tic_tac_toe", ArenaError, "a whole number from 1"),
        ("openspiel:mcts", "chess:claim_draws=false", UnsupportedError, "OpenSpiel does not play chess:claim_draws"),
    ],
)
def test_what_it_does_not_play_is_refused(spec: str, game: str, kind: type[ArenaError], says: str) -> None:
    with pytest.raises(kind, match=says) as error:
        agents.make(spec, games.make(game))
    assert "\n" not in str(error.value)


def test_positions_from_nowhere_are_refused() -> None:
    game = games.make("connect_four")
    agent = agents.make("openspiel", game)
    states = game.init(1)
    game.step(states, [3])
    with pytest.raises(UnsupportedError, match="moves from the start of a game"):
        agent.act(states, np.random.default_rng(0))


def test_without_openspiel_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    with pytest.raises(ArenaError, match=r"pip install \"game-arena\[openspiel\]\""):
        agents.make("openspiel", games.make("tic_tac_toe"))
