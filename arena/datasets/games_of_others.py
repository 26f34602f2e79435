"""Games that people played: WTHOR (Othello), KGS (Go) and master games of chess, as positions or as whole games.

A game is read once, checked move by move against our rules, and kept as its moves, its result and who moved; positions
are played again when they are drawn. The same game, or its mirror image, counts once however often it is recorded.
Which split a game belongs to is decided by its moves alone, so it is the same everywhere and with more or fewer files.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import games
from agents.histories import FIRST_ACTION, START, as_seen
from arena.arrays import longest_first, replayed
from arena.datasets.cache import Arrays, cached, find_files
from arena.datasets.core import HELD_OUT, SPLITS, Answers, Dataset, DatasetError, SequenceBatch, Source
from arena.records import SampleBatch
from games import Game, Symmetry, records, start_symmetries
from games.hashing import mix64

Array = np.ndarray
VERSION = 1
"""Of this module's arrays: raised whenever the same files give others."""


@dataclass(frozen=True)
class GameSet:
    """One collection of games.

    Attributes:
        game: what they are games of.
        pattern: what its files are called.
        origin: where they can be had.
    """

    game: str
    pattern: str
    origin: str


SETS = {
    "wthor": GameSet("othello", "WTH_*.wtb", "the French Othello federation's WTHOR, github.com/LimeEng/wthor"),
    "kgs": GameSet("go_19x19", "KGS-*.tar.gz", "KGS archives of strong players, u-go.net/gamerecords"),
    "chess_masters": GameSet("chess", "human_games.pgn.gz", "master games as PGN"),
}


def open_games(source: Source, name: str) -> PositionDataset | SequenceDataset:
    """The set ``name`` of ``SETS``, as the network of ``source`` reads it.

    Raises:
        DatasetError: no files, or no games in them, or they are games of something else than ``source`` says.
    """
    chosen = SETS[name]
    if source.game and source.game.partition(":")[0] != chosen.game:
        raise DatasetError(f"{name} has games of {chosen.game}, not of {source.game!r}; options may follow its name.")
    files = find_files(name, source.data, [chosen.pattern], chosen.origin)
    plain, game = games.make(chosen.game), games.make(source.game or chosen.game)
    arrays = cached(f"{name}-{plain.spec.version}", VERSION, files, lambda: collect(plain, read_files(plain, files)))
    if source.reads == "planes":
        return PositionDataset(game, arrays, augment=source.augment)
    return SequenceDataset(
        *(game, arrays, source.reads, source.context),
        augment=source.augment,
        random_tails=source.random_tails,
        random_branches=source.random_branches,
    )


# ---- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """One game that can be learned from, or why it cannot: ``moves`` int ``[T]``, and what it came to for seat 0."""

    moves: Array
    result: float
    problem: str = ""


def read_files(game: Game, files: Sequence[Path]) -> Iterator[Reading]:
    """The games of ``files``, every move of which our rules allow."""
    left_out: list[str] = []

    def usable() -> Iterator[records.GameRecord]:
        for path in files:
            reader = records.read(path, errors="skip")
            for record in reader:
                if record.game.partition(":")[0] != game.spec.name:
                    left_out.append("another game or size")
                elif record.start:
                    left_out.append("another start, such as a handicap")
                elif record.returns is None:
                    left_out.append("no result")
                elif not len(record.moves):
                    left_out.append("no moves")
                else:
                    yield dataclasses.replace(record, game=game.spec.name)  # komi and the like decide nothing here
            left_out.extend(["damaged record"] * reader.broken)

    for replay in records.replay_all(usable()):
        result = replay.record.returns
        assert result is not None
        problem = "a move that our rules forbid" if replay.problem else ""
        yield Reading(replay.record.moves, float(result[0]), problem)
    for problem in left_out:
        yield Reading(np.zeros(0, np.int64), 0.0, problem)


