"""Agents by name: the grammar, and one sentence for everything that is not in it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

import agents
import games
from agents import registry
from games import ArenaError, UnknownNameError, UnsupportedError
from games.core import Game


class Unsolved(Game):
    """Nothing but a name: a game without a solver."""

    spec = games.GameSpec("unsolved", 1, 2, 1, (1, 1, 1), 1)
    init = legal_action_mask = step_unchecked = observe = returns = hash = None  # type: ignore[assignment]
    render = action_to_string = parse_action = state_to_string = parse_state = None  # type: ignore[assignment]


Unsolved.__abstractmethods__ = frozenset()


@pytest.fixture(scope="module")
def game() -> Game:
    return games.make("tic_tac_toe")


@pytest.mark.parametrize(
    "spec",
    ["random", "mcts", "mcts:simulations=8", "mcts:rollouts=2,simulations=8", "solver", "solver:ties=first", "human"],
)
def test_agents_are_called_by_their_spec(spec: str, game: Game) -> None:
    assert agents.make(spec, game).name == spec


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "Unknown agent ''"),
        ("solvr", "did you mean 'solver'?"),
        ("mcts:", "ends in a colon"),
        ("mcts:800", "bare argument '800'"),
        ("mcts:simulatons=8", "did you mean 'simulations'?"),
        ("mcts:simulations=8,simulations=9", "twice"),
        ("mcts:simulations=0", "a whole number from 1"),
        ("mcts:simulations=1e3", "a whole number from 1"),
        ("mcts:simulations=", "a whole number from 1"),
        ("mcts:simulations=8,", "bare argument ''"),
        ("random:seed=1", "takes no options"),
        ("solver:ties=last", "must be random or first"),
        ("net", "needs a run or a checkpoint"),
        ("net:simulations=8", "needs a run or a checkpoint"),
        ("net:somewhere,8", "only as its first part"),
        ("net:somewhere,path=elsewhere", "twice"),
        ("net:somewhere,temperature=nan", "a number from 0.0"),
    ],
)
def test_bad_specs_are_refused_in_one_sentence(spec: str, says: str, game: Game) -> None:
    with pytest.raises(ArenaError) as error:
        agents.make(spec, game)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_names_have_their_own_error(game: Game) -> None:
    for spec in ("solvr", "mcts:simulatons=8"):
        with pytest.raises(UnknownNameError):
            agents.make(spec, game)


def test_a_game_without_solver_says_so() -> None:
    with pytest.raises(UnsupportedError, match="unsolved has no exact solver"):
        agents.make("solver", Unsolved())


def test_every_option_is_declared_with_help_and_a_default() -> None:
    for name in registry.available():
        declared = registry.kind(name)
        assert declared.name == name
        for field in dataclasses.fields(declared.options):
            assert field.metadata["help"]
            assert field.default is not dataclasses.MISSING
            assert f"{field.name} (" in registry.describe()


@dataclasses.dataclass(frozen=True)
class Everything:
    """One option of each type."""

    path: str = registry.option("", "a path")
    number: float = registry.option(1.5, "a number", low=0, high=2)
    flag: bool = registry.option(False, "a switch")


def test_values_take_the_type_of_the_default() -> None:
    declared = registry.AgentKind("all", "", Everything, lambda *_: None, argument="path")  # type: ignore[arg-type,return-value]
    assert registry.parse_options(declared, "a/b,number=2,flag=yes") == Everything("a/b", 2.0, True)
    assert registry.parse_options(declared, "path=a=b,flag=off") == Everything("a=b", 1.5, False)
    assert registry.parse_options(declared, "") == Everything()
    for bad in ("flag=maybe", "number=2.5", "number=inf", "path="):
        with pytest.raises(ArenaError, match="must be"):
            registry.parse_options(declared, bad)


def test_torch_is_not_imported_before_a_net_is_made() -> None:
    code = (
        "import sys, agents, games; g = games.make('tic_tac_toe');"
        "[agents.make(s, g) for s in ('random', 'mcts', 'solver', 'human')];"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
