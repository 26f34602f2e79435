"""Finds agents by what people type: ``name[:argument][,key=value]…``.

Examples: ``random``, ``mcts:simulations=800``, ``net:runs/c4,simulations=64``, ``solver:ties=first``, ``human``.
The argument is written first and without a key; only ``net`` takes one, its path.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from agents.core import Agent
from games import ArenaError, Game, UnknownNameError
from games.registry import unknown_name

_MODULES = {
    "gtp": "agents.engines.gtp",
    "human": "agents.human_agent",
    "mcts": "agents.mcts_agent",
    "net": "agents.net_agent",
    "openspiel": "agents.openspiel_agent",
    "policy": "agents.policy_agent",
    "random": "agents.random_agent",
    "solver": "agents.solver_agent",
    "uci": "agents.engines.uci",
    "usi": "agents.engines.usi",
}
"""Where each agent lives. A module is imported when its agent is first asked for, and declares ``KIND``."""

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True)
class AgentKind:
    """What an agent's module declares about it.

    Attributes:
        name: what people type before the colon.
        summary: one line of help.
        options: a frozen dataclass whose fields are made by ``option``.
        build: ``(spec, game, options) -> Agent``; the agent's name is the spec as given.
        argument: the option that the bare argument fills; "" when the agent takes none.
        others: the option that collects, as (key, text) pairs, what no other option is called; "" when there is none.
    """

    name: str
    summary: str
    options: type
    build: Callable[[str, Game, Any], Agent]
    argument: str = ""
    others: str = ""


def option(
    default: Any, meaning: str, *, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A field of an options dataclass: its default (whose type is the option's type), what it means and its bounds."""
    return dataclasses.field(default=default, metadata={"help": meaning, "low": low, "high": high, "choices": choices})


def available() -> tuple[str, ...]:
    """The names that ``make`` accepts, sorted."""
    return tuple(sorted(_MODULES))


def kind(name: str) -> AgentKind:
    """The declaration of one agent. Raises UnknownNameError, naming the nearest match."""
    if name not in _MODULES:
        raise UnknownNameError(unknown_name("agent", name, available()))
    return importlib.import_module(_MODULES[name]).KIND


def make(spec: str, game: Game) -> Agent:
    """The agent that ``spec`` describes, for ``game``. Agents are called by their spec.

    Raises:
        UnknownNameError: an agent or an option that does not exist, with the nearest match and all that do.
        ArenaError: a value that the option does not take, or whatever the agent itself needs and lacks.
    """
    spec = spec.strip()
    name, colon, rest = spec.partition(":")
    declared = kind(name)
    if colon and not rest:
        raise ArenaError(f"Agent {spec!r} ends in a colon; write {name!r} alone, or {usage(declared)}.")
    return declared.build(spec, game, parse_options(declared, rest))


def usage(declared: AgentKind) -> str:
    """How a spec of this agent is written, such as ``solver:ties=random|first``."""
    special = (declared.argument, declared.others)
    fields = [field for field in dataclasses.fields(declared.options) if field.name not in special]
    shown = [f"{field.name}={'|'.join(field.metadata['choices']) or field.default}" for field in fields]
    shown += ["NAME=VALUE"] if declared.others else []
    return ":".join(filter(None, [declared.name, ",".join(filter(None, [declared.argument.upper(), *shown]))]))


def describe() -> str:
    """Every agent with its options, types, defaults and help: what ``--help`` prints."""
    lines: list[str] = []
    for name in available():
        declared = kind(name)
        lines.append(f"{usage(declared)}\n    {declared.summary}")
        lines += [
            f"      {field.name} ({type(field.default).__name__}, default {field.default!r}): {field.metadata['help']}"
            for field in dataclasses.fields(declared.options)
        ]
    return "\n".join(lines)


def parse_options(declared: AgentKind, text: str) -> Any:
    """The options dataclass that ``[argument][,key=value]…`` stands for."""
    fields = {field.name: field for field in dataclasses.fields(declared.options) if field.name != declared.others}
    given: dict[str, Any] = {}
    others: dict[str, str] = {}
    for position, item in enumerate(text.split(",") if text else ()):
        key, equals, value = (part.strip() for part in item.partition("="))
        if declared.others and position == 0 and key not in fields:
            key, equals, value = declared.argument, "=", item.strip()  # a command may hold equals signs
        if not equals:
            if position or not declared.argument:
                takes = f"only as its first part, {usage(declared)}" if declared.argument else "none"
                raise ArenaError(
                    f"Agent {declared.name!r} was given the bare argument {item!r} but takes {takes}"
                    f"; options are written key=value, as in {usage(declared)}."
                )
            key, value = declared.argument, key
        if key not in fields and not declared.others:
            if not fields:
                raise UnknownNameError(f"Agent {declared.name!r} takes no options, but was given {item!r}.")
            raise UnknownNameError(unknown_name(f"option of agent {declared.name!r}", key, fields))
        if key in given or key in others:
            raise ArenaError(f"Agent {declared.name!r} was given the option {key!r} twice; give it once.")
        if key in fields:
            given[key] = _parse_value(declared.name, fields[key], value)
        else:
            others[key] = value
    return declared.options(**given, **({declared.others: tuple(others.items())} if others else {}))


def _parse_value(agent: str, field: dataclasses.Field[Any], text: str) -> Any:
    """``text`` as the type of the option's default, within its bounds."""
    low, high, choices = field.metadata["low"], field.metadata["high"], field.metadata["choices"]
    kind_of = type(field.default)
    wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "some text"}[kind_of]
    if choices:
        wanted = " or ".join(choices)
    elif low is not None:
        wanted += f" from {low}" + (f" to {high}" if high is not None else " up")

    def refuse() -> NoReturn:
        raise ArenaError(f"Option {field.name!r} of agent {agent!r} must be {wanted}, not {text!r}.")

    try:
        value = _TRUTH[text.lower()] if kind_of is bool else kind_of(text)
    except (ValueError, KeyError):
        refuse()
    if (choices and value not in choices) or (kind_of is str and not value):
        refuse()
    if kind_of in (int, float) and not ((low is None or value >= low) and (high is None or value <= high)):
        refuse()  # written so that NaN is refused too
    return value
