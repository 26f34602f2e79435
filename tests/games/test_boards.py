"""Othello, Hex and Gomoku against slow and plain references, published counts and OpenSpiel."""

from __future__ import annotations

import numpy as np
import pytest

import games
from games import IllegalActionError, ParseError
from games.gomoku import _can_be_last, _has_line
from games.perft import divide, perft


def play(game, text: str):
    """The state after the moves of ``text``, as players write them."""
    states = game.init(1)
    for move in text.split():
        game.step(states, [game.parse_action(states[0], move)])
    return states


# ---- Othello ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "count"), list(enumerate([1, 4, 12, 56, 244, 1396, 8200, 55092, 390216])))
def test_othello_perft(depth, count):
    game = games.make("othello")
    assert perft(game, game.init(1), depth) == count
    if depth:
        assert sum(divide(game, game.init(1), depth).values()) == count


@pytest.mark.slow
def test_othello_perft_deep():
    game = games.make("othello")
    assert perft(game, game.init(1), 9) == 3_005_288


def test_the_shortest_othello_game():
    """Nine moves after which white has no disc left (Othello's known shortest game)."""
    game = games.make("othello")
    states = play(game, "e6 f4 e3 f6 g5 d6 e7 f5 c5")
    assert states["terminated"][0]
    assert game.returns(states).tolist() == [[1.0, -1.0]]
    assert "x 13, o 0; x wins" in game.render(states[0])


def test_an_othello_pass_is_the_only_move_then():
    game = games.make("othello")
    states = game.parse_state("xxxxxxo1/8/8/3xx3/3xx3/8/8/8 o 0")
    assert np.flatnonzero(game.legal_action_mask(states)[0]).tolist() == [64]
    with pytest.raises(IllegalActionError, match="legal moves are pass"):
        game.parse_action(states[0], "a2")
    game.step(states, [game.parse_action(states[0], "pass")])
    assert states["to_play"][0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "8/8/8/3ox3/3xo3/8/8/8 x",
        "8/8/8/3ox3/3xo3/8/8 x 0",
        "8/8/8/3ox3/3x1o2/8/8/8 x 0",
        "8/8/8/3ox3/3xo3/8/8/8 o 0",
        "9/8/8/3ox3/3xo3/8/8/8 x 0",
    ],
)
def test_othello_positions_that_are_none(text):
    with pytest.raises(ParseError, match="not a position of othello"):
        games.make("othello").parse_state(text)


# ---- Hex -------------------------------------------------------------------------------------------------------------


def joined(cells: np.ndarray, seat: int, size: int) -> bool:
    """Whether ``seat`` joins its sides, by a search from one of them."""
    board = cells.reshape(size, size)
    frontier = [(0, i) if seat == 0 else (i, 0) for i in range(size)]
    frontier = [cell for cell in frontier if board[cell] == seat]
    seen = set(frontier)
    while frontier:
        row, column = frontier.pop()
        if (row if seat == 0 else column) == size - 1:
            return True
        for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0), (-1, 1), (1, -1)):
            cell = (row + down, column + right)
            if min(cell) >= 0 and max(cell) < size and board[cell] == seat and cell not in seen:
                seen.add(cell)
                frontier.append(cell)
    return False


@pytest.mark.parametrize("swap", [False, True])
def test_hex_winners_are_those_of_a_plain_search(swap):
    game, rng = games.make("hex_5x5", swap=swap), np.random.default_rng(0)
    states = game.init(300)
    while not states["terminated"].all():
        for state in states:
            winners = [joined(state["board"], seat, 5) for seat in (0, 1)]
            assert (winners.index(True) if any(winners) else -1) == state["winner"]
        mask = game.legal_action_mask(states)
        live = np.flatnonzero(~states["terminated"])
        stepped = states[live]
        game.step(stepped, np.argmax(np.where(mask, rng.random(mask.shape), -1), axis=1)[live])
        states[live] = stepped
    assert (states["winner"] >= 0).all()  # Hex has no draws
    assert (game.returns(states).sum(axis=1) == 0).all()


def test_hex_swap_mirrors_the_stone():
    game = games.make("hex_11x11", swap=True)
    states = play(game, "c2 swap")
    assert states["to_play"][0] == 0
    assert game.state_to_string(states[0]).startswith("11/11/1o9/")  # b3, now o's
    assert not game.legal_action_mask(states)[0, -1]
    with pytest.raises(IllegalActionError, match="second move"):
        game.parse_action(states[0], "swap")
    again = game.parse_state(game.state_to_string(states[0]))
    assert again["ply"][0] == 2
    plain = games.make("hex_11x11")
    with pytest.raises(ParseError, match="type a cell, a1 to k11\\."):
        plain.parse_action(plain.init(1)[0], "swap")


def test_swap_keeps_the_contract():
    games.check_game(games.make("hex_5x5", swap=True))


# ---- Gomoku ----------------------------------------------------------------------------------------------------------


def slow_winner(cells: np.ndarray, size: int) -> int:
    """The seat with five or more in a line, looking along every line from every stone; -1 if there is none."""
    board = cells.reshape(size, size)
    for row, column in np.argwhere(board >= 0):
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
            line = [(row + k * down, column + k * right) for k in range(5)]
            if all(min(cell) >= 0 and max(cell) < size and board[cell] == board[row, column] for cell in line):
                return int(board[row, column])
    return -1


def test_gomoku_winners_are_those_of_a_plain_search():
    game, rng = games.make("gomoku_9x9"), np.random.default_rng(0)
    states = game.init(60)
    while not states["terminated"].all():
        live = np.flatnonzero(~states["terminated"])
        mask = game.legal_action_mask(states)
        stepped = states[live]
        game.step(stepped, np.argmax(np.where(mask, rng.random(mask.shape), -1), axis=1)[live])
        for state in stepped:
            winner = slow_winner(state["board"], 9)
            assert winner == state["winner"]
            assert [_has_line(state["board"], seat, 9) for seat in (0, 1)] == [winner == 0, winner == 1]
            if winner >= 0:
                assert _can_be_last(state["board"], winner, 9)
        states[live] = stepped
    assert len(set(states["winner"])) > 1


def test_an_overline_wins_and_two_separate_lines_cannot_be():
    game = games.make("gomoku_15x15")
    states = play(game, "a1 a3 b1 b3 c1 c3 e1 e3 f1 o15 d1")  # six in a row
    assert states["terminated"][0]
    assert states["winner"][0] == 0
    rows = ["xxxxx10", "15", "xxxxx10", *["15"] * 3, "oooo1oooo6", "o14", *["15"] * 7]
    with pytest.raises(ParseError, match="ended before"):
        game.parse_state("/".join(rows) + " o")
