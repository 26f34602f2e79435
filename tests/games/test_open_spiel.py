"""Our rules against OpenSpiel's: the legal moves at every ply and the results of thousands of random games."""

from __future__ import annotations

import numpy as np
import pytest

import games

pyspiel = pytest.importorskip("pyspiel")


@pytest.mark.parametrize(
    ("name", "theirs", "num_games"),
    [
        ("connect_four", "connect_four", 3000),
        ("tic_tac_toe", "tic_tac_toe", 3000),
        ("othello", "othello", 600),
        ("hex_5x5", "hex(board_size=5)", 1000),
        ("hex_11x11", "hex(board_size=11)", 60),
    ],
)
def test_random_games(name: str, theirs: str, num_games: int) -> None:
    game, oracle = games.make(name), pyspiel.load_game(theirs)
    rng = np.random.default_rng(17)
    states, others = game.init(num_games), [oracle.new_initial_state() for _ in range(num_games)]
    while not states["terminated"].all():
        mask = game.legal_action_mask(states)
        actions = np.argmax(np.where(mask, rng.random(mask.shape), -1.0), axis=1)
        live = np.flatnonzero(~states["terminated"])
        for row in live:
            assert others[row].current_player() == states["to_play"][row]
            assert others[row].legal_actions() == np.flatnonzero(mask[row]).tolist()
            others[row].apply_action(int(actions[row]))
        stepped = states[live]
        game.step(stepped, actions[live])
        states[live] = stepped
        assert [others[row].is_terminal() for row in live] == stepped["terminated"].tolist()
    np.testing.assert_array_equal(game.returns(states), np.array([state.returns() for state in others]))