def collect(game: Game, readings: Iterator[Reading]) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and facts of a set: each different game once, in its split.

    Arrays, with ``G`` games one after the other: ``moves`` int16 ``[sum T]``, ``movers`` int8 likewise (the seat),
    ``seen_position`` and ``seen_moves`` bool likewise (whether training games reach it too), ``lengths`` int32 ``[G]``,
    ``results`` float32 ``[G]`` (for seat 0), ``splits`` uint8 ``[G]`` (into ``SPLITS``).

    Raises:
        DatasetError: there is no game at all.
    """
    found, problems = [], Counter()
    for reading in readings:
        if reading.problem:
            problems[reading.problem] += 1
        else:
            found.append(reading)
    if not found:
        raise DatasetError(f"No game of {game.spec.name} could be read; left out: {dict(problems) or 'nothing'}.")
    moves = [reading.moves for reading in found]
    keys = game_keys(moves, start_symmetries(game))
    _, first = np.unique(keys, return_index=True)
    problems["the same game once more"] = len(found) - len(first)
    kept = np.sort(first)
    lengths = np.array([len(moves[row]) for row in kept], np.int32)
    joined = np.concatenate([moves[row] for row in kept]).astype(np.int16)
    splits = split_of(keys[kept])
    movers, positions = _replay(game, joined, lengths)
    by_ply = np.repeat(splits, lengths)
    prefixes = _prefix_hashes(joined, lengths)
    seen = {
        name: np.isin(hashes, hashes[by_ply == SPLITS.index("train")])
        for name, hashes in (("seen_position", positions), ("seen_moves", prefixes))
    }
    arrays = {
        "moves": joined,
        "movers": movers,
        "lengths": lengths,
        "results": np.array([found[row].result for row in kept], np.float32),
        "splits": splits,
        **seen,
    }
    held = by_ply == SPLITS.index("test")
    facts = {
        "left_out": {name: count for name, count in sorted(problems.items()) if count},
        "test_positions_seen": float(seen["seen_position"][held].mean()) if held.any() else 0.0,
        "test_prefixes_seen": float(seen["seen_moves"][held].mean()) if held.any() else 0.0,
    }
    return arrays, facts


def game_keys(moves: Sequence[Array], symmetries: Sequence[Symmetry]) -> Array:
    """uint64 ``[G]``: the same for a game and its mirror images, and (but for chance) for no others."""
    lengths = np.array([len(each) for each in moves])
    joined = np.concatenate(moves)
    ends = np.cumsum(lengths) - 1
    keys = [_prefix_hashes(symmetry.image_of_action[joined], lengths, whole=True)[ends] for symmetry in symmetries]
    return np.min(keys, axis=0)


def split_of(keys: Array) -> Array:
    """uint8 ``[G]``: the split that each game's key puts it in."""
    share = (mix64(keys) >> np.uint64(40)) / float(1 << 24)
    return np.searchsorted([1 - 2 * HELD_OUT, 1 - HELD_OUT], share, side="right").astype(np.uint8)


def _prefix_hashes(moves: Array, lengths: Array, *, whole: bool = False) -> Array:
    """uint64 ``[sum T]``: for each move, what was played before it (``whole``: it included) in its game."""
    hashes = np.zeros(len(moves), np.uint64)
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    order = np.argsort(-lengths, kind="stable")  # the longest first: games that go on are always a prefix
    going_on = np.searchsorted(-lengths[order], -np.arange(int(lengths.max(initial=0))), side="left")
    running = np.zeros(len(lengths), np.uint64)
    for ply, count in enumerate(going_on):
        here = starts[order[:count]] + ply
        before = running[:count].copy()
        running[:count] = mix64(running[:count] ^ (moves[here].astype(np.uint64) + np.uint64(1)))
        hashes[here] = running[:count] if whole else before
    return hashes


