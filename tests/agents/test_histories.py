"""Games that remember their moves: the same rules, and observations that tell how a position came about."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import games
from agents.histories import FIRST_ACTION, MAX_ACTIONS, START, TOKEN_BASE, History, as_seen
from games import ArenaError, Game, GameSpec
from games.sampling import sample_legal

NAMES = ("connect_four", "othello", "tic_tac_toe")


def play(game: Game, count: int, plies: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``count`` positions of random play and the moves ``[count, plies]`` that led to them; -1 once a game is over."""
    rng = np.random.default_rng(seed)
    states, moves = game.init(count), np.full((count, plies), -1)
    for ply in range(plies):
        live = np.flatnonzero(~states["terminated"])
        going_on = states[live]
        moves[live, ply] = sample_legal(game.legal_action_mask(going_on), rng)
        game.step(going_on, moves[live, ply])
        states[live] = going_on
    return states, moves


def decode(observation: np.ndarray) -> np.ndarray:
    digits = np.rint(observation[:, :, 0] * TOKEN_BASE).astype(int)
    return digits[:, 0] * TOKEN_BASE + digits[:, 1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reads", ["moves", "positions"])
def test_the_rules_are_those_of_the_game(name: str, reads: str) -> None:
    inner = games.make(name)
    game = History(inner, reads, context=80)
    rng = np.random.default_rng(0)
    seen, plain = game.init(40), inner.init(40)
    for _ in range(30):
        mask = inner.legal_action_mask(plain)
        np.testing.assert_array_equal(game.legal_action_mask(seen), mask)
        np.testing.assert_array_equal(game.inner(seen), plain)
        np.testing.assert_array_equal(game.returns(seen), inner.returns(plain))
        live = np.flatnonzero(~plain["terminated"])
        if not len(live):
            break
        actions = sample_legal(mask[live], rng)
        for each, states in ((game, seen), (inner, plain)):
            going_on = states[live]
            each.step(going_on, actions)
            states[live] = going_on
    assert game.render(seen[0]) == inner.render(plain[0])
    assert game.state_to_string(seen[0]) == inner.state_to_string(plain[0])


def test_tokens_are_the_start_and_the_moves() -> None:
    game = History(games.make("connect_four"), "moves", context=6)
    states = game.init(2)
    game.step(states, [3, 6])
    game.step(states[:1], [0])
    expected = [[START, FIRST_ACTION + 3, FIRST_ACTION, 0, 0, 0], [START, FIRST_ACTION + 6, 0, 0, 0, 0]]
    np.testing.assert_array_equal(game.tokens(states), expected)
    observation = game.observe(states)
    assert observation.shape == (2, *game.spec.observation_shape) == (2, 2, 1, 6)
    assert observation.dtype == np.float32
    np.testing.assert_array_equal(decode(observation), expected)


def test_a_game_longer_than_the_context_shows_its_last_moves() -> None:
    inner = games.make("othello")
    states, moves = play(inner, 8, 20, seed=1)
    game = History(inner, "moves", context=7)
    seen = game.init(8)
    for ply in range(20):
        game.step(seen, moves[:, ply])
        shown = np.concatenate([np.full((8, 1), START), FIRST_ACTION + moves[:, : ply + 1]], axis=1)[:, -7:]
        tokens = game.tokens(seen)
        np.testing.assert_array_equal(tokens[:, : shown.shape[1]], shown)
        assert not tokens[:, shown.shape[1] :].any()
    np.testing.assert_array_equal(game.inner(seen), states)


@pytest.mark.parametrize("reads", ["moves", "positions"])
@pytest.mark.parametrize("context", [5, 60])
def test_remembering_is_the_same_as_having_played(reads: str, context: int) -> None:
    inner = games.make("connect_four")
    game = History(inner, reads, context)
    states, moves = play(inner, 16, 12, seed=2)
    plies = states["ply"].astype(int)
    seen = game.init(16)
    for ply in range(12):
        rows = np.flatnonzero(plies > ply)
        going_on = seen[rows]
        game.step(going_on, moves[rows, ply])
        seen[rows] = going_on
    remembered = game.remember(states, moves, plies)
    np.testing.assert_array_equal(remembered, seen)
    np.testing.assert_array_equal(game.observe(remembered), game.observe(seen))


def test_positions_are_the_planes_of_every_ply() -> None:
    inner = games.make("connect_four")
    game = History(inner, "positions", context=9)
    states = game.init(1)
    planes = [inner.observe(inner.init(1))[0]]
    for column in (3, 3, 2, 4, 0):
        game.step(states, [column])
        planes.append(inner.observe(game.inner(states))[0])
    shown = game.observe(states).reshape(9, 4, 6, 7)
    np.testing.assert_array_equal(shown[:6, :3], np.stack(planes))
    assert (shown[:6, 3] == 1).all()
    assert not shown[6:].any()


def test_tokens_survive_bfloat16() -> None:
    torch = pytest.importorskip("torch")
    tokens = np.arange(MAX_ACTIONS + FIRST_ACTION)
    digits = np.stack([tokens // TOKEN_BASE, tokens % TOKEN_BASE]).astype(np.float32) / TOKEN_BASE
    rounded = torch.from_numpy(digits).bfloat16().float().numpy()
    np.testing.assert_array_equal(rounded, digits)
    assert digits.max() <= 1


def test_transpositions_look_different_and_are_hashed_so() -> None:
    game = History(games.make("connect_four"), "moves", context=8)
    states = game.init(3)
    for ply in range(3):
        game.step(states, [[0, 1, 2][ply], [2, 1, 0][ply], [0, 1, 2][ply]])
    assert (game.inner(states)["stones"] == game.inner(states)["stones"][0]).all()
    hashes = game.hash(states)
    assert hashes[0] == hashes[2] != hashes[1]


def test_hashes_of_many_games_differ() -> None:
    inner = games.make("othello")
    game = History(inner, "moves", context=64)
    states, moves = play(inner, 3000, 8, seed=3)
    distinct = len(np.unique(moves, axis=0))
    hashes = game.hash(game.remember(states, moves, states["ply"].astype(int)))
    assert len(np.unique(hashes)) == distinct


def test_a_position_alone_has_no_history() -> None:
    game = as_seen(games.make("othello"), "moves", 64)
    assert game.parse_state("8/8/8/3ox3/3xo3/8/8/8 x 0")["ply"][0] == 0
    with pytest.raises(ArenaError, match="does not tell the moves"):
        game.parse_state(game.state_to_string(_after_one(game)))


def _after_one(game: Game) -> np.void:
    states = game.init(1)
    game.step(states, [int(np.flatnonzero(game.legal_action_mask(states)[0])[0])])
    return states[0]


def test_a_game_with_too_many_actions_is_refused() -> None:
    game = games.make("connect_four")
    game.spec = GameSpec(**{**dataclasses.asdict(game.spec), "num_actions": MAX_ACTIONS + 1})
    with pytest.raises(ArenaError, match="actions; tokens tell"):
        as_seen(game, "moves", 8)
    assert as_seen(game, "planes", 8) is game
