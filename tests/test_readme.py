"""The README tells the truth: two commands; and the options, games, agents, files and packages it names all exist."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import pytest

import games
from agents.registry import kind, parse_options
from arena.cli import main
from arena.datasets import DATASETS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MARKED = dict(re.findall(r"^<!-- command: (\w+) -->\n```sh\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL))
AGENT_OPTIONS = ("--agent", "--agents", "--opponent")


def arena_commands() -> list[list[str]]:
    """The words of every ``arena …`` in a code block or between backticks, without ``arena`` itself."""
    code = "\n".join(re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
    code += "\n" + "\n".join(re.findall(r"`(arena [^`\n]+)`", README))
    commands = (command.strip() for line in code.splitlines() for command in line.split("&&"))
    words = [shlex.split(command) for command in commands]
    return [rest for first, *rest in filter(None, words) if first.split("/")[-1] == "arena"]


def test_there_are_exactly_two_commands_of_one_line_each() -> None:
    assert set(MARKED) == {"train", "test"}
    assert README.count("<!-- command:") == 2
    for command in MARKED.values():
        assert "\n" not in command
        assert command.startswith("python3.11 -m venv .venv && .venv/bin/pip install ")
        assert (ROOT / shlex.split(command)[shlex.split(command).index("-c") + 1]).is_file()
    assert MARKED["train"].endswith("&& .venv/bin/arena train connect_four --minutes 10")
    assert MARKED["test"].endswith("&& .venv/bin/python -m pytest -n 2 --dist loadfile")


_FIRST_WORDS = {"train": ["connect_four"], "learn": ["wthor"], "engine": ["uci"]}  # whose help depends on them


@cache
def _options(command: str) -> frozenset[str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as ended:
        main([command, *_FIRST_WORDS.get(command, []), "--help"])
    assert ended.value.code in (0, None)
    return frozenset(re.findall(r"--[a-z][\w.-]*", out.getvalue()))


@pytest.mark.parametrize("words", arena_commands(), ids=" ".join)
def test_every_arena_command_exists(words: list[str]) -> None:
    command = words[0]
    if len(words) == 1:  # `arena train`, spoken of in a sentence
        assert _options(command)
        return
    seconds = {"learn": [*DATASETS], "engine": ["uci", "usi", "gtp"], "tournament": ["report", *games.available()]}
    assert words[1] in seconds.get(command, games.available())
    option = ""
    for word in words[2:]:
        if word.startswith("--"):
            option = word
            assert option in _options(command)
        elif option in AGENT_OPTIONS:
            name, _, given = word.partition(":")
            if given or name != "net":  # a run's path stands for one that the reader trains
                parse_options(kind(name), given)


def test_the_readme_shows_every_main_command() -> None:
    assert {words[0] for words in arena_commands()} >= {"train", "play", "tournament", "accuracy"}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)", README))))
def test_every_link_resolves(target: str) -> None:
    if not target.startswith("https://"):
        assert (ROOT / target).exists()


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([\w.]+)", README)) - {"venv", "pytest"}))
def test_every_module_that_it_runs_exists(module: str) -> None:
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_the_dependency_table_is_that_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    declared = {re.match(r"[\w-]+", requirement)[0] for requirement in required}  # type: ignore[index]
    table = README.split("## Dependencies")[1].split("\n\n")[1].splitlines()[2:]
    named = [re.sub(r"`\[\w+\]`:", "", row.split("|")[1]) for row in table]
    assert {name.strip() for cell in named for name in cell.split(",")} == declared
