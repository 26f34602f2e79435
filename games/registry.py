"""Finds games by name. The registry walks the package, so adding a game edits no other file."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable

import games
from games.core import Game, UnknownNameError


@functools.cache
def _game_classes() -> dict[str, Callable[..., Game]]:
    classes: dict[str, Callable[..., Game]] = {}
    for module_info in pkgutil.iter_modules(games.__path__):
        if module_info.ispkg:
            continue
        module = importlib.import_module(f"games.{module_info.name}")
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, Game) and cls.__module__ == module.__name__:
                classes.update(dict.fromkeys(cls.names, cls))
    return classes


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
    """The game called ``name``; ``options`` go to its constructor (komi, history steps, …).

    Raises:
        UnknownNameError: names what was given, what is accepted and the nearest match.
    """
    classes = _game_classes()
    if name not in classes:
        raise UnknownNameError(unknown_name("game", name, available()))
    return classes[name](name, **options)


def unknown_name(kind: str, name: str, accepted: Iterable[str]) -> str:
    """One sentence that names what was given, the nearest match and all that is accepted."""
    accepted = sorted(accepted)
    close = difflib.get_close_matches(name, accepted, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"Unknown {kind} {name!r}{hint} Accepted: {', '.join(accepted)}."
