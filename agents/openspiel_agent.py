"""OpenSpiel's bots as agents: ``openspiel:mcts,simulations=1000``; ``pip install "game-arena[openspiel]"`` brings them.

A bot plays on OpenSpiel's own state of the game, which follows ours. For every move it is made anew from a seed of the
game's, so that a game does not depend on those beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.core import Array, ForfeitError, SearchResult
from agents.following import Followers, FollowingAgent
from agents.registry import AgentKind, option
from games import ArenaError, EndReason, Game, UnknownNameError, UnsupportedError
from games.notation import family, without_past
from games.openspiel import their_name, their_numbers
from games.registry import unknown_name

_MEMORY_MEGABYTES = 1000


@dataclass(frozen=True)
class OpenSpielOptions:
    """What ``openspiel:BOT,…`` accepts."""

    bot: str = option("mcts", "mcts, their tree search with random playouts, or the name of a bot that they register")
    simulations: int = option(1000, "mcts: descents of the tree per move", low=1, high=10_000_000)
    rollouts: int = option(1, "mcts: random playouts per new position", low=1, high=10_000)
    uct_c: float = option(2.0, "mcts: how much it explores", low=0.0, high=1e6)
    solve: bool = option(True, "mcts: prove wins and losses on the way")


class OpenSpielAgent(FollowingAgent[Any]):
    """A bot of OpenSpiel's; a ``HistoryAgent``.

    Raises:
        ArenaError: OpenSpiel is not installed, has no such bot, or does not play the game.
    """

    def __init__(self, spec: str, game: Game, options: OpenSpielOptions) -> None:
        try:
            import pyspiel
        except ImportError:
            raise ArenaError(f'{spec} needs OpenSpiel: pip install "game-arena[openspiel]".') from None
        bots = ["mcts", *pyspiel.registered_bots()]
        if options.bot not in bots:
            raise UnknownNameError(unknown_name("bot of OpenSpiel's", options.bot, bots))
        self.name = spec
        self._spiel, self._game, self._options = pyspiel, game, options
        self._theirs = pyspiel.load_game(their_name(game))
        super().__init__(Followers(game, self._begin, self._play))

    def act_after(
        self, states: Array, moves: Array, plies: Array, rng: np.random.Generator, slots: Array | None = None
    ) -> SearchResult:
        """Asks a bot in every one of ``states`` ``[B]``; see ``HistoryAgent``.

        Raises:
            ForfeitError: a bot has no legal move in some of them; it holds the moves in the others.
        """
        if slots is None:
            self.reset()
        rows = len(states)
        seeds = rng.integers(0, 2**31 - 1, size=rows)
        visits = np.zeros((rows, self._game.spec.num_actions), np.int32)
        actions, values = np.full(rows, -1, np.int64), np.full(rows, np.nan, np.float32)
        ends: dict[int, tuple[EndReason, str]] = {}
        for row in range(rows):
            position, played = states[row : row + 1], tuple(moves[row, : plies[row]].tolist())
            other = self._followers.follow(row if slots is None else int(slots[row]), position, played)
            if other.is_terminal():
                ends[row] = EndReason.FORFEIT, f"{self.name}: by OpenSpiel's rules this game is over."
                continue
            numbers = their_numbers(self._game, position, other)
            actions[row], values[row] = self._choose(other, numbers, int(seeds[row]), visits[row])
            if actions[row] < 0:
                ends[row] = EndReason.FORFEIT, f"{self.name} chose a move that our rules do not allow."
        weights = visits.astype(np.float32)
        weights[np.arange(rows), np.maximum(actions, 0)] += (actions >= 0) & (visits.sum(axis=1) == 0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
        result = SearchResult(actions, weights, values, visits)
        if ends:
            raise ForfeitError(ends, result)
        return result

    def _begin(self, states: Array | None) -> Any:
        if states is None:
            return self._theirs.new_initial_state()
        if family(self._game) not in ("chess", "shogi"):
            raise UnsupportedError(
                f"{self.name} plays by the moves from the start of a game, which are not known here."
            )
        # What the position came from is lost, and with it the repetitions that OpenSpiel would see.
        text = self._game.state_to_string(without_past(self._game, states)[0])
        return self._theirs.new_initial_state(text.partition(" moves ")[0])

    def _play(self, other: Any, states: Array, action: int) -> None:
        if not other.is_terminal():
            other.apply_action(int(their_numbers(self._game, states, other)[action]))

    def _choose(self, other: Any, numbers: Array, seed: int, visits: Array) -> tuple[int, float]:
        """The action, -1 for one that is none of ours, and its value; ``visits`` ``[A]`` are filled in."""
        ours = {int(number): action for action, number in enumerate(numbers) if number >= 0}
        options, spiel = self._options, self._spiel
        if options.bot != "mcts":
            bot = spiel.load_bot(options.bot, self._theirs, other.current_player())
            return ours.get(bot.step(other), -1), math.nan
        evaluator = spiel.RandomRolloutEvaluator(options.rollouts, seed)
        limits = (options.uct_c, options.simulations, _MEMORY_MEGABYTES, options.solve, seed, False)
        root = spiel.MCTSBot(self._theirs, evaluator, *limits).mcts_search(other)
        children = {ours[child.action]: child for child in root.children if child.action in ours}
        for action, child in children.items():
            visits[action] = child.explore_count
        best = ours.get(root.best_child().action, -1)
        if best < 0 and children:  # it would repeat a position
            best = max(children, key=lambda action: children[action].explore_count)
        if best < 0:
            return -1, math.nan
        child = children[best]
        value = child.outcome[child.player] if child.outcome else child.total_reward / max(child.explore_count, 1)
        return best, float(value)


KIND = AgentKind("openspiel", "a bot of OpenSpiel's", OpenSpielOptions, OpenSpielAgent, argument="bot")
