"""What each agent does with positions: legal moves, sensible reports, and the strength it is supposed to have."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import agents
import games
from agents import human_agent, net_agent
from agents.core import Agent, PatientAgent
from agents.networks.core import NetworkConfig, build_network
from agents.networks.files import save_network
from agents.rollout_evaluator import RolloutEvaluator
from games import ArenaError, Game, sample_legal


@pytest.fixture(scope="module")
def game() -> Game:
    return games.make("tic_tac_toe")


@pytest.fixture(scope="module")
def network(game: Game, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved network that prefers some moves; a new one, as built, is indifferent."""
    directory = tmp_path_factory.mktemp("net") / "network"
    save_noisy_network(directory, game, seed=0)
    return directory


def save_noisy_network(directory: Path, game: Game, seed: int, extra: dict[str, Any] | None = None) -> None:
    config = NetworkConfig(blocks=1, channels=8)
    network = build_network(config, game.spec.observation_shape, game.spec.num_actions)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    save_network(directory, network, config, game.spec, extra)


def positions(game: Game, plies: int, batch: int, seed: int = 0) -> np.ndarray:
    """Random positions that are not over."""
    rng = np.random.default_rng(seed)
    states = game.init(batch)
    for _ in range(plies):
        game.step_unchecked(states, sample_legal(game.legal_action_mask(states), rng))
        states = states[~states["terminated"]]
    return states


def play(game: Game, seats: tuple[Agent, Agent], batch: int, seed: int) -> np.ndarray:
    """float32 ``[B]``: how ``batch`` games ended for the first seat."""
    rng = np.random.default_rng(seed)
    states = game.init(batch)
    while not states["terminated"].all():
        rows = np.flatnonzero(~states["terminated"])
        moving = states[rows]  # in tic-tac-toe all games in flight have the same mover
        game.step(moving, seats[int(moving["to_play"][0])].act(moving, rng, rows).action)
        states[rows] = moving
    return game.returns(states)[:, 0]


@pytest.mark.parametrize("spec", ["random", "mcts:simulations=12", "solver", "solver:ties=first", "net", "net:0"])
def test_results_are_legal_and_complete(spec: str, game: Game, network: Path) -> None:
    if spec.startswith("net"):
        spec = f"net:{network},simulations={0 if spec.endswith('0') else 12}"
    agent = agents.make(spec, game)
    states = positions(game, plies=3, batch=40)
    result = agent.act(states, np.random.default_rng(1), np.arange(len(states)))
    mask = game.legal_action_mask(states)
    rows = np.arange(len(states))
    assert mask[rows, result.action].all()
    assert not result.action_weights[~mask].any()
    assert not result.visit_counts[~mask].any()
    np.testing.assert_allclose(result.action_weights.sum(axis=1), 1.0, atol=1e-5)
    assert result.action_weights.dtype == np.float32
    assert result.visit_counts.dtype == np.int32
    if spec == "random":
        assert np.isnan(result.value).all()
    else:
        assert (np.abs(result.value) <= 1).all()
    agent.reset()


