"""Random game trees: every position's moves, mover, result and evaluation are drawn from a hash of its number.

Different paths may lead to the same number (transpositions, for the cache), the mover may stay the same (passes and
extra turns), some trees have one player, and results come in all sizes.
"""

from __future__ import annotations

import functools

import numpy as np

from agents.core import Evaluation
from games import Game, GameSpec


def mix(number: int) -> int:
    """splitmix64, in plain Python."""
    number = (number + 0x9E3779B97F4A7C15) % 2**64
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB % 2**64
    return number ^ (number >> 31)


@functools.lru_cache(maxsize=2**20)
def draw(seed: int, number: int, what: int) -> int:
    """One of the random facts about a position."""
    return mix(mix(seed * 1009 + what) ^ number)


class RandomTree(Game):
    """A game whose rules are a hash function of ``seed``. Written for clarity, one position at a time."""

    def __init__(self, seed: int, *, num_players: int = 2, num_actions: int = 6, depth: int = 9, positions: int = 400):
        self.spec = GameSpec(f"random_tree_{seed}", 1, num_players, num_actions, (1, 1, 1), depth)
        self.dtype = np.dtype([("to_play", "i1"), ("terminated", "?"), ("ply", "i2"), ("number", "i8"), ("root", "i8")])
        self._seed = seed
        self._positions = positions

    def draw(self, number: int, what: int) -> int:
        return draw(self._seed, int(number), what)

    def init(self, batch_size):
        states = np.zeros(batch_size, dtype=self.dtype)
        states["number"] = states["root"] = np.arange(batch_size) * 10**6
        return states

    def legal_action_mask(self, states):
        masks = np.zeros((len(states), self.spec.num_actions), dtype=bool)
        for row, state in enumerate(states):
            if not state["terminated"]:
                for action in range(self.spec.num_actions):
                    masks[row, action] = self.draw(state["number"], 10 + action) % 3 > 0
                masks[row, self.draw(state["number"], 1) % self.spec.num_actions] = True
        return masks

    def step_unchecked(self, states, actions):
        for row, action in enumerate(actions):
            child = self.draw(states["number"][row], 100 + int(action)) % self._positions
            states["number"][row] = states["root"][row] + int(states["ply"][row]) * self._positions + child
            states["ply"][row] += 1
            number = int(states["number"][row])
            if self.spec.num_players == 2 and self.draw(number, 2) % 5 > 0:  # one in five moves keeps the turn
                states["to_play"][row] = 1 - states["to_play"][row]
            at_end = states["ply"][row] == self.spec.max_plies
            states["terminated"][row] = at_end or self.draw(number, 3) % 7 == 0

    def returns(self, states):
        values = np.zeros((len(states), self.spec.num_players), dtype=np.float32)
        for row, state in enumerate(states):
            if state["terminated"]:
                value = (self.draw(state["number"], 4) % 5 - 2) / 2
                values[row, 0] = value
                if self.spec.num_players == 2:
                    values[row, 1] = -value
        return values

    def hash(self, states):
        fields = states["number"].astype(np.int64) * 64 + states["to_play"] * 32 + states["ply"]
        return np.array([mix(int(field)) for field in fields], dtype=np.uint64)

    def observe(self, states):
        return states["number"].astype(np.float32).reshape(-1, 1, 1, 1)

    def render(self, state, *, color=False):
        return str(state["number"])

    def action_to_string(self, state, action):
        return str(action)

    def parse_action(self, state, text):
        return int(text)

    def state_to_string(self, state):
        return str(state["number"])

    def parse_state(self, text):
        raise NotImplementedError


class OneRoot(RandomTree):
    """A random tree in which every game starts from the same position, whatever its slot."""

    def init(self, batch_size):
        return np.repeat(super().init(1), batch_size)


class HashEvaluator:
    """Logits and values drawn from the same hash, the same for a position however it is reached or batched."""

    def __init__(self, game: RandomTree, *, cacheable: bool = True) -> None:
        self.version = 0
        self.cacheable = cacheable
        self.batches: list[int] = []
        self._game = game

    def evaluate(self, states, legal_action_mask):
        self.batches.append(len(states))
        logits = np.zeros(legal_action_mask.shape, dtype=np.float32)
        values = np.zeros(len(states), dtype=np.float32)
        for row, state in enumerate(states):
            key = int(state["number"]) * 2 + int(state["to_play"])
            values[row] = self._game.draw(key, 5 + self.version) / 2**63 - 1
            for action in range(self._game.spec.num_actions):
                logits[row, action] = self._game.draw(key, 200 + action) / 2**62 - 2
        return Evaluation(prior_logits=logits, value=values)
