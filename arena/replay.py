"""The replay: a window of the newest finished games, from which the learner draws positions.

It keeps moves and sparse targets, never planes: those are rebuilt when a position is drawn. All positions of a batch
are stepped together by the game's own rules, so no Python runs per sample.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from agents.search import shaped_returns
from arena.arrays import longest_first, normalised, replayed, spread
from arena.records import SampleBatch
from arena.shards import Shard
from games import ArenaError, Game, start_symmetries

Array = np.ndarray


@dataclass(frozen=True)
class ReplayConfig:
    """What the learner may draw from, and what it is told to predict."""

    window_fraction: float = 0.5
    """The window holds the newest games, with this share of all positions so far; it grows with the run."""
    window_min: int = 20_000
    """The window never holds fewer positions (once there are as many)."""
    window_max: int = 400_000
    """The window never holds more positions (beside one shard); this bounds its memory."""
    value_lambda: float = 0.9
    """The value target, TD(lambda): 1 = the game's result, 0 = the search's own value, between them a mean of the
    search's values from here to the end and of the result, each step further away counting this much of the last."""
    late_weight: float = 1.0
    """How often positions past half of the longest game's plies are drawn, beside those before: there the search sees
    the end, and little is left to learn. Told by ply, since how soon a game ended says something of its result."""
    distinct: bool = False
    """Draw every different position equally often, however many games went through it: with the policy of the newest
    search there and the mean of all value targets. Images under the board's symmetries are one position."""
    symmetries: bool = True
    """Show each position under a random symmetry of the board."""

    def __post_init__(self) -> None:
        checks = (
            ("window_fraction", 0 < self.window_fraction <= 1, "more than 0, up to 1"),
            ("window_min", self.window_min >= 1, "at least 1"),
            ("window_max", self.window_max >= self.window_min, "at least window_min"),
            ("value_lambda", 0 <= self.value_lambda <= 1, "from 0 to 1"),
            ("late_weight", 0.01 <= self.late_weight <= 1, "from 0.01 to 1"),
        )
        for name, holds, accepted in checks:
            if not holds:
                raise ArenaError(f"Replay setting {name}={getattr(self, name)} is out of range: give {accepted}.")


