"""Tic-tac-toe, whole: every position, every text, every score."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import games
from games.core import ILLEGAL_SCORE, Array
from games.tic_tac_toe import TicTacToe

GAME = TicTacToe()


def all_positions() -> Array:
    """Every position that a game can reach, the finished ones included, once each."""
    states, levels = GAME.init(1), []
    while len(states):
        states = states[np.unique(GAME.hash(states), return_index=True)[1]]
        levels.append(states)
        rows, actions = np.nonzero(GAME.legal_action_mask(states))
        states = states[rows]
        GAME.step(states, actions)
    return np.concatenate(levels)


def test_number_of_positions() -> None:
    assert len(all_positions()) == 5478


def test_number_of_games() -> None:
    states, finished, wins = GAME.init(1), 0, np.zeros(3, dtype=int)
    while len(states):
        over = states["terminated"]
        finished += int(over.sum())
        wins += np.bincount(states["winner"][over] + 1, minlength=3)
        rows, actions = np.nonzero(GAME.legal_action_mask(states))
        states = states[rows]
        GAME.step_unchecked(states, actions)
    assert finished == 255168
    assert wins.tolist() == [46080, 131184, 77904]  # draws, x, o


def test_text_accepts_just_the_reachable_positions() -> None:
    rng = np.random.default_rng(8)
    reachable = {GAME.state_to_string(state): state for state in all_positions()}
    assert len(reachable) == 5478
    for marks in itertools.product(".xo", repeat=9):
        rows = "/".join("".join(marks[i : i + 3]) for i in (0, 3, 6))
        for text in (f"{rows} x", f"{rows} o"):
            if text in reachable:
                again, state = GAME.parse_state(text)[0], reachable[text]
                for field in ("to_play", "terminated", "ply", "winner"):
                    assert again[field] == state[field]
                assert (again["board"] == state["board"]).all()
            elif rng.random() < 0.1:  # a tenth of the 33888 that are not
                with pytest.raises(games.ParseError):
                    GAME.parse_state(text)


@pytest.mark.parametrize("text", ["", ".../.../...", ".../.../... y", "..../../... x", ".../.../..x", ".../.../..z x"])
def test_text_refuses_what_is_no_position(text: str) -> None:
    with pytest.raises(games.ParseError, match="tic_tac_toe"):
        GAME.parse_state(text)


def test_moves_are_square_numbers() -> None:
    states = GAME.init(1)
    GAME.step(states, [4])
    assert GAME.parse_action(states[0], "9") == 8
    with pytest.raises(games.IllegalActionError, match="ply 1: square 5 is taken"):
        GAME.parse_action(states[0], "5")
    for text in ("0", "10", "a", "", "12"):
        with pytest.raises(games.ParseError, match="1 to 9"):
            GAME.parse_action(states[0], text)


def test_solve_prefers_sooner_wins_and_later_losses() -> None:
    assert GAME.solve(GAME.init(1)).tolist() == [[0] * 9]
    scores = GAME.solve(GAME.parse_state("xx./oo./... x"))[0]
    assert scores[2] == 5  # wins and leaves four squares empty
    assert scores[:2].tolist() == [ILLEGAL_SCORE] * 2
    assert scores[8] == -4  # lets o win, which leaves three
    assert GAME.solve(GAME.parse_state("xxx/oo./... o"))[0].tolist() == [ILLEGAL_SCORE] * 9


def test_scores_follow_from_the_scores_one_ply_later() -> None:
    """By induction from the finished games, that makes every score right."""
    positions = all_positions()
    scores, over = GAME.solve(positions), positions["terminated"]
    for_mover = GAME.returns(positions)[np.arange(len(positions)), positions["to_play"]]
    best = np.where(over, for_mover * (10 - positions["ply"]), scores.max(axis=1))
    best_of = dict(zip(GAME.hash(positions).tolist(), best.tolist(), strict=True))
    rows, actions = np.nonzero(GAME.legal_action_mask(positions))
    children = positions[rows]
    GAME.step(children, actions)
    assert scores[rows, actions].tolist() == [-best_of[key] for key in GAME.hash(children).tolist()]
    assert (over.sum(), (~over).sum()) == (958, 4520)
