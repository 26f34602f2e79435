"""The dependency law: ``games ← agents ← arena ← scripts``, and third parties only where they belong.

Every import of every file is read from its syntax tree: at module level, inside functions, under ``TYPE_CHECKING``,
relative, and ``importlib.import_module("…")`` with a literal name. Nothing is imported to check it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("games", "agents", "arena", "scripts")  # each may import itself and those before it
OTHER_ENVIRONMENT = "scripts/peers/"  # runs in a virtual environment without the arena

# Third parties that are only allowed in these files, or in these folders where the name ends in a slash.
PLACES = {
    "torch": (
        "agents/networks/",
        "agents/network_evaluator.py",
        "arena/learner.py",
        "arena/muon.py",
        "arena/checkpoint.py",
        "arena/supervised.py",
        "arena/examination.py",
    ),
    "safetensors": ("agents/networks/", "arena/checkpoint.py"),
    "ray": ("arena/distributed.py",),
    "numba": ("games/", "agents/search/", "agents/networks/factored.py", "arena/replay.py"),
    "gymnasium": ("games/envs/",),
    "pettingzoo": ("games/envs/",),
}
# What the packages may import at module level besides the standard library: the dependencies of pyproject.toml.
DEPENDENCIES = {*PLACES, "numpy", "psutil", "rich", "sgfmill", "tensorboard", "tyro"}
# Extras may only be imported inside the function that needs them, so that the packages work without.
EXTRAS = {"PIL", "h5py", "matplotlib", "pyspiel"}
# Nothing unpickles what a stranger could have written.
BANNED = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


@dataclass(frozen=True)
class Import:
    """One import statement: the dotted module, its line, and whether it runs when the file is imported."""

    module: str
    line: int
    at_import: bool


def imports_of(source: str, path: str) -> Iterator[Import]:
    """Every module that ``source`` imports; ``path`` (relative, with slashes) resolves relative imports."""
    package = path.removesuffix(".py").split("/")[:-1]
    tree = ast.parse(source, path)
    later = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    inside_functions = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, later) or (isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING")
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        at_import = id(node) not in inside_functions
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            # `from games import connect_four` names a module as much as `import games.connect_four` does.
            yield from (Import(f"{base}.{alias.name}", node.lineno, at_import) for alias in node.names)
        elif isinstance(node, ast.Call) and (name := _literal_import(node)):
            yield Import(name, node.lineno, at_import)


def _literal_import(call: ast.Call) -> str | None:
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if function not in ("import_module", "__import__") or not call.args:
        return None
    argument = call.args[0]
    if isinstance(argument, ast.JoinedStr):  # f"games.{name}": what comes before the first hole
        argument = argument.values[0]
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else None


def is_game_module(source: str) -> bool:
    """Whether a file of ``games/`` defines a game: a class whose base is ``Game``."""
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    return any(getattr(base, "id", getattr(base, "attr", "")) == "Game" for cls in classes for base in cls.bases)


def violations(source: str, path: str, game_modules: frozenset[str] = frozenset()) -> list[str]:
    """One sentence for every import of the file at ``path`` that breaks the law."""
    if path.startswith(OTHER_ENVIRONMENT):
        forbidden, rooms = {*ROOMS, *BANNED}, ()
    else:
        rooms = ROOMS[: ROOMS.index(path.split("/")[0]) + 1]
        forbidden = {*ROOMS, "tests", *BANNED} - set(rooms)
    found = []
    for item in imports_of(source, path):
        where, top = f"{path}:{item.line} imports {item.module}", item.module.split(".")[0]
        if top in forbidden:
            found.append(f"{where}, which {path.split('/')[0]} must not know.")
        elif not rooms:
            continue
        elif top in PLACES and not _is_placed(path, PLACES[top]):
            found.append(f"{where}, which belongs only in {', '.join(PLACES[top])}.")
        elif rooms[-1] == "agents" and top == "games" and _names_a_game(item.module, game_modules):
            found.append(f"{where}, but agents know no game by name.")
        elif rooms[-1] != "scripts" and top not in (*rooms, *DEPENDENCIES) and top not in sys.stdlib_module_names:
            if top not in EXTRAS:
                found.append(f"{where}, which is not a dependency in pyproject.toml.")
            elif item.at_import:
                found.append(f"{where} at module level, but it is an extra that may be missing.")
    return found


def _is_placed(path: str, places: tuple[str, ...]) -> bool:
    return any(path.startswith(place) if place.endswith("/") else path == place for place in places)


def _names_a_game(module: str, game_modules: frozenset[str]) -> bool:
    parts = module.split(".")
    return len(parts) > 1 and any(parts[1] == game or parts[1].startswith(f"{game}_") for game in game_modules)


FILES = sorted(path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py"))
GAME_MODULES = frozenset(
    path.stem for path in (ROOT / "games").glob("*.py") if is_game_module(path.read_text(encoding="utf-8"))
)


@pytest.mark.parametrize("path", FILES)
def test_every_import_obeys_the_law(path: str) -> None:
    found = violations((ROOT / path).read_text(encoding="utf-8"), path, GAME_MODULES)
    assert not found, "\n".join(found)


def test_the_files_and_the_games_were_found() -> None:
    assert {path.split("/")[0] for path in FILES} == set(ROOMS)
    assert {"connect_four", "tic_tac_toe"} <= GAME_MODULES


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("games/go.py", "import agents", "must not know"),
        ("games/go.py", "def f():\n    from agents.core import Agent", "must not know"),
        ("games/go.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import arena.play", "must not know"),
        ("games/envs/aec.py", "from ...agents import core", "must not know"),
        ("games/go.py", "import importlib\nimportlib.import_module('arena.cli')", "must not know"),
        ("games/go.py", "import importlib\nx = importlib.import_module(f'agents.{1}')", "must not know"),
        ("agents/net.py", "from arena import learner", "must not know"),
        ("arena/cli.py", "import scripts.benchmark", "must not know"),
        ("arena/cli.py", "from tests import conftest", "must not know"),
        ("scripts/peers/peer.py", "import games", "must not know"),
        ("arena/replay.py", "import pickle", "must not know"),
        ("games/go.py", "import torch.nn as nn", "belongs only"),
        ("agents/registry.py", "from torch import nn", "belongs only"),
        ("arena/self_play.py", "def f():\n    import torch", "belongs only"),
        ("agents/networks_core.py", "import torch", "belongs only"),
        ("arena/train.py", "import ray", "belongs only"),
        ("agents/registry.py", "from numba import njit", "belongs only"),
        ("arena/play.py", "import numba", "belongs only"),
        ("games/core.py", "import gymnasium", "belongs only"),
        ("arena/play.py", "from pettingzoo.utils import wrappers", "belongs only"),
        ("scripts/train.py", "import ray", "belongs only"),
        ("agents/solver_agent.py", "from games import connect_four", "no game by name"),
        ("agents/solver_agent.py", "import games.connect_four_solver", "no game by name"),
        ("games/go.py", "import scipy", "not a dependency"),
        ("arena/report.py", "import matplotlib.pyplot as plt", "at module level"),
    ],
)
def test_the_checker_can_fail(path: str, source: str, complaint: str) -> None:
    found = violations(source, path, frozenset({"connect_four"}))
    assert len(found) == 1
    assert complaint in found[0]
    assert path in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("games/envs/aec.py", "import gymnasium\nimport pettingzoo\nfrom games.core import Game"),
        ("games/go.py", "from __future__ import annotations\nimport numba\nimport numpy as np\nimport games.hex"),
        (
            "agents/networks/resnet.py",
            "import torch\nfrom agents.networks.core import NetworkConfig\nfrom games import Game",
        ),
        ("agents/solver_agent.py", "from games import Game, connect\nfrom games.core import ILLEGAL_SCORE"),
        ("arena/distributed.py", "import ray\nimport agents\nimport games"),
        ("arena/report.py", "def plot():\n    import matplotlib.pyplot as plt"),
        ("scripts/benchmark.py", "import pyspiel\nimport arena.cli, agents, games"),
        ("scripts/peers/peer.py", "import jax\nimport pgx\nimport json"),
    ],
)
def test_the_checker_can_pass(path: str, source: str) -> None:
    assert violations(source, path, frozenset({"connect_four"})) == []