class Replay:
    """Positions of the newest games, drawn with replacement among those that have a policy target: uniformly, but for
    ``late_weight`` and ``distinct``.

    Args:
        game: the rules, of which every shard must be.
        config: the window and the targets.
        seed: what the draws come from.
        length_weight: ``SearchConfig.length_weight``, so that results and root values are shaped alike.
    """

    def __init__(self, game: Game, config: ReplayConfig, seed: int, *, length_weight: float) -> None:
        self._game, self._config, self._length_weight = game, config, length_weight
        self._rng = np.random.default_rng(np.random.SeedSequence(seed))
        self._observation_permutations = np.stack([s.observation_permutation for s in game.symmetries])
        self._action_permutations = np.stack([s.action_permutation for s in game.symmetries])
        # What becomes of every action in the images of a game that are games too, int64 [S, A].
        self._images = np.stack([s.image_of_action for s in start_symmetries(game)])
        self._shards: deque[tuple[int, int, int, int]] = deque()  # games, plies, entries, positions of each shard
        self._first_shard = 0
        self._total_positions = 0
        self._drawable: _Drawable | None = None  # what the window holds, once it is asked for
        # Columns are indexed by counts since the beginning of the run, which dropping old shards does not change.
        self._game_start = _Column(np.int64)  # per game: its first ply
        self._move = _Column(np.int32)  # per ply
        self._value_target = _Column(np.float32)
        self._key = _Column(np.uint64)
        self._game_of = _Column(np.int64)
        self._policy_start = _Column(np.int64)
        self._policy_length = _Column(np.int32)
        self._action = _Column(np.int32)  # per entry of a policy target
        self._weight = _Column(np.float32)
        self._learnable = _Column(np.int64)  # per position with a policy target: its ply
        self._per_ply = (
            self._move,
            self._value_target,
            self._key,
            self._game_of,
            self._policy_start,
            self._policy_length,
        )
        self._per_entry = (self._action, self._weight)
        self._columns = (self._game_start, *self._per_ply, *self._per_entry, self._learnable)

    # ---- what is in it -----------------------------------------------------------------------------------------

    @property
    def num_positions(self) -> int:
        """Positions that can be drawn now."""
        return len(self._learnable)

    @property
    def total_positions(self) -> int:
        """Positions added since the run began, those since dropped included."""
        return self._total_positions

    @property
    def num_different(self) -> int:
        """How many different positions there are among them, images under symmetries being the same: fewer than
        ``num_positions`` where games repeat."""
        return len(np.unique(self._key[self._positions()]))

    @property
    def num_shards(self) -> int:
        """Shards in the window."""
        return len(self._shards)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the window takes."""
        drawable = sum(array.nbytes for array in self._drawable or ())
        return drawable + sum(column.nbytes for column in self._columns)

    @property
    def window(self) -> int:
        """How many positions the window should hold now."""
        wanted = int(self._config.window_fraction * self._total_positions)
        return min(max(wanted, self._config.window_min), self._config.window_max)

    def add(self, shard: Shard) -> None:
        """Takes in a shard, and drops the oldest ones that the window can do without."""
        spec = self._game.spec
        if (shard.game, shard.game_version) != (spec.name, spec.version):
            raise ArenaError(
                f"A shard of {shard.game!r} version {shard.game_version} cannot be learned from in a run of "
                f"{spec.name!r} version {spec.version}."
            )
        lengths = shard.lengths.astype(np.int64)
        policy_lengths = shard.policy_lengths.astype(np.int64)
        first_game, first_ply, first_entry = self._game_start.end, self._move.end, self._action.end
        learnable = np.flatnonzero(policy_lengths)
        self._game_start.append(first_ply + np.cumsum(lengths) - lengths)
        self._move.append(shard.moves)
        self._value_target.append(self._targets(shard))
        self._key.append(self._keys(shard))
        self._game_of.append(first_game + np.repeat(np.arange(len(lengths)), lengths))
        self._policy_start.append(first_entry + np.cumsum(policy_lengths) - policy_lengths)
        self._policy_length.append(policy_lengths)
        self._action.append(shard.policy_actions)
        self._weight.append(normalised(shard.policy_weights, shard.policy_lengths))
        self._learnable.append(first_ply + learnable)
        self._shards.append((len(lengths), len(shard.moves), len(shard.policy_actions), len(learnable)))
        self._total_positions += len(learnable)
        self._drawable = None
        while self.num_positions - self._shards[0][3] >= self.window:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        games, plies, entries, positions = self._shards.popleft()
        self._first_shard += 1
        for columns, count in (
            ((self._game_start,), games),
            (self._per_ply, plies),
            (self._per_entry, entries),
            ((self._learnable,), positions),
        ):
            for column in columns:
                column.drop(count)

    # ---- drawing -----------------------------------------------------------------------------------------------

    def sample(self, batch_size: int) -> SampleBatch:
        """Draws ``batch_size`` positions with their targets.

        Raises:
            ValueError: there is nothing to draw from.
        """
        if not self.num_positions:
            raise ValueError("The replay holds no position to learn from; add a shard first.")
        spec = self._game.spec
        position, value_target = self._draw(batch_size)
        image = self._rng.integers(0, len(self._game.symmetries), batch_size)
        # The deepest first, so that those still to be stepped are always a prefix.
        deepest_first = np.argsort(-self._ply_of(position), kind="stable")
        position, value_target, image = (drawn[deepest_first] for drawn in (position, value_target, image))
        states = self._rebuild(position)
        observation = self._game.observe(states)
        mask = self._game.legal_action_mask(states)
        policy = np.zeros((batch_size, spec.num_actions), np.float32)
        rows, entries = spread(self._policy_start[position], self._policy_length[position])
        policy[rows, self._action[entries]] = self._weight[entries]
        if self._config.symmetries and len(self._game.symmetries) > 1:
            permutation = self._observation_permutations[image][:, None, :]
            flat = observation.reshape(*observation.shape[:2], -1)
            observation = np.take_along_axis(flat, permutation, axis=2).reshape(observation.shape)
            permutation = self._action_permutations[image]
            mask = np.take_along_axis(mask, permutation, axis=1)
            policy = np.take_along_axis(policy, permutation, axis=1)
        return SampleBatch(
            observation=observation,
            legal_action_mask=mask,
            policy_target=policy,
            value_target=value_target,
            weight=np.ones(batch_size, np.float32),
        )

    def _draw(self, count: int) -> tuple[Array, Array]:
        """Positions ``[count]`` and their value targets."""
        if self._drawable is None:
            self._drawable = self._list_drawable()
        position, value_target, ends = self._drawable
        drawn = np.searchsorted(ends, self._rng.random(count) * ends[-1], side="right")
        drawn = np.minimum(drawn, len(position) - 1)
        return position[drawn], value_target[drawn]

    def _list_drawable(self) -> _Drawable:
        position = self._positions()
        value_target = self._value_target[position]
        if self._config.distinct:
            _, which = np.unique(self._key[position], return_inverse=True)
            times = np.bincount(which)
            value_target = np.bincount(which, value_target) / times
            newest = np.empty_like(position, shape=len(times))
            newest[which] = position  # of several that go to one place, the last stays
            position = newest
        is_late = 2 * self._ply_of(position) >= self._game.spec.max_plies
        ends = np.cumsum(np.where(is_late, self._config.late_weight, 1.0))
        return _Drawable(position, value_target.astype(np.float32), ends)

    def _positions(self) -> Array:
        return self._learnable[np.arange(self._learnable.start, self._learnable.end)]

    def _ply_of(self, position: Array) -> Array:
        return position - self._game_start[self._game_of[position]]

    def _rebuild(self, position: Array) -> Array:
        """The states ``[B]`` at plies ``position``, of which the deepest come first."""
        ply = self._ply_of(position)
        start = position - ply
        states = self._game.init(len(position))
        # How many of the batch lie deeper than each ply.
        deeper = np.searchsorted(-ply, -np.arange(int(ply[0])), side="left") if len(ply) else ()
        for depth, count in enumerate(deeper):
            self._game.step_unchecked(states[:count], self._move[start[:count] + depth].astype(np.int64))
        return states

    def _keys(self, shard: Shard) -> Array:
        """The hash of the position at each ply, uint64 ``[T]``, the same for its images: the least of all of theirs."""
        keys = np.full(len(shard.moves), np.iinfo(np.uint64).max, np.uint64)
        for image in self._images:
            for plies, states in self._played(shard, image[shard.moves]):
                keys[plies] = np.minimum(keys[plies], self._game.hash(states))
        return keys

    def _targets(self, shard: Shard) -> Array:
        """The value target of each ply, float32 ``[T]``.

        The targets are lambda-returns (Sutton and Barto, 2018, section 12.1) for the mover. From the end of a game
        back: its shaped result, then at each ply lambda of what came after and the rest of the search's own value
        there. Plies where nobody searched add nothing of their own. A game that was truncated or given up, whose
        result nobody knows, starts from its last search's value instead.
        """
        # Everything is added up as seat 0 sees it, and turned to the mover's view at the end.
        sign, played = np.empty(len(shard.moves), np.float32), []
        for plies, states in self._played(shard, shard.moves):
            sign[plies] = np.where(states["to_play"] == 0, 1, -1)
            played.append(plies)
        searched = ~np.isnan(shard.root_values)
        own = np.where(searched, shard.root_values, 0) * sign
        order = longest_first(shard.lengths)
        lengths = shard.lengths[order].astype(np.int64)
        shaped = shaped_returns(shard.returns[order], lengths, self._game.spec.max_plies, self._length_weight)
        ended_early = ~shard.terminated[order]
        last = (np.cumsum(shard.lengths, dtype=np.int64) - 1)[order]
        value = np.where(ended_early, own[last], shaped[:, 0])
        targets = np.empty(len(shard.moves), np.float32)
        for plies in reversed(played):
            share = np.where(searched[plies], 1 - self._config.value_lambda, 0)
            value[: len(plies)] = (1 - share) * value[: len(plies)] + share * own[plies]
            targets[plies] = value[: len(plies)]
        return targets * sign

    def _played(self, shard: Shard, moves: Array) -> Iterator[tuple[Array, Array]]:
        """The games of a shard ``replayed`` with ``moves`` ``[T]``."""
        return replayed(self._game, moves, np.cumsum(shard.lengths, dtype=np.int64) - shard.lengths, shard.lengths)

    # ---- stopping and going on ---------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What a resume needs beside the shards; JSON-able. ``first_shard`` counts the shards that were dropped."""
        return {
            "rng": self._rng.bit_generator.state,
            "first_shard": self._first_shard,
            "positions_before": self._total_positions - self.num_positions,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Makes an empty replay go on from a ``state()``, once the run's shards from number ``first_shard`` on (counted
        from 0 in the order they were first added) have been added to it again, in that order."""
        if self._shards:
            raise ValueError("Restore a replay before adding shards to it: the window depends on what came before.")
        self._rng.bit_generator.state = state["rng"]
        self._first_shard = state["first_shard"]
        self._total_positions = state["positions_before"]


class _Drawable(NamedTuple):
    """What is drawn from: plies, their value targets, and the running sums of how often each is drawn."""

    position: Array
    value_target: Array
    weight_ends: Array


class _Column:
    """A queue of numbers in one array: appended at the end, dropped at the start, indexed by count since the start of
    the run. Appending is amortised; memory is at most twice what is held."""

    def __init__(self, dtype: Any, *shape: int) -> None:
        self._data = np.zeros((1024, *shape), dtype)
        self._offset = 0  # the index of ``_data[0]``
        self.start = self.end = 0

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, index: Array) -> Array:
        return self._data[index - self._offset]

    @property
    def nbytes(self) -> int:
        return self._data.nbytes

    def append(self, values: Array) -> None:
        if self.end + len(values) - self._offset > len(self._data):
            held = self._data[self.start - self._offset : self.end - self._offset]
            needed = len(held) + len(values)
            # Halfway between full and twice as large: compacting again must be as rare as growing.
            data = self._data if needed * 2 <= len(self._data) else np.zeros((needed * 2, *held.shape[1:]), held.dtype)
            data[: len(held)] = held.copy() if data is self._data else held
            self._data, self._offset = data, self.start
        self._data[self.end - self._offset : self.end - self._offset + len(values)] = values
        self.end += len(values)

    def drop(self, count: int) -> None:
        self.start += count
