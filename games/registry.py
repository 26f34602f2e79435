"""Finds games by name. The registry walks the package, so adding a game edits no other file.

Games of one's own may also lie elsewhere: in the folders that the environment variable ARENA_GAMES names.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import importlib.machinery
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType

import games
from games.core import ArenaError, Game, UnknownNameError


@functools.cache
def _game_classes() -> dict[str, Callable[..., Game]]:
    classes: dict[str, Callable[..., Game]] = {}
    for module in _modules():
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, Game) and cls.__module__ == module.__name__:
                classes.update(dict.fromkeys(cls.names, cls))
    return classes


def _modules() -> Iterator[ModuleType]:
    """Every module of this package, then every Python file in the folders that ARENA_GAMES names."""
    for info in pkgutil.iter_modules(games.__path__):
        if not info.ispkg:
            yield importlib.import_module(f"games.{info.name}")
    for folder in filter(None, os.environ.get("ARENA_GAMES", "").split(os.pathsep)):
        if not Path(folder).is_dir():
            raise ArenaError(f"ARENA_GAMES names {folder!r}, which is no folder; give the folders of your games.")
        for path in sorted(Path(folder).glob("*.py")):
            # A name of their own, since a file called chess.py must not hide a package of that name.
            loader = importlib.machinery.SourceFileLoader(f"arena_games.{path.stem}", str(path))
            module = ModuleType(loader.name)
            module.__file__ = str(path)
            sys.modules[loader.name] = module
            loader.exec_module(module)
            yield module


def available() -> tuple[str, ...]:
    """The names that ``make`` accepts, sorted."""
    return tuple(sorted(_game_classes()))


def families() -> dict[str, tuple[str, ...]]:
    """The names by game: those that differ in size only stand together, under the one that is the default."""
    found: dict[str, tuple[str, ...]] = {}
    for cls in dict.fromkeys(_game_classes().values()):
        names = tuple(name for name, other in _game_classes().items() if other is cls)
        default = inspect.signature(cls).parameters["name"].default
        found[default if default in names else names[0]] = names
    return dict(sorted(found.items()))


def make(name: str, **options: object) -> Game:
    """The game called ``name``, such as ``"hex_11x11"`` or, with options of its own, ``"hex_11x11:swap=true"``.

    ``options`` may also be given by keyword. Those that differ from their defaults are part of ``spec.name``, so that
    what was learnt under one set of rules is not taken for another.

    Raises:
        UnknownNameError: names the game or option that was given, what is accepted and the nearest match.
        ArenaError: a value that the option does not take.
    """
    base, colon, written = name.partition(":")
    classes = _game_classes()
    if base not in classes:
        raise UnknownNameError(unknown_name("game", base, available()))
    defaults = option_defaults(base)
    given = dict(options)
    for item in written.split(",") if colon else ():
        key, _, text = item.partition("=")
        given[key] = _option_value(base, key, text, defaults[key]) if key in defaults else text
    for key in given:
        if key not in defaults:
            takes = unknown_name(f"option of game {base!r}", key, defaults) if defaults else f"{base} has no options."
            raise UnknownNameError(takes)
    game = classes[base](base, **given)
    changed = [
        f"{key}={_option_text(given[key])}" for key in defaults if given.get(key, defaults[key]) != defaults[key]
    ]
    if changed:
        game.spec = dataclasses.replace(game.spec, name=f"{base}:{','.join(changed)}")
    return game


def option_defaults(name: str) -> dict[str, object]:
    """The options of a game, a name of ``available()``, with their defaults: what its constructor takes."""
    parameters = inspect.signature(_game_classes()[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _option_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _option_value(name: str, key: str, text: str, default: object) -> object:
    """``text`` as the type of the option's default; None stands for a whole number that the game computes."""
    kinds: dict[type, tuple[str, Callable[[str], object]]] = {
        bool: ("true or false", {"true": True, "false": False}.__getitem__),
        int: ("a whole number", int),
        type(None): ("a whole number", int),
        float: ("a number", float),
        str: ("some text", str),
    }
    wanted, parse = kinds[type(default)]
    try:
        return parse(text)
    except (KeyError, ValueError):
        raise ArenaError(f"Option {key!r} of game {name!r} must be {wanted}, not {text!r}.") from None


def unknown_name(kind: str, name: str, accepted: Iterable[str]) -> str:
    """One sentence that names what was given, the nearest match and all that is accepted."""
    accepted = sorted(accepted)
    close = difflib.get_close_matches(name, accepted, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"Unknown {kind} {name!r}{hint} Accepted: {', '.join(accepted)}."