def _replay(game: Game, moves: Array, lengths: Array) -> tuple[Array, Array]:
    """The mover (int8) and the hash (uint64) of the position before each of ``moves``."""
    movers, hashes = np.zeros(len(moves), np.int8), np.zeros(len(moves), np.uint64)
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    for chunk in np.array_split(longest_first(lengths), max(1, len(lengths) // 8192)):
        for here, states in replayed(game, moves, starts[chunk], lengths[chunk]):
            movers[here] = states["to_play"]
            hashes[here] = game.hash(states)
    return movers, hashes


# ---- showing ---------------------------------------------------------------------------------------------------------


class _Games:
    """The arrays of a set, and where each of its games begins."""

    def __init__(self, game: Game, arrays: Arrays) -> None:
        self.game = game
        self.moves, self.movers, self.results = arrays["moves"], arrays["movers"], arrays["results"]
        self.lengths = np.asarray(arrays["lengths"], np.int64)
        self.splits = np.asarray(arrays["splits"])
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.seen_position, self.seen_moves = arrays["seen_position"], arrays["seen_moves"]
        counts = ", ".join(f"{int((self.splits == i).sum())} {split}" for i, split in enumerate(SPLITS))
        left_out = ", ".join(f"{count} {name}" for name, count in arrays.facts["left_out"].items())
        seen = arrays.facts["test_positions_seen"], arrays.facts["test_prefixes_seen"]
        self.notes = (
            f"{len(self.lengths)} different games of {game.spec.name} ({counts}), {len(self.moves)} moves.",
            f"Left out: {left_out or 'nothing'}.",
            f"Of the test games' positions training games reach {seen[0]:.1%} too, {seen[1]:.1%} by the same moves.",
        )

    def of_split(self, split: str) -> Array:
        """int64: the games of a split, in order."""
        return np.flatnonzero(self.splits == SPLITS.index(split))

    def states_at(self, plies: Array, game_of: Array) -> Array:
        """The positions before moves ``plies`` (int64 ``[B]``, into ``moves``) of games ``game_of``."""
        depth = plies - self.starts[game_of]
        order = np.argsort(-depth, kind="stable")  # the deepest first: those still to be stepped are always a prefix
        starts, depth = self.starts[game_of[order]], depth[order]
        states = self.game.init(len(plies))
        deeper = np.searchsorted(-depth, -np.arange(int(depth.max(initial=0))), side="left")
        for ply, count in enumerate(deeper):
            self.game.step_unchecked(states[:count], self.moves[starts[:count] + ply].astype(np.int64))
        result = np.empty_like(states)
        result[order] = states
        return result

    def keys(self, chosen: Array) -> Array:
        """uint64: what tells each of games ``chosen`` from all others, mirror images apart."""
        if not len(chosen):
            return np.zeros(0, np.uint64)
        ends = self.starts + self.lengths
        moves = [np.asarray(self.moves[self.starts[row] : ends[row]]) for row in chosen]
        return game_keys(moves, start_symmetries(self.game))

    def values(self, plies: Array, game_of: Array) -> Array:
        """float32 ``[B]``: what the game came to for whoever made move ``plies``."""
        return self.results[game_of] * (1 - 2 * self.movers[plies]).astype(np.float32)


class PositionDataset(Dataset[SampleBatch]):
    """Every position in which somebody moved: the move, and what the game came to."""

    def __init__(self, game: Game, arrays: Arrays, *, augment: bool) -> None:
        self.spec, self._game, self._games = game.spec, game, _Games(game, arrays)
        self._symmetries = game.symmetries if augment else game.symmetries[:1]
        self._observation_permutations = np.stack([s.observation_permutation for s in self._symmetries])
        self._action_permutations = np.stack([s.action_permutation for s in self._symmetries])
        self._games_of = {split: self._games.of_split(split) for split in SPLITS}
        self._ends = {split: np.cumsum(self._games.lengths[chosen]) for split, chosen in self._games_of.items()}
        self.sizes = {split: int(ends[-1]) if len(ends) else 0 for split, ends in self._ends.items()}
        self.notes = self._games.notes

    def _find(self, split: str, indices: Array) -> tuple[Array, Array]:
        """The move (into ``moves``) and the game of each example."""
        ends = self._ends[split]
        row = np.searchsorted(ends, indices, side="right")
        game_of = self._games_of[split][row]
        return self._games.starts[game_of] + indices - (ends[row] - self._games.lengths[game_of]), game_of

    def batch(self, split: str, indices: Array, rng: np.random.Generator | None = None) -> SampleBatch:
        plies, game_of = self._find(split, indices)
        states = self._games.states_at(plies, game_of)
        observation, mask = self._game.observe(states), self._game.legal_action_mask(states)
        policy = np.zeros(mask.shape, np.float32)
        policy[np.arange(len(plies)), self._games.moves[plies]] = 1.0
        if rng is not None and len(self._symmetries) > 1:
            image = rng.integers(0, len(self._symmetries), len(plies))
            flat = observation.reshape(*observation.shape[:2], -1)
            permutation = self._observation_permutations[image][:, None, :]
            observation = np.take_along_axis(flat, permutation, axis=2).reshape(observation.shape)
            mask = np.take_along_axis(mask, self._action_permutations[image], axis=1)
            policy = np.take_along_axis(policy, self._action_permutations[image], axis=1)
        value, weight = self._games.values(plies, game_of), np.ones(len(plies), np.float32)
        return SampleBatch(observation, mask, policy, value, weight)

    def identities(self, split: str) -> Array:
        chosen = self._games_of[split]
        return np.repeat(self._games.keys(chosen), self._games.lengths[chosen])

    def answers(self, split: str, indices: Array) -> Answers:
        plies, game_of = self._find(split, indices)
        mask = self._game.legal_action_mask(self._games.states_at(plies, game_of))
        right = np.zeros(mask.shape, bool)
        right[np.arange(len(plies)), self._games.moves[plies]] = True
        return Answers(mask, right, self._games.values(plies, game_of), np.asarray(self._games.seen_position[plies]))


class SequenceDataset(Dataset[SequenceBatch]):
    """Whole games, move by move. A game with more moves than the network sees is shown by one window of them.

    A ``random_tails`` share of the training games is, from a random ply on, played to its end with random moves, and in
    the place of a ``random_branches`` share of people's moves a random one is to be foreseen, as if the game branched
    off there: what people do not play shows a network that is told no rules what is legal. Nobody knows the value in a
    tail.
    """

    def __init__(
        self,
        game: Game,
        arrays: Arrays,
        reads: str,
        context: int,
        *,
        augment: bool,
        random_tails: float,
        random_branches: float,
    ) -> None:
        self.spec, self._game, self._games = as_seen(game, reads, context).spec, game, _Games(game, arrays)
        self._reads, self._context = reads, context
        self._random_tails, self._random_branches = random_tails, random_branches
        # Mirroring positions would take the planes' permutation at every ply; moves are mirrored by a look-up.
        symmetries = start_symmetries(game) if augment and reads == "moves" else game.symmetries[:1]
        self._images = np.stack([symmetry.image_of_action for symmetry in symmetries])
        self._games_of = {split: self._games.of_split(split) for split in SPLITS}
        self.sizes = {split: len(chosen) for split, chosen in self._games_of.items()}
        self.notes = self._games.notes

    def _window(self, split: str, indices: Array, rng: np.random.Generator | None) -> tuple[Array, Array, Array]:
        """Each game, and the moves (into ``moves``) ``[B, T]`` that its inputs are followed by, -1 beyond the end."""
        game_of = self._games_of[split][indices]
        lengths = self._games.lengths[game_of]
        longest = min(int(lengths.max(initial=1)), self._context)
        excess = np.maximum(lengths - longest, 0)
        first = np.zeros(len(game_of), np.int64) if rng is None else rng.integers(0, excess + 1)
        within = first[:, None] + np.arange(longest)
        plies = np.where(within < lengths[:, None], self._games.starts[game_of][:, None] + within, -1)
        return game_of, first, plies

    def batch(self, split: str, indices: Array, rng: np.random.Generator | None = None) -> SequenceBatch:
        game_of, first, plies = self._window(split, indices, rng)
        there = plies >= 0
        moves = np.where(there, self._games.moves[plies].astype(np.int64), -1)
        value = np.where(there, self._games.values(plies, game_of[:, None]), 0).astype(np.float32)
        action = moves
        if rng is not None and (self._random_tails or self._random_branches):
            moves, action, value = self._going_on_at_random(moves, value, first, rng)
            there = moves >= 0
        image = self._images[
            np.zeros(len(indices), np.int64) if rng is None else rng.integers(0, len(self._images), len(indices))
        ]
        moves, action = (
            np.where(there, np.take_along_axis(image, np.maximum(given, 0), axis=1), -1) for given in (moves, action)
        )
        if self._reads == "positions":
            inputs = self._planes(plies, game_of)
        else:
            before = self._games.moves[np.maximum(plies[:, 0] - 1, 0)].astype(np.int64)  # of a window's first move
            before = np.take_along_axis(image, before[:, None], axis=1)[:, 0] + FIRST_ACTION
            inputs = np.empty(moves.shape, np.int64)
            inputs[:, 0] = np.where(first == 0, START, before)
            inputs[:, 1:] = moves[:, :-1] + FIRST_ACTION
            inputs[~there] = 0
        return SequenceBatch(inputs, action, value)

    def _going_on_at_random(
        self, moves: Array, value: Array, first: Array, rng: np.random.Generator
    ) -> tuple[Array, Array, Array]:
        """``[B, T]`` each: moves, the moves to be foreseen, and values, after random moves have taken their share of
        those games that are seen whole."""
        with_tail = rng.random(len(moves)) < self._random_tails
        rows = np.flatnonzero((first == 0) & (with_tail | (self._random_branches > 0)))
        lengths = (moves[rows] >= 0).sum(axis=1)
        cut = np.where(with_tail[rows], rng.integers(0, lengths + 1), lengths)
        room = ((0, 0), (0, self._context - moves.shape[1]))
        moves, value = np.pad(moves, room, constant_values=-1), np.pad(value, room)
        action = moves.copy()
        ply = np.arange(self._context)
        has_tail = cut < lengths
        value[rows] = np.where(has_tail[:, None] & (ply >= cut[:, None]), np.nan, value[rows])
        states = self._game.init(len(rows))
        for t in ply:
            in_tail = has_tail & (t >= cut)
            live = ~states["terminated"] & (in_tail | (t < cut))
            moves[rows[~live], t] = action[rows[~live], t] = -1
            if not live.any():
                continue
            here, played = rows[live], moves[rows[live], t]
            mask = self._game.legal_action_mask(states[live])
            random = np.where(mask, rng.random(mask.shape), -1).argmax(axis=1)
            branches = rng.random(len(here)) < self._random_branches
            action[here, t] = np.where(in_tail[live] | branches, random, played)
            moves[here, t] = np.where(in_tail[live], random, played)
            stepped = states[live]
            self._game.step_unchecked(stepped, moves[here, t])
            states[live] = stepped
        longest = int((moves >= 0).sum(axis=1).max(initial=1))
        return moves[:, :longest], action[:, :longest], value[:, :longest]

    def identities(self, split: str) -> Array:
        return self._games.keys(self._games_of[split])

    def _planes(self, plies: Array, game_of: Array) -> Array:
        """float32 ``[B, T, C, H, W]``: the positions before moves ``plies``."""
        rows, columns = np.nonzero(plies >= 0)
        states = self._states(plies, game_of)
        planes = np.zeros((*plies.shape, *self._game.spec.observation_shape), np.float32)
        planes[rows, columns] = self._game.observe(states)
        return planes

    def _states(self, plies: Array, game_of: Array) -> Array:
        """The positions before moves ``plies`` ``[B, T]``, one after the other, without those beyond the end."""
        rows, columns = np.nonzero(plies >= 0)
        states = np.empty(plies.shape, self._game.dtype)
        current = self._games.states_at(plies[:, 0], game_of)
        for column in range(plies.shape[1]):
            states[:, column] = current
            going_on = np.flatnonzero(plies[:, column] >= 0)
            stepped = current[going_on]
            self._game.step_unchecked(stepped, self._games.moves[plies[going_on, column]].astype(np.int64))
            current[going_on] = stepped
        return states[rows, columns]

    def answers(self, split: str, indices: Array) -> Answers:
        game_of, _, plies = self._window(split, indices, None)
        rows, columns = np.nonzero(plies >= 0)
        chosen = plies[rows, columns]
        mask = self._game.legal_action_mask(self._states(plies, game_of))
        right = np.zeros(mask.shape, bool)
        right[np.arange(len(chosen)), self._games.moves[chosen]] = True
        # All first moves that are images of one another begin the same game; which of them is on record says nothing.
        begins = np.flatnonzero(chosen == self._games.starts[game_of[rows]])
        for image in self._images:
            right[begins, image[self._games.moves[chosen[begins]]]] = True
        return Answers(
            mask, right, self._games.values(chosen, game_of[rows]), np.asarray(self._games.seen_moves[chosen])
        )
