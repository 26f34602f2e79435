"""Shards: many finished games in one immutable file, the only thing that travels from self-play to learning.

A shard holds moves, sparse policy targets, root values and results, but no planes: those are rebuilt from the moves
when a position is sampled, so a shard is tiny and survives changes to the planes. The file is a compressed ``.npz``
written to a temporary name and renamed; reading trusts nothing: no pickles, sizes bounded before anything is
unpacked, every array checked, every game replayed by the rules.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.files import write_atomically
from arena.arrays import normalised, spread
from arena.records import Pairing, Trajectory
from games import ArenaError, EndReason, Game, GameSpec, IllegalActionError

Array = np.ndarray

FORMAT = 1
MAX_SHARD_BYTES = 1 << 28
"""No shard unpacks to more; a file that claims to is refused before it is unpacked."""

_MAX_HEADER_BYTES = 4096
_DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, MemoryError, RuntimeError, ValueError)


class ShardError(ArenaError):
    """A file that is not a shard of the game it is read for."""


@dataclass(frozen=True)
class Shard:
    """``G`` finished games, concatenated; ``T`` is the sum of their plies and ``N`` of their target entries.

    Attributes:
        game: the name of the game.
        game_version: the version of its rules.
        lengths: int32 ``[G]``, plies of each game.
        moves: int32 ``[T]``, game after game, the openings included.
        root_values: float32 ``[T]``, for the player to move; NaN where nobody searched.
        policy_lengths: int32 ``[T]``, entries of each ply's policy target; 0 = nothing to learn there.
        policy_actions: int32 ``[N]``.
        policy_weights: float16 ``[N]``; a ply's sum to 1 up to rounding, and readers divide by their sum.
        returns: float32 ``[G, P]``, by seat.
        end_reasons: int8 ``[G]``, of ``EndReason``.
        terminated: bool ``[G]``.
        weights_versions: int64 ``[G]``, the oldest network version that chose a move.
        numbers: int64 ``[G]``, ``Pairing.number``.
        seeds: int64 ``[G]``, ``Pairing.seed``.
        seats: int32 ``[G, P]``, ``Pairing.seats``.
        opening_lengths: int32 ``[G]``, how many of the moves are the opening.
    """

    game: str
    game_version: int
    lengths: Array
    moves: Array
    root_values: Array
    policy_lengths: Array
    policy_actions: Array
    policy_weights: Array
    returns: Array
    end_reasons: Array
    terminated: Array
    weights_versions: Array
    numbers: Array
    seeds: Array
    seats: Array
    opening_lengths: Array

    @property
    def num_games(self) -> int:
        """``G``."""
        return len(self.lengths)

    @property
    def num_positions(self) -> int:
        """How many positions there are to learn from: those with a policy target."""
        return int(np.count_nonzero(self.policy_lengths))

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the arrays take."""
        return sum(array.nbytes for array in self._arrays().values())

    def _arrays(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _DTYPES}

    @classmethod
    def from_trajectories(cls, spec: GameSpec, trajectories: Sequence[Trajectory]) -> Shard:
        """Concatenates finished games; policy weights are rounded to float16."""

        def joined(name: str, dtype: Any) -> Array:
            return np.concatenate([np.zeros(0, dtype), *(getattr(t, name) for t in trajectories)]).astype(dtype)

        def each(values: list[Any], dtype: Any, width: int | None = None) -> Array:
            return np.array(values, dtype).reshape(-1, *(() if width is None else (width,)))

        pairings = [t.pairing for t in trajectories]
        return cls(
            game=spec.name,
            game_version=spec.version,
            lengths=each([len(t.moves) for t in trajectories], np.int32),
            moves=joined("moves", np.int32),
            root_values=joined("root_values", np.float32),
            policy_lengths=joined("policy_lengths", np.int32),
            policy_actions=joined("policy_actions", np.int32),
            policy_weights=joined("policy_weights", np.float32).astype(np.float16),
            returns=each([t.returns for t in trajectories], np.float32, spec.num_players),
            end_reasons=each([int(t.end_reason) for t in trajectories], np.int8),
            terminated=each([t.terminated for t in trajectories], np.bool_),
            weights_versions=each([t.weights_version for t in trajectories], np.int64),
            numbers=each([p.number for p in pairings], np.int64),
            seeds=each([p.seed for p in pairings], np.int64),
            seats=each([p.seats for p in pairings], np.int32, spec.num_players),
            opening_lengths=each([len(p.opening) for p in pairings], np.int32),
        )

    def trajectories(self) -> list[Trajectory]:
        """The games again, with float32 policy weights whose entries sum to 1 on every ply."""
        weights = normalised(self.policy_weights, self.policy_lengths)
        ends = np.cumsum(self.lengths)
        entry_ends = np.concatenate([[0], np.cumsum(self.policy_lengths)])
        games = []
        for g, end in enumerate(ends.tolist()):
            plies = slice(end - int(self.lengths[g]), end)
            entries = slice(int(entry_ends[plies.start]), int(entry_ends[plies.stop]))
            moves = self.moves[plies]
            pairing = Pairing(
                number=int(self.numbers[g]),
                seats=tuple(self.seats[g].tolist()),
                opening=tuple(moves[: self.opening_lengths[g]].tolist()),
                seed=int(self.seeds[g]),
            )
            games.append(
                Trajectory(
                    pairing=pairing,
                    moves=moves,
                    policy_lengths=self.policy_lengths[plies],
                    policy_actions=self.policy_actions[entries],
                    policy_weights=weights[entries],
                    root_values=self.root_values[plies],
                    returns=self.returns[g],
                    end_reason=EndReason(int(self.end_reasons[g])),
                    terminated=bool(self.terminated[g]),
                    weights_version=int(self.weights_versions[g]),
                )
            )
        return games


