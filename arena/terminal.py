"""A game between a person and an agent, in the terminal or through a pipe."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

import agents
from agents.core import Agent, Array, RemarkingAgent, SearchResult, act, value_for_player
from agents.human_agent import HumanAgent, MovePrompt, PlayerLeftError
from games import Game

COMMANDS = {
    "hint": "what the opponent would play in your place, and what it thinks of every move",
    "undo": "take back to your previous move",
    "help": "this list",
    "quit": "leave the game",
}


class PlaySession:
    """One game of a person against ``opponent``.

    Args:
        game: the rules.
        opponent: who plays the other seat; it also gives the hints.
        seat: where the person sits, 0 = moves first.
        rng: what the opponent's choices are drawn from.
        source: where moves and commands are read, one per line; its end counts as ``quit``.
        screen: where everything is written.
    """

    def __init__(
        self,
        game: Game,
        opponent: Agent,
        seat: int,
        rng: np.random.Generator,
        source: TextIO = sys.stdin,
        screen: TextIO = sys.stdout,
    ) -> None:
        self._game = game
        self._opponent = opponent
        self._seat = seat
        self._rng, self._hint_rng = rng.spawn(2)  # hints must not change how the opponent plays on
        self._prompt = MovePrompt(game, source, screen)
        self._history = [game.init(1)]  # positions [1], oldest first
        self._moves: list[int] = []  # that led from each to the next

    def run(self) -> None:
        """Plays until the game ends or the person leaves, and says which."""
        say = self._prompt.say
        order = "first" if self._seat == 0 else "second"
        if self._game.spec.num_players > 1:
            say(f"{self._game.spec.name}: you move {order}, against {self._opponent.name}.")
        say("Type a move, or help.")
        self._opponent.reset()
        try:
            while not self._state["terminated"]:
                if self._state["to_play"] == self._seat:
                    self._prompt.show(self._state)
                    self._persons_turn()
                else:
                    self._opponents_turn()
        except PlayerLeftError:
            say(f"You left the game after {self._state['ply']} plies.")
            return
        self._prompt.show(self._state)
        say(self._outcome())
        if isinstance(self._opponent, RemarkingAgent) and (remark := self._opponent.remark()):
            say(remark)

    @property
    def _state(self) -> np.void:
        return self._history[-1][0]

    def _play(self, action: int) -> None:
        states = self._history[-1].copy()
        self._game.step(states, [action])
        self._history.append(states)
        self._moves.append(action)

    def _persons_turn(self) -> None:
        answer = self._prompt.ask(self._state, COMMANDS)
        if isinstance(answer, int):
            self._play(answer)
        elif answer == "undo":
            self._undo()
        elif answer == "hint":
            self._prompt.say(self._hint())
        elif answer == "help":
            self._prompt.say(self._help())
        else:
            raise PlayerLeftError("The player typed quit.")

    def _opponents_turn(self) -> None:
        if isinstance(self._opponent, HumanAgent):
            result = self._opponent.act(self._history[-1], self._rng)
        else:
            result = self._ask(self._history[-1], self._rng, (), np.zeros(1, dtype=np.int64))
        action, value = int(result.action[0]), float(result.value[0])
        opinion = "" if np.isnan(value) else f" (it rates its position {value:+.2f})"
        self._prompt.say(f"{self._opponent.name} plays {self._game.action_to_string(self._state, action)}{opinion}")
        self._play(action)

    def _ask(
        self, states: Array, rng: np.random.Generator, last: Sequence[int] | Array, slots: Array | None = None
    ) -> SearchResult:
        """What the opponent says of ``states`` ``[B]``: the position of the game, or those that follow from one of the
        moves ``last`` each."""
        moves = np.array(self._moves, np.int64)[None].repeat(len(states), axis=0)
        if len(last):
            moves = np.concatenate([moves, np.asarray(last, np.int64)[:, None]], axis=1)
        return act(self._opponent, states, moves, np.full(len(states), moves.shape[1]), rng, slots)

    def _undo(self) -> None:
        own = [index for index, states in enumerate(self._history[:-1]) if states["to_play"][0] == self._seat]
        if not own:
            self._prompt.say("There is no move of yours to take back.")
            return
        del self._history[own[-1] + 1 :], self._moves[own[-1] :]
        self._opponent.reset()  # its tree grew below moves that were never played

    def _help(self) -> str:
        mask = self._game.legal_action_mask(self._history[-1])[0]
        moves = [self._game.action_to_string(self._state, int(action)) for action in np.flatnonzero(mask)]
        shown = " ".join(moves[:40]) + (" …" if len(moves) > 40 else "")
        return "\n".join([f"  moves: {shown}"] + [f"  {word}: {meaning}" for word, meaning in COMMANDS.items()])

    def _hint(self) -> str:
        """The opponent's view of the position: a line per move with policy, visits and the value after it."""
        if isinstance(self._opponent, HumanAgent):
            return "Hints come from the opponent, and this one is a person."
        result = self._ask(self._history[-1], self._hint_rng, ())
        legal = np.flatnonzero(self._game.legal_action_mask(self._history[-1])[0])
        values = self._values_after(legal)
        names = [self._game.action_to_string(self._state, int(action)) for action in legal]
        best = names[list(legal).index(result.action[0])]
        width = max(4, *map(len, names))
        lines = [f"{self._opponent.name} would play {best}.", f"  {'move':>{width}}  policy  visits   value"]
        for row in np.argsort(-result.action_weights[0, legal], kind="stable"):
            policy, visits = result.action_weights[0, legal[row]], result.visit_counts[0, legal[row]]
            value = "    –" if np.isnan(values[row]) else f"{values[row]:+5.2f}"
            lines.append(f"  {names[row]:>{width}}  {policy:6.1%}  {visits or '–':>6}   {value}")
        return "\n".join([*lines, "The value is yours after the move, from -1 (lost) to +1 (won)."])

    def _values_after(self, actions: Array) -> Array:
        """float64 ``[len(actions)]``: the opponent's value of each position one move on, for the person."""
        after = np.repeat(self._history[-1], len(actions))
        self._game.step(after, actions)
        values = self._game.returns(after)[:, self._seat].astype(np.float64)
        open_ = np.flatnonzero(~after["terminated"])
        if len(open_):
            result = self._ask(after[open_], self._hint_rng, actions[open_])
            values[open_] = value_for_player(result.value, after["to_play"][open_], self._seat)
        return values

    def _outcome(self) -> str:
        score = float(self._game.returns(self._history[-1])[0, self._seat])
        when = f"after {self._state['ply']} plies"
        if self._game.spec.num_players == 1:
            return f"The game is over {when}; your result is {score:+.2f}."
        if score == 0:
            return f"A draw {when}."
        return f"You win {when}." if score > 0 else f"{self._opponent.name} wins {when}."


