"""Outside policies: functions that play PettingZoo's environments, ours or others'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import agents
import games
from agents.core import ForfeitError
from games import ArenaError, UnsupportedError
from tests.arena.helpers import play_fixtures_of

POLICIES = '''
import numpy as np

SEEN = []

def policy(observation, agent):
    """The last legal move."""
    SEEN.append((agent, observation["observation"].shape))
    return np.flatnonzero(observation["action_mask"])[-1]

def illegal(observation, agent):
    return 99 if observation["action_mask"].all() else int(np.flatnonzero(observation["action_mask"] == 0)[0])

def broken(observation, agent):
    raise KeyError("no such layer")

def words(observation, agent):
    return "e4"

not_a_function = 3
'''

ENVIRONMENT = '''
"""Tic-tac-toe as people write AEC environments: their own planes, channels last."""

import gymnasium
import numpy as np
from pettingzoo import AECEnv
from pettingzoo.utils import agent_selector, wrappers

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]

def env():
    return wrappers.OrderEnforcingWrapper(Raw())

class Raw(AECEnv):
    metadata = {"name": "other_tic_tac_toe_v0", "is_parallelizable": False, "render_modes": []}

    def __init__(self):
        super().__init__()
        self.possible_agents = ["cross", "nought"]
        space = {"observation": gymnasium.spaces.Box(0, 1, (3, 3, 2), np.int8),
                 "action_mask": gymnasium.spaces.Box(0, 1, (9,), np.int8)}
        self.observation_spaces = dict.fromkeys(self.possible_agents, gymnasium.spaces.Dict(space))
        self.action_spaces = dict.fromkeys(self.possible_agents, gymnasium.spaces.Discrete(9))

    def observe(self, agent):
        mine = 1 + self.possible_agents.index(agent)
        planes = np.stack([self.board == mine, self.board == 3 - mine], axis=-1).reshape(3, 3, 2).astype(np.int8)
        mask = (self.board == 0) & (agent == self.agent_selection)
        return {"observation": planes, "action_mask": mask.astype(np.int8)}

    def reset(self, seed=None, options=None):
        self.agents, self.board = list(self.possible_agents), np.zeros(9, int)
        self.rewards = dict.fromkeys(self.agents, 0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}
        self.agent_selection = self.agents[0]

    def step(self, action):
        if self.terminations[self.agent_selection]:
            return self._was_dead_step(action)
        mine = 1 + self.possible_agents.index(self.agent_selection)
        self.board[action] = mine
        won = any(all(self.board[cell] == mine for cell in line) for line in LINES)
        if won or self.board.all():
            self.terminations = dict.fromkeys(self.agents, True)
        self.agent_selection = self.possible_agents[2 - mine]
'''


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "outside_policies.py").write_text(POLICIES)
    (tmp_path / "other_tic_tac_toe.py").write_text(ENVIRONMENT)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "outside_policies.py"


@pytest.mark.parametrize("env", ["", ",env=other_tic_tac_toe"])
def test_a_function_plays_whole_games(code: Path, env: str) -> None:
    game = games.make("tic_tac_toe")
    for spec in (f"policy:{code}{env}", f"policy:outside_policies:policy{env}"):
        records = play_fixtures_of(game, (spec, "random"), games=6)
        assert {record.end_reason for record in records} <= {"win", "draw"}, records
        for record in records:
            states = game.init(1)
            for ply, move in enumerate(record.moves):
                legal = np.flatnonzero(game.legal_action_mask(states)[0])
                assert ply < len(record.opening) or record.agents[ply % 2] != spec or move == legal[-1]
                game.step(states, [move])


def test_it_sees_what_its_environment_shows(code: Path) -> None:
    import outside_policies  # type: ignore[import-not-found]

    game = games.make("tic_tac_toe")
    for env, agent, shape in (
        ("", "player_0", game.spec.observation_shape),
        (",env=other_tic_tac_toe", "cross", (3, 3, 2)),
    ):
        agents.make(f"policy:outside_policies{env}", game).act(game.init(1), np.random.default_rng(0))
        assert outside_policies.SEEN[-1] == (agent, shape)


def test_games_that_follow_each_other_in_a_slot_do_not_mix(code: Path) -> None:
    game = games.make("connect_four")
    specs = (f"policy:{code}", "random")
    assert play_fixtures_of(game, specs, games=10, slots=1) == play_fixtures_of(game, specs, games=10, slots=10)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("illegal", "chose '99', which is no legal move"),
        ("broken", "failed with KeyError: 'no such layer'"),
        ("words", "failed with ValueError"),
    ],
)
def test_what_goes_wrong_forfeits_the_game(code: Path, name: str, says: str) -> None:
    game = games.make("tic_tac_toe")
    agent = agents.make(f"policy:{code}:{name}", game)
    with pytest.raises(ForfeitError, match=says) as error:
        agent.act(game.init(2), np.random.default_rng(0))
    assert sorted(error.value.ends) == [0, 1]
    records = play_fixtures_of(game, (f"policy:{code}:{name}", "random"), games=2)
    assert {(record.end_reason, record.points_of("random")) for record in records} == {("forfeit", 1.0)}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("policy", "needs a function"),
        ("policy:nowhere.py", "cannot be imported: FileNotFoundError"),
        ("policy:no_such_module:f", "cannot be imported: ModuleNotFoundError"),
        ("policy:outside_policies:not_a_function", "There is no function 'not_a_function'"),
        ("policy:outside_policies,env=math", "There is no function 'env'"),
    ],
)
def test_functions_that_are_not_there(code: Path, spec: str, says: str) -> None:
    with pytest.raises(ArenaError, match=says) as error:
        agents.make(spec, games.make("tic_tac_toe"))
    assert "\n" not in str(error.value)


def test_an_environment_of_another_game_is_refused(code: Path) -> None:
    with pytest.raises(ArenaError, match="other_tic_tac_toe has other legal moves than connect_four"):
        agents.make("policy:outside_policies,env=other_tic_tac_toe", games.make("connect_four"))


def test_positions_from_nowhere_are_refused(code: Path) -> None:
    game = games.make("tic_tac_toe")
    agent, states = agents.make(f"policy:{code}", game), game.init(1)
    game.step(states, [4])
    with pytest.raises(UnsupportedError, match="moves from the start of a game"):
        agent.act(states, np.random.default_rng(0))
