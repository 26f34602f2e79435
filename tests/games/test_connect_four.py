"""Connect Four: the rules against a plain reference and known counts, and its text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import games
from games.connect_four import COLUMNS, ROWS, ConnectFour

GAME = ConnectFour()

move_lists = st.lists(st.integers(0, COLUMNS - 1), max_size=80)


class PlainConnectFour:
    """The rules in the most obvious way: columns are lists of seats, lines are looked for cell by cell."""

    def __init__(self) -> None:
        self.columns: list[list[int]] = [[] for _ in range(COLUMNS)]
        self.ply, self.winner = 0, -1

    @property
    def terminated(self) -> bool:
        return self.winner >= 0 or self.ply == ROWS * COLUMNS

    def legal(self) -> list[int]:
        return [] if self.terminated else [c for c in range(COLUMNS) if len(self.columns[c]) < ROWS]

    def seat_at(self, column: int, row: int) -> int:
        inside = 0 <= column < COLUMNS and 0 <= row < len(self.columns[column])
        return self.columns[column][row] if inside else -1

    def step(self, column: int) -> None:
        seat = self.ply % 2
        self.columns[column].append(seat)
        self.ply += 1
        for dc, dr in ((1, 0), (0, 1), (1, 1), (1, -1)):
            for c in range(COLUMNS):
                for r in range(ROWS):
                    if all(self.seat_at(c + k * dc, r + k * dr) == seat for k in range(4)):
                        self.winner = seat


def play(moves: list[int]) -> np.ndarray:
    """The state after those of ``moves`` that are legal when their turn comes."""
    states = GAME.init(1)
    for move in moves:
        if GAME.legal_action_mask(states)[0, move]:
            GAME.step(states, [move])
    return states


def check_against_plain(moves: list[int]) -> None:
    states, plain = GAME.init(1), PlainConnectFour()
    for move in moves:
        assert np.flatnonzero(GAME.legal_action_mask(states)[0]).tolist() == plain.legal()
        if move not in plain.legal():
            with pytest.raises(games.IllegalActionError):
                GAME.step(states, [move])
            continue
        GAME.step(states, [move])
        plain.step(move)
        state = states[0]
        assert (state["ply"], state["terminated"], state["winner"]) == (plain.ply, plain.terminated, plain.winner)
        assert state["last_action"] == move
        assert state["to_play"] == plain.ply % 2
        sign = {-1: 0, 0: 1, 1: -1}[plain.winner]
        assert GAME.returns(states)[0].tolist() == [sign, -sign]
        seats = np.array([[plain.seat_at(c, ROWS - 1 - r) for c in range(COLUMNS)] for r in range(ROWS)])
        mine, theirs, began = GAME.observe(states)[0]
        np.testing.assert_array_equal(mine, seats == plain.ply % 2)
        np.testing.assert_array_equal(theirs, seats == 1 - plain.ply % 2)
        assert (began == (plain.ply % 2 == 0)).all()


@given(move_lists)
@settings(deadline=None, max_examples=60)
def test_step_agrees_with_plain_rules(moves: list[int]) -> None:
    check_against_plain(moves)


@pytest.mark.nojit
def test_step_agrees_with_plain_rules_in_random_games() -> None:
    rng = np.random.default_rng(5)
    for _ in range(3):
        check_against_plain(rng.integers(0, COLUMNS, size=60).tolist())


@given(move_lists)
@settings(deadline=None, max_examples=100)
def test_position_text_comes_back(moves: list[int]) -> None:
    state = play(moves)
    again = GAME.parse_state(GAME.state_to_string(state[0]))
    for field in ("to_play", "terminated", "ply", "winner", "stones"):
        np.testing.assert_array_equal(again[field], state[field])
    assert again["last_action"][0] == -1


def test_number_of_games_by_length() -> None:
    """Sequences of 1 to 8 moves, as every Connect Four program counts them."""
    counts, states = [], GAME.init(1)
    for _ in range(8):
        rows, actions = np.nonzero(GAME.legal_action_mask(states))
        counts.append(len(rows))
        if len(counts) < 8:
            states = states[rows]
            GAME.step_unchecked(states, actions)
    assert counts == [7, 49, 343, 2401, 16807, 117649, 823536, 5673234]


def test_number_of_positions_by_ply() -> None:
    """Distinct positions after 0 to 8 plies (John Tromp, OEIS A212693): the hash neither merges nor splits them."""
    counts, states = [], GAME.init(1)
    for _ in range(9):
        states = states[np.unique(GAME.hash(states), return_index=True)[1]]
        counts.append(len(states))
        rows, actions = np.nonzero(GAME.legal_action_mask(states))
        states = states[rows]
        GAME.step_unchecked(states, actions)
    assert counts == [1, 7, 49, 238, 1120, 4263, 16422, 54859, 184275]


@pytest.mark.parametrize(
    ("moves", "winner", "ends"),
    [
        ("347651633532773271222345264155154447166167", -1, "draw"),
        ("743516113752711175743363442256375624242656", 1, "o wins"),
    ],
)
def test_full_board_is_a_draw_unless_the_last_disc_wins(moves: str, winner: int, ends: str) -> None:
    states = play([int(column) - 1 for column in moves])
    assert (states["ply"][0], states["terminated"][0], states["winner"][0]) == (42, True, winner)
    assert GAME.returns(states).tolist() == ([[0.0, 0.0]] if winner < 0 else [[-1.0, 1.0]])
    assert GAME.render(states[0]).endswith(ends)
    again = GAME.parse_state(GAME.state_to_string(states[0]))
    assert (again["terminated"][0], again["winner"][0]) == (True, winner)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "give six rows"),
        ("7/7/7/7/7/7", "give six rows"),
        ("7/7/7/7/7/7 xo", "give six rows"),
        ("7/7/7/7/7 x", "5 rows"),
        ("7/7/7/7/7/8 x", "'8' is neither"),
        ("7/7/7/7/7/٣4 x", "neither"),
        ("7/7/7/7/7/6 x", "6 cells"),
        ("7/7/7/7/7/7x x", "8 cells"),
        ("7/7/7/7/3x3/7 o", "column 4 hangs"),
        ("7/7/7/7/7/xx5 x", "x moves first"),
        ("7/7/7/7/7/o6 x", "x moves first"),
        ("7/7/7/7/7/x6 x", "turn of o"),
        ("7/7/7/7/x6/o6 x", "no order of moves"),  # x cannot have moved first
        ("7/7/7/7/ooo4/xxxxo2 x", "no order of moves"),  # x had won before o moved last
        ("7/7/7/7/oooo3/xxxx3 x", "no order of moves"),
        ("x6/x6/x6/x6/x6/ooooo2 x", "no order of moves"),  # both have four
        ("7/7/7/7/ooo4/xxxx3 x", "turn of o"),
    ],
)
def test_impossible_positions_are_refused(text: str, reason: str) -> None:
    with pytest.raises(games.ParseError, match=reason) as caught:
        GAME.parse_state(text)
    assert repr(text) in str(caught.value)


def test_win_along_two_lines_at_once_is_possible() -> None:
    states = play([0, 0, 1, 1, 2, 2, 4, 4, 5, 5, 6, 6, 3])
    assert states["winner"][0] == 0
    assert GAME.parse_state(GAME.state_to_string(states[0]))["winner"][0] == 0


def test_moves_are_column_numbers() -> None:
    states = play([3, 3, 3, 3, 3, 3])
    assert GAME.parse_action(states[0], " 1 ") == 0
    assert GAME.action_to_string(states[0], 6) == "7"
    for text in ("0", "8", "", "d", "1.0", "12", "٣"):
        with pytest.raises(games.ParseError, match="column, 1 to 7"):
            GAME.parse_action(states[0], text)
    with pytest.raises(games.IllegalActionError, match="column 4 is full; open columns are 1, 2, 3, 5, 6, 7"):
        GAME.parse_action(states[0], "4")
    over = play([0, 1, 0, 1, 0, 1, 0])
    with pytest.raises(games.IllegalActionError, match="game is over"):
        GAME.parse_action(over[0], "4")


def test_step_names_game_ply_and_action() -> None:
    states = play([3] * 6)
    with pytest.raises(games.IllegalActionError, match="connect_four, ply 6: action 3 is illegal; legal actions are 0"):
        GAME.step(states, [3])
    with pytest.raises(games.IllegalActionError, match="1 games need 1 actions"):
        GAME.step(states, [0, 1])


def test_render_marks_the_last_move() -> None:
    board = GAME.render(play([3, 3, 2])[0])
    assert board.splitlines()[0].split() == list("1234567")
    assert board.splitlines()[6] == " .  . [x] x  .  .  . "
    assert board.splitlines()[5] == " .  .  .  o  .  .  . "
    assert board.splitlines()[7] == "o to move"
    assert "\x1b[91m" in GAME.render(play([3])[0], color=True)


def test_views_step_in_place() -> None:
    states = GAME.init(6)
    GAME.step(states[::2], [1, 2, 3])
    assert states["ply"].tolist() == [1, 0, 1, 0, 1, 0]
    assert states["last_action"].tolist() == [1, -1, 2, -1, 3, -1]