def default_opponent(game: Game, runs: Path, screen: TextIO) -> Agent:
    """The newest trained network of this game under ``runs``; without one, ``mcts`` and a word on how to get one."""
    trained = [run for run in runs.glob("*") if _game_of(run) == game.spec.name and _networks(run)]
    if trained:
        newest = max(trained, key=lambda run: max(file.stat().st_mtime for file in _networks(run)))
        return agents.make(f"net:path={newest}", game)
    name = game.spec.name
    screen.write(
        f"There is no trained run of {name} in {runs}/, so your opponent is mcts, which only knows the rules.\n"
        f"To train one: arena train {name} --minutes 10\n"
    )
    return agents.make("mcts", game)


def _networks(run: Path) -> list[Path]:
    return list(run.glob("checkpoints/*/network.json"))


def _game_of(run: Path) -> str | None:
    """The game that a run's configuration names; None where that cannot be told."""
    try:
        return tomllib.loads((run / "config.toml").read_text(encoding="utf-8")).get("game")
    except (OSError, ValueError):
        return None


def choose_seat(name: str, game: Game, rng: np.random.Generator) -> int:
    """The seat that ``first``, ``second`` or ``random`` stands for."""
    if game.spec.num_players == 1:
        return 0
    return {"first": 0, "second": 1}[name] if name != "random" else int(rng.integers(game.spec.num_players))