_DTYPES: dict[str, np.dtype] = {
    "lengths": np.dtype(np.int32),
    "moves": np.dtype(np.int32),
    "root_values": np.dtype(np.float32),
    "policy_lengths": np.dtype(np.int32),
    "policy_actions": np.dtype(np.int32),
    "policy_weights": np.dtype(np.float16),
    "returns": np.dtype(np.float32),
    "end_reasons": np.dtype(np.int8),
    "terminated": np.dtype(np.bool_),
    "weights_versions": np.dtype(np.int64),
    "numbers": np.dtype(np.int64),
    "seeds": np.dtype(np.int64),
    "seats": np.dtype(np.int32),
    "opening_lengths": np.dtype(np.int32),
}


# ---- files -----------------------------------------------------------------------------------------------------


def write_shard(path: Path, shard: Shard) -> None:
    """Writes ``shard`` to ``path`` (``.npz``): all of it or nothing, whatever happens meanwhile."""
    header = {"format": FORMAT, "game": shard.game, "game_version": shard.game_version}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **shard._arrays())
    write_atomically(Path(path), buffer.getvalue())


def read_shard(path: Path, game: Game) -> Shard:
    """Reads and checks the shard of ``game`` at ``path``.

    Raises:
        ShardError: the file is missing, damaged, hostile, or of another game or version; one sentence with its path.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = _read_arrays(archive)
        _check_header(arrays.pop("header"), game.spec)
        shard = Shard(game=game.spec.name, game_version=game.spec.version, **arrays)
        _check(shard, game)
    except FileNotFoundError:
        raise ShardError(f"There is no shard at {path}.") from None
    except ShardError as error:
        raise ShardError(f"The shard {path} cannot be used: {error}") from None
    except _DAMAGE as error:
        raise ShardError(f"The shard {path} cannot be read ({error}); delete it and let self-play go on.") from None
    return shard


def _read_arrays(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Every array of the archive, once the names, the sizes and the dtypes are known to be those of a shard."""
    members = archive.infolist()
    expected = {f"{name}.npy" for name in (*_DTYPES, "header")}
    if len(members) != len(expected) or {member.filename for member in members} != expected:
        raise ShardError("it does not hold the arrays of a shard.")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise ShardError("it is packed in a way that this project does not use.")
    total = sum(member.file_size for member in members)
    if total > MAX_SHARD_BYTES:
        raise ShardError(f"it would unpack to {total:,} bytes, more than the {MAX_SHARD_BYTES:,} that are allowed.")
    arrays = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        # Reads no more than the size the archive states, and checks the CRC.
        arrays[name] = _parse_npy(archive.read(member), name)
    return arrays