@pytest.mark.parametrize("spec", ["random", "mcts:simulations=20", "solver", "net"])
def test_the_same_generator_gives_the_same_moves(spec: str, game: Game, network: Path) -> None:
    spec = f"net:{network},simulations=0,temperature=1" if spec == "net" else spec
    states = positions(game, plies=2, batch=30)
    first, again = (agents.make(spec, game).act(states, np.random.default_rng(5)).action for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (agents.make(spec, game).act(states, np.random.default_rng(6)).action != first).any()


def test_random_agent_is_uniform(game: Game) -> None:
    actions = agents.make("random", game).act(game.init(9000), np.random.default_rng(0)).action
    # Counts of 1000 with standard deviation 30: one of nine beyond 150 (five of them) has probability 5e-6.
    assert np.abs(np.bincount(actions, minlength=9) - 1000).max() < 150


def test_rollout_values_are_the_average_result_for_the_mover(game: Game) -> None:
    evaluator = RolloutEvaluator(game, np.random.default_rng(0), rollouts=4000)
    # With one square left all rollouts are the same game; with two left for o, one move lets x win and one does not.
    states = np.concatenate([game.parse_state("xox/xxo/o.o x"), game.parse_state("xox/xoo/.x. o"), game.init(1)])
    value = evaluator.evaluate(states, game.legal_action_mask(states)).value
    assert value[0] == 0.0
    # If o takes the right square x completes the left column, if the left one nobody wins: -1 or 0 for the mover, o.
    assert abs(value[1] + 0.5) < 5 * 0.5 / 4000**0.5
    # From the empty board x wins 58.5 % and o 28.8 % of random games; 4000 of them have a standard error of 0.014.
    assert abs(value[2] - 0.297) < 5 * 0.014
    assert not evaluator.cacheable


def test_solver_never_loses_and_punishes_random_play(game: Game) -> None:
    solver, random = agents.make("solver", game), agents.make("random", game)
    assert (play(game, (solver, random), 200, seed=1) >= 0).all()
    assert (play(game, (random, solver), 200, seed=2) <= 0).all()
    assert not play(game, (solver, solver), 50, seed=3).any()


def test_solver_ties(game: Game) -> None:
    states = game.init(200)
    rng = np.random.default_rng(0)
    assert set(agents.make("solver", game).act(states, rng).action) == set(range(9))  # every opening draws
    assert set(agents.make("solver:ties=first", game).act(states, rng).action) == {0}


def test_mcts_beats_random_clearly(game: Game) -> None:
    """Measured over 600 games with other seeds: 92.5 % won, 0.3 % lost.

    At those rates 80 % won of 100 is more than four deviations away, and six losses have a probability below 1e-5; an
    agent that were no better than random would win about 44 %, seven deviations below the bound.
    """
    mcts, random = agents.make("mcts:simulations=200", game), agents.make("random", game)
    results = np.concatenate([play(game, (mcts, random), 50, seed=1), -play(game, (random, mcts), 50, seed=2)])
    assert (results > 0).mean() > 0.8
    assert (results < 0).mean() < 0.06


def test_mcts_takes_a_win_and_stops_a_loss(game: Game) -> None:
    mcts = agents.make("mcts:simulations=400", game)
    states = np.concatenate([game.parse_state("xx./oo./... x"), game.parse_state("xx./o../... o")])
    assert mcts.act(states, np.random.default_rng(0)).action.tolist() == [2, 2]


# ---- net -----------------------------------------------------------------------------------------------------------


def test_raw_policy_is_the_best_prior_and_temperature_draws_from_it(game: Game, network: Path) -> None:
    states = np.repeat(game.init(1), 4000)
    rng = np.random.default_rng(0)
    greedy = agents.make(f"net:{network},simulations=0", game).act(states, rng)
    assert set(greedy.action) == {int(greedy.action_weights[0].argmax())}
    assert greedy.action_weights[0].max() > 1.2 / 9
    drawn = agents.make(f"net:{network},simulations=0,temperature=1", game).act(states, rng)
    counts = np.bincount(drawn.action, minlength=9) / 4000
    # Each share has a standard error below 0.008; one of nine beyond five of them has probability 5e-6.
    np.testing.assert_allclose(counts, drawn.action_weights[0], atol=0.04)
    cold = agents.make(f"net:{network},simulations=0,temperature=0.001", game).act(states, rng)
    assert (cold.action == greedy.action[0]).mean() > 0.9


def test_agents_with_the_same_weights_share_them_until_the_file_changes(game: Game, network: Path) -> None:
    options = net_agent.NetOptions(path=str(network))
    first = net_agent._trained(game, options)
    assert net_agent._trained(game, net_agent.NetOptions(path=str(network), simulations=3)) is first
    save_noisy_network(network, game, seed=1)
    assert net_agent._trained(game, options) is not first
    del first
    assert not net_agent._in_use  # weights that nobody plays by any more take no memory


def test_agents_with_the_same_weights_search_together(game: Game, network: Path) -> None:
    specs = [f"net:{network},simulations={simulations}" for simulations in (5, 20)]
    specs += [f"net:{network},simulations=5,c_scale=1", f"net:{network},simulations=5,c_backup=0.5"]
    one, other, apart, sharp = (agents.make(spec, game) for spec in specs)
    assert isinstance(one, net_agent.SearchingNetAgent)
    assert isinstance(other, net_agent.SearchingNetAgent)
    assert isinstance(apart, net_agent.SearchingNetAgent)
    assert isinstance(sharp, net_agent.SearchingNetAgent)
    assert one._shared is other._shared is not apart._shared
    assert sharp._shared not in (one._shared, apart._shared)
    assert (one._shared.search.config.c_backup, sharp._shared.search.config.c_backup) == (0.0, 0.5)
    assert one._shared.search._cache is not apart._shared.search._cache
    states, rng = np.repeat(game.init(1), 6), np.random.default_rng(0)
    one.begin(states, rng, np.arange(6))
    other.begin(states, rng, np.arange(6))
    for agent in (one, other):
        slots, result = agent.finished()
        alone = agent.act(states[:1], rng)
        assert slots.tolist() == list(range(6))
        assert (result.visit_counts.sum(axis=1) == alone.visit_counts.sum()).all()
        assert (result.action == alone.action[0]).all()
    assert one._shared.search.stats.moves == 12


@pytest.mark.parametrize("options", ["simulations=0", "simulations=5,temperature=1"])
def test_agents_that_draw_or_do_not_search_answer_at_once(game: Game, network: Path, options: str) -> None:
    assert not isinstance(agents.make(f"net:{network},{options}", game), PatientAgent)


def test_a_net_searches_with_the_constants_it_was_trained_with(game: Game, network: Path) -> None:
    save_noisy_network(network, game, seed=1, extra={"search": {"length_weight": 0.25, "simulations": 10**9}})
    agent = agents.make(f"net:{network},simulations=8", game)
    assert isinstance(agent, net_agent.NetAgent)
    assert agent._search is not None
    assert (agent._search.config.length_weight, agent._search.config.simulations) == (0.25, 8)
    for value in ("0.5", True, None, 2.0):
        save_noisy_network(network, game, seed=1, extra={"search": {"length_weight": value}})
        with pytest.raises(ArenaError, match="length_weight"):
            agents.make(f"net:{network},simulations=8", game)


def test_a_net_that_does_not_fit_is_refused(network: Path, tmp_path: Path) -> None:
    for spec in (f"net:{network}", f"net:{tmp_path}", f"net:{tmp_path / 'nowhere'}", f"net:{network},device=abacus"):
        game = games.make("tic_tac_toe" if "device" in spec else "connect_four")
        with pytest.raises(ArenaError) as error:
            agents.make(spec, game)
        assert "\n" not in str(error.value)


# ---- human ---------------------------------------------------------------------------------------------------------


def test_human_plays_what_is_typed(game: Game, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("nonsense\n\n5\n1\n9\nquit\n"))
    human = agents.make("human", game)
    rng = np.random.default_rng(0)
    result = human.act(game.init(2), rng)
    assert result.action.tolist() == [4, 0]
    assert result.action_weights.sum() == 2
    assert "'nonsense' is not a move" in capsys.readouterr().out
    assert human.act(game.init(1), rng).action.tolist() == [8]
    with pytest.raises(human_agent.PlayerLeftError):
        human.act(game.init(1), rng)
    with pytest.raises(human_agent.PlayerLeftError):  # the input has ended
        human.act(game.init(1), rng)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_only_on_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert human_agent.wants_color(Terminal())
    assert not human_agent.wants_color(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not human_agent.wants_color(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not human_agent.wants_color(Terminal())
