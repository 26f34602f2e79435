"""The solver against plain enumeration, against itself, and against what is known about the game."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import games
from games import ILLEGAL_SCORE, connect_four_solver, solved
from games.connect_four_solver import CELLS, Solver, canonical_key, mirror

GAME = games.make("connect_four")
needs_book = pytest.mark.skipif(
    not solved.BOOK_PATH.exists(), reason="no book is there; scripts/make_solved_positions.py book makes one"
)


@pytest.fixture(scope="module")
def solver() -> Solver:
    return Solver(16, use_book=False)


def random_states(plies: tuple[int, int], count: int, seed: int) -> np.ndarray:
    """``count`` positions that are not over, each after uniformly random moves to a random ply."""
    rng = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < count:
        state = GAME.init(1)
        for _ in range(rng.integers(plies[0], plies[1], endpoint=True)):
            if state["terminated"][0]:
                break
            GAME.step(state, [rng.choice(np.flatnonzero(GAME.legal_action_mask(state)[0]))])
        if not state["terminated"][0]:
            found.append(state)
    return np.concatenate(found)


def after(columns: str) -> np.ndarray:
    """The position after the moves in ``columns``, numbered from 1 as people do."""
    state = GAME.init(1)
    for column in columns:
        GAME.step(state, [int(column) - 1])
    return state


def boards(state: np.void) -> tuple[int, int]:
    stones = [int(x) for x in state["stones"]]
    return stones[state["to_play"]], stones[0] | stones[1]


def has_four(stones: int) -> bool:
    return any(stones & stones >> shift & stones >> 2 * shift & stones >> 3 * shift for shift in (1, 6, 7, 8))


@functools.cache
def enumerate_score(mine: int, mask: int) -> int:
    """The score by trying everything: no window, no ordering, no pruning."""
    ply = mask.bit_count()
    if ply == CELLS:
        return 0
    return max(enumerate_moves(mine, mask).values())


def enumerate_moves(mine: int, mask: int) -> dict[int, int]:
    ply, scores = mask.bit_count(), {}
    for column in range(7):
        move = (mask + (1 << 7 * column)) & (0b111111 << 7 * column)
        if move and has_four(mine | move):
            scores[column] = (CELLS + 1 - ply) // 2
        elif move:
            scores[column] = -enumerate_score(mine ^ mask, mask | move)
    return scores


def check_against_enumeration(solver: Solver, states: np.ndarray) -> None:
    solutions = solver.solve(states)
    assert solutions.dtype == np.int32
    for state, found in zip(states, solutions, strict=True):
        wanted = enumerate_moves(*boards(state))
        assert found.tolist() == [wanted.get(column, ILLEGAL_SCORE) for column in range(7)], GAME.render(state)


def test_agrees_with_enumeration_on_late_positions(solver: Solver) -> None:
    check_against_enumeration(solver, random_states((33, 41), 80, seed=1))


@pytest.mark.nojit
def test_agrees_with_enumeration_on_the_last_moves(solver: Solver) -> None:
    check_against_enumeration(solver, random_states((36, 41), 20, seed=2))


def test_a_tiny_table_changes_nothing(solver: Solver) -> None:
    small = Solver(1, use_book=False)
    states = random_states((16, 24), 60, seed=3)
    np.testing.assert_array_equal(small.solve(states), solver.solve(states))


def test_parent_is_the_best_child(solver: Solver) -> None:
    for state in random_states((16, 28), 100, seed=4):
        mine, mask = boards(state)
        assert solver.score(mine, mask) == solver.move_scores(mine, mask).max()


def test_mirror_images_have_mirrored_scores(solver: Solver) -> None:
    fresh = Solver(4, use_book=False)
    for state in random_states((18, 26), 40, seed=5):
        mine, mask = boards(state)
        image = fresh.move_scores(mirror(mine), mirror(mask))
        assert image[::-1].tolist() == solver.move_scores(mine, mask).tolist()
        assert canonical_key(mine, mask) == canonical_key(mirror(mine), mirror(mask))


@pytest.mark.parametrize(
    ("columns", "move", "score"),
    [
        ("121212", 1, 18),  # four with the fourth stone, so that 17 are left
        ("445566", 3, 18),
        ("445566", 7, 18),
        ("44556", 1, -18),  # leaves both ends of three in a row open
        ("44556", 3, -18),  # closes one end; the other wins at once
        ("44556", 7, -18),
    ],
)
def test_known_scores(solver: Solver, columns: str, move: int, score: int) -> None:
    assert solver.solve(after(columns))[0, move - 1] == score


def test_known_value_of_a_long_endgame(solver: Solver) -> None:
    """From the tutorial that the method is from: this position is a win two stones before the end."""
    state = after("2252576253462244111563365343671351441")
    assert solver.solve(state)[0].max() == -1


def test_illegal_moves_and_finished_games(solver: Solver) -> None:
    states = np.concatenate([random_states((34, 34), 20, seed=6), after("1212121")])
    np.testing.assert_array_equal(solver.solve(states) != ILLEGAL_SCORE, GAME.legal_action_mask(states))
    assert solver.solve(GAME.init(0)).shape == (0, 7)


def test_pausing_changes_nothing(solver: Solver, monkeypatch: pytest.MonkeyPatch) -> None:
    states = random_states((20, 24), 10, seed=7)
    monkeypatch.setattr(connect_four_solver, "NODES_BETWEEN_INTERRUPTS", 7)
    np.testing.assert_array_equal(Solver(4, use_book=False).solve(states), solver.solve(states))


def test_an_interrupted_search_leaves_the_solver_usable(solver: Solver, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = Solver(4, use_book=False)
    calls = iter(range(3))

    def stop(*arguments: Any) -> int:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return connect_four_solver.UNKNOWN if advance(*arguments) == connect_four_solver.UNKNOWN else 0

    advance = connect_four_solver.advance
    states = random_states((12, 14), 3, seed=8)
    with monkeypatch.context() as patch:
        patch.setattr(connect_four_solver, "NODES_BETWEEN_INTERRUPTS", 3)
        patch.setattr(connect_four_solver, "advance", stop)
        with pytest.raises(KeyboardInterrupt):
            interrupted.solve(states)
    late = random_states((22, 26), 5, seed=9)
    np.testing.assert_array_equal(interrupted.solve(late), solver.solve(late))


def test_a_lower_bound_that_is_true_changes_nothing(solver: Solver) -> None:
    for state in random_states((20, 28), 30, seed=10):
        score = solver.score(*boards(state))
        for gap in (0, 1, 5):
            assert Solver(1, use_book=False).score(*boards(state), at_least=score - gap) == score


def test_table_must_have_a_size() -> None:
    with pytest.raises(games.ArenaError, match="0 megabytes"):
        Solver(0)


def test_the_book_is_asked_first(solver: Solver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    state = random_states((24, 24), 1, seed=11)[0]
    mine, mask = boards(state)
    path = tmp_path / "book.npz"
    np.savez(path, keys=np.array([canonical_key(mine, mask)]), scores=np.array([99], np.int8))
    monkeypatch.setattr(solved, "BOOK_PATH", path)
    monkeypatch.setattr(connect_four_solver, "_load_book", solved.load_book)
    assert Solver(1).score(mirror(mine), mirror(mask)) == 99
    assert Solver(1, use_book=False).score(mine, mask) == solver.score(mine, mask)


@needs_book
def test_the_book_is_consistent() -> None:
    """Each position of the book whose children are all in it scores what its best child says."""
    book = solved.load_book()
    start = (0, 0)
    assert book[canonical_key(*start)] == 1  # the first player wins with the last but one of its stones
    checked, layer = 0, [start]
    while layer:
        following = []
        for mine, mask in layer:
            moves = [(mask + (1 << 7 * c)) & (0b111111 << 7 * c) for c in range(7)]
            children = [(mine ^ mask, mask | move) for move in moves if move]
            scores = [book.get(canonical_key(*child)) for child in children]
            if None not in scores:
                assert book[canonical_key(mine, mask)] == max(-score for score in scores if score is not None)
                checked += 1
                following += children
        layer = following
    assert checked > 0


@needs_book
def test_the_empty_board_is_answered_from_the_book() -> None:
    assert GAME.solve(GAME.init(1))[0].tolist() == [-2, -1, 0, 1, 0, -1, -2]