def _parse_npy(data: bytes, name: str) -> Array:
    """One ``.npy``; the shape it claims is held against the bytes that are there before anything is allocated."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ShardError(f"{name} is not in the format that this project writes.")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    ndim = 2 if name in ("returns", "seats") else 1
    if dtype != _DTYPES.get(name, np.dtype(np.uint8)) or len(shape) != ndim or (fortran and ndim > 1):
        raise ShardError(f"{name} has dtype {dtype} and shape {shape}, not those of a shard.")
    payload = data[stream.tell() :]
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(payload):
        raise ShardError(f"{name} claims shape {shape} but holds {len(payload)} bytes.")
    return np.frombuffer(payload, dtype).reshape(shape)


def _check_header(array: Array, spec: GameSpec) -> None:
    header = json.loads(array.tobytes()) if len(array) <= _MAX_HEADER_BYTES else None
    if not isinstance(header, dict) or set(header) != {"format", "game", "game_version"}:
        raise ShardError("its header is not that of a shard.")
    if header["format"] != FORMAT:
        raise ShardError(f"its format is {header['format']!r} and this program reads {FORMAT}.")
    if (header["game"], header["game_version"]) != (spec.name, spec.version):
        raise ShardError(
            f"it is of {header['game']!r} version {header['game_version']!r}, not {spec.name!r} version {spec.version}."
        )


def _check(shard: Shard, game: Game) -> None:
    """Shapes, ranges, and the games themselves. Raises ShardError with the reason, without the path."""
    spec = game.spec
    games, plies, entries = len(shard.lengths), len(shard.moves), len(shard.policy_actions)
    ended_by_rules = np.isin(shard.end_reasons, (EndReason.WIN, EndReason.DRAW))
    root_values = shard.root_values[~np.isnan(shard.root_values)]
    facts = {
        "the games' lengths add up": _ranged(shard.lengths, 0, spec.max_plies) and int(shard.lengths.sum()) == plies,
        "every array covers the same games": all(
            len(getattr(shard, name)) == games
            for name in ("returns", "end_reasons", "terminated", "weights_versions", "numbers", "seeds", "seats")
        )
        and shard.returns.shape == shard.seats.shape == (games, spec.num_players)
        and len(shard.opening_lengths) == games,
        "every array covers the same plies": len(shard.root_values) == len(shard.policy_lengths) == plies,
        "the policy targets add up": _ranged(shard.policy_lengths, 0, spec.num_actions)
        and int(shard.policy_lengths.sum(dtype=np.int64)) == entries == len(shard.policy_weights),
        "moves are actions": _ranged(shard.moves, 0, spec.num_actions - 1),
        "policy targets are of actions": _ranged(shard.policy_actions, 0, spec.num_actions - 1),
        "policy weights lie in [0, 1]": _ranged(shard.policy_weights, 0, 1),
        "returns lie in [-1, 1]": _ranged(shard.returns, -1, 1),
        "root values lie in [-1, 1]": _ranged(root_values, -1.001, 1.001),
        "openings are no longer than their games": games == len(shard.opening_lengths)
        and bool(((shard.opening_lengths >= 0) & (shard.opening_lengths <= shard.lengths)).all()),
        "games say how they ended": _ranged(shard.end_reasons, EndReason.WIN, max(EndReason))
        and len(shard.end_reasons) == len(shard.terminated)
        and bool((ended_by_rules == shard.terminated).all()),
        "versions, numbers and seats are not negative": all(
            bool((array >= 0).all()) for array in (shard.weights_versions, shard.numbers, shard.seats)
        ),
    }
    for fact, holds in facts.items():
        if not holds:
            raise ShardError(f"it does not hold that {fact}.")
    rows = np.repeat(np.arange(plies), shard.policy_lengths)
    sums = np.bincount(rows, shard.policy_weights.astype(np.float64), minlength=plies)
    if not np.allclose(sums[shard.policy_lengths > 0], 1.0, atol=0.01):
        raise ShardError("it does not hold that the policy weights of each ply sum to 1.")
    _check_rules(shard, game)


def _ranged(array: Array, low: float, high: float) -> bool:
    """Whether every entry lies in [low, high]; a NaN does not."""
    return bool(((array >= low) & (array <= high)).all())


def _check_rules(shard: Shard, game: Game) -> None:
    """Replays every game: each move and each policy target legal, and the result what the rules say."""
    states = game.init(len(shard.lengths))
    starts = np.cumsum(shard.lengths, dtype=np.int64) - shard.lengths
    entry_starts = np.cumsum(shard.policy_lengths, dtype=np.int64) - shard.policy_lengths
    try:
        for ply in range(int(shard.lengths.max(initial=0))):
            live = np.flatnonzero(shard.lengths > ply)
            positions = starts[live] + ply
            before = states[live]
            mask = game.legal_action_mask(before)
            rows, entries = spread(entry_starts[positions], shard.policy_lengths[positions])
            if not mask[rows, shard.policy_actions[entries]].all():
                raise ShardError(f"a policy target at ply {ply} gives weight to an illegal action.")
            game.step(before, shard.moves[positions])
            states[live] = before
    except IllegalActionError as error:
        raise ShardError(f"it holds a game that the rules do not allow ({error}).") from None
    if not (states["terminated"] == shard.terminated).all():
        raise ShardError("a game is said to be over that the rules let go on, or the other way round.")
    by_rules = shard.terminated
    if not np.array_equal(game.returns(states)[by_rules], shard.returns[by_rules]):
        raise ShardError("a game's returns are not what the rules say.")


assert set(_DTYPES) == {field.name for field in dataclasses.fields(Shard)} - {"game", "game_version"}
