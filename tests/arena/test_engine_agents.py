"""Which agents can be engines, and as which games: networks that read planes or moves, searches and others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import agents
import games
from agents.networks import NetworkConfig, build_network
from agents.networks.files import save_network
from agents.search import Analyst
from arena.engine import UNLIMITED, Player, Thinker, start_of
from games import ArenaError

PLANES = NetworkConfig(blocks=1, channels=8)
MOVES = NetworkConfig(backbone="transformer", layers=1, width=16, heads=2, context=24)


def save(path: Path, name: str, config: NetworkConfig) -> str:
    """An untrained network of the game, as an agent's spec."""
    spec = games.make(name).spec
    shape = (2, 1, config.context) if config is MOVES else spec.observation_shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = build_network(config, shape, spec.num_actions)
    from dataclasses import replace

    save_network(path / "net", network, config, replace(spec, observation_shape=shape))
    return f"net:{path / 'net'}"


@pytest.mark.parametrize("config", [PLANES, MOVES], ids=["planes", "moves"])
def test_a_network_decides_the_game_and_thinks_in_slices(tmp_path: Path, config: NetworkConfig) -> None:
    spec = save(tmp_path, "go_5x5", config)
    player = Player(f"{spec},simulations=40", None, "go_19x19", 0)
    assert player.name == "go_5x5"
    thinker, game = player.thinker, player.thinker.game
    assert thinker.usual_simulations == 40
    position = start_of(game)
    for _ in range(4):
        thinker.think(position, lambda: False, 70)
        thought = thinker.thought(3)
        assert thought.simulations == 70
        assert len(thought.lines) == 3
        position = position.after(game, thought.lines[0].moves[0])
    seen: list[int] = []

    def stop() -> bool:
        seen.append(thinker.thought().simulations)
        return seen[-1] >= 100

    thinker.think(position, stop, UNLIMITED)
    assert seen == sorted(seen)
    assert 100 <= seen[-1] <= thinker.thought().simulations < 100 + 16


def test_what_an_engine_plays_is_what_the_agent_plays(tmp_path: Path) -> None:
    """With as many simulations, and one leaf at a time, as the agent makes for a move."""
    spec = save(tmp_path, "go_5x5", PLANES)
    game = games.make("go_5x5")
    agent = agents.make(f"{spec},simulations=50", game)
    assert isinstance(agent, Analyst)
    search = agent.analysis(np.random.default_rng(0), 8)
    assert search is not None
    search._leaves = 1
    search.look_at(game.init(1))
    search.think(50, lambda: False)
    result = agent.act(game.init(1), np.random.default_rng(0))
    assert search.lines(1)[0].moves[0] == result.action[0]
    assert {line.moves[0]: line.visits for line in search.lines(99)} == {
        action: visits for action, visits in enumerate(result.visit_counts[0].tolist()) if visits
    }


def test_a_network_is_for_its_size_but_for_any_komi(tmp_path: Path) -> None:
    player = Player(save(tmp_path, "go_5x5", PLANES), None, "go_19x19", 0)
    player.choose_game("go_5x5:komi=3.5")
    assert player.thinker.game.komi == 3.5  # type: ignore[attr-defined]
    assert player.name == "go_5x5:komi=3.5"
    with pytest.raises(ArenaError, match="go_5x5"):
        player.choose_game("go_7x7")
    assert player.name == "go_5x5:komi=3.5"
    with pytest.raises(ArenaError):
        player.choose_game("go_5x5:ko=simple")


def test_networks_that_play_by_the_moves_need_them(tmp_path: Path) -> None:
    thinker = Player(save(tmp_path, "go_5x5", MOVES), None, "go_19x19", 0).thinker
    elsewhere = start_of(thinker.game)
    elsewhere.moves = None
    with pytest.raises(ArenaError, match="moves from the start"):
        thinker.think(elsewhere, lambda: False, 3)


def test_agents_that_draw_their_moves_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArenaError, match="leave temperature out"):
        _ = Player(f"{save(tmp_path, 'go_5x5', PLANES)},temperature=1", None, "go_19x19", 0).thinker


@pytest.mark.parametrize("spec", ["random", "solver", "mcts:simulations=9", "net"])
def test_every_kind_of_agent_thinks(spec: str, tmp_path: Path) -> None:
    if spec == "net":
        spec = f"{save(tmp_path, 'connect_four', PLANES)},simulations=0"
    game = games.make("connect_four")
    thinker = Thinker(agents.make(spec, game), game, np.random.default_rng(0), 4)
    position = start_of(game)
    for action in (3, 3, 3, 3, 4, 4):
        position = position.after(game, action)
    thinker.think(position, lambda: False, thinker.usual_simulations)
    line = thinker.thought().lines[0]
    assert game.legal_action_mask(position.states)[0, line.moves[0]]
    assert (line.moves[0] in (2, 5)) or spec != "solver"
    thinker.think(position, lambda: False, 5, [6, 1])
    assert thinker.thought().lines[0].moves[0] in (1, 6)


def test_without_any_time_a_winning_move_is_still_seen() -> None:
    game = games.make("connect_four")
    thinker = Thinker(agents.make("mcts", game), game, np.random.default_rng(0), 4)
    position = start_of(game)
    for action in (3, 0, 3, 0, 3, 1):
        position = position.after(game, action)
    thinker.think(position, lambda: False, 0)
    line = thinker.thought().lines[0]
    assert line.moves == (3,)
    assert line.ends
    assert thinker.thought().simulations == 0


def test_more_memory_is_taken_without_making_the_agent_again() -> None:
    player = Player("mcts:simulations=5", "go_5x5", "go_19x19", 0)
    agent = player.thinker.agent
    player.resize(1)
    assert player.thinker.agent is agent
    position = start_of(player.thinker.game)
    player.thinker.think(position, lambda: False, UNLIMITED)
    assert player.thinker.thought().share_full == 1.0
