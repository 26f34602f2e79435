"""A person at a terminal, or a script at a pipe: reads moves as people write them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from agents.core import Array, SearchResult
from agents.registry import AgentKind
from games import ArenaError, Game


class PlayerLeftError(ArenaError):
    """The person typed ``quit`` or the input ended."""


def wants_color(stream: TextIO) -> bool:
    """Whether to draw in colour: only on a terminal, and not where NO_COLOR is set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class MovePrompt:
    """Asks for a move until it gets a legal one or a command.

    Args:
        game: whose moves are read.
        source: where lines are read from, one per answer; its end counts as ``quit``.
        screen: where the board and the questions are written.
    """

    def __init__(self, game: Game, source: TextIO, screen: TextIO) -> None:
        self._game = game
        self._source = source
        self.screen = screen
        self.color = wants_color(screen)

    def say(self, text: str = "") -> None:
        self.screen.write(text + "\n")
        self.screen.flush()

    def show(self, state: np.void) -> None:
        self.say("\n" + self._game.render(state, color=self.color))

    def ask(self, state: np.void, commands: Mapping[str, str]) -> int | str:
        """A legal action, or one of ``commands`` (word → what it does); whatever else is typed is explained.

        Raises:
            PlayerLeftError: the input ended.
        """
        while True:
            self.screen.write("your move> ")
            self.screen.flush()
            line = self._source.readline()
            if not line:
                self.say()
                raise PlayerLeftError("The input ended.")
            if not self._source.isatty():
                self.say(line.strip())  # so that the transcript of a piped game reads like a session
            text = line.strip()
            if not text:
                continue
            if text.lower() in commands:
                return text.lower()
            try:
                return self._game.parse_action(state, text)
            except ArenaError as error:
                self.say(f"{error} Type 'help' for the commands." if "help" in commands else str(error))


@dataclass(frozen=True)
class HumanOptions:
    """It has none."""


class HumanAgent:
    """Asks the person for every move. ``quit`` or the end of the input raises PlayerLeftError."""

    def __init__(self, spec: str, game: Game, options: HumanOptions = HumanOptions()) -> None:
        del options
        self.name = spec
        self._game = game
        self._prompt = MovePrompt(game, sys.stdin, sys.stdout)

    def act(self, states: Array, rng: np.random.Generator, slots: Array | None = None) -> SearchResult:
        del rng, slots  # people bring their own
        actions = np.zeros(len(states), dtype=np.int64)
        for row, state in enumerate(states):
            self._prompt.show(state)
            answer = self._prompt.ask(state, {"quit": "leave"})
            if isinstance(answer, str):
                raise PlayerLeftError("The player left before the game was over.")
            actions[row] = answer
        weights = np.zeros((len(states), self._game.spec.num_actions), dtype=np.float32)
        weights[np.arange(len(states)), actions] = 1.0
        unknown = np.full(len(states), np.nan, dtype=np.float32)
        return SearchResult(actions, weights, unknown, np.zeros(weights.shape, dtype=np.int32))

    def reset(self) -> None:
        """Nothing is carried between moves."""


KIND = AgentKind("human", "asks whoever sits at the terminal", HumanOptions, HumanAgent)
