from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import games
from arena.records import Pairing, Trajectory
from arena.shards import Shard, ShardError, read_shard, write_shard
from games import EndReason
from tests.arena.helpers import assert_same, noisy_games, shortened

GAME = games.make("connect_four")


def make_shard(count: int = 12, seed: int = 0) -> Shard:
    return Shard.from_trajectories(GAME.spec, noisy_games(GAME, count, seed, opening=(3,)))


@st.composite
def trajectories(draw: st.DrawFn) -> Trajectory:
    """Games that need not follow the rules, to test what is kept and not what is checked."""
    plies = draw(st.integers(0, 12))
    lengths = draw(st.lists(st.integers(0, 7), min_size=plies, max_size=plies))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    weights = [rng.dirichlet(np.ones(length)) for length in lengths if length]
    moves = rng.integers(0, 7, plies).astype(np.int32)
    opening = tuple(moves[: draw(st.integers(0, plies))].tolist())
    values = rng.uniform(-1, 1, plies).astype(np.float32)
    values[: len(opening)] = np.nan
    return Trajectory(
        pairing=Pairing(draw(st.integers(0, 2**62)), (1, 0), opening, draw(st.integers(0, 2**62))),
        moves=moves,
        policy_lengths=np.array(lengths, np.int32),
        policy_actions=np.concatenate([[], *(rng.permutation(7)[:length] for length in lengths)]).astype(np.int32),
        policy_weights=np.concatenate([[], *weights]).astype(np.float32),
        root_values=values,
        returns=np.array(draw(st.sampled_from([(1, -1), (0, 0), (-1, 1)])), np.float32),
        end_reason=draw(st.sampled_from(list(EndReason))),
        terminated=draw(st.booleans()),
        weights_version=draw(st.integers(0, 2**62)),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(trajectories(), max_size=6))
def test_trajectories_survive_a_shard(given_games: list[Trajectory]) -> None:
    shard = Shard.from_trajectories(GAME.spec, given_games)
    returned = shard.trajectories()
    assert shard.num_games == len(given_games)
    assert shard.num_positions == sum(int((t.policy_lengths > 0).sum()) for t in given_games)
    for before, after in zip(given_games, returned, strict=True):
        np.testing.assert_allclose(after.policy_weights, before.policy_weights, rtol=3e-3, atol=1e-6)
        sums = np.bincount(np.repeat(np.arange(len(after.moves)), after.policy_lengths), after.policy_weights)
        np.testing.assert_allclose(sums[sums > 0], 1, atol=1e-6)
        assert_same(dataclasses.replace(after, policy_weights=before.policy_weights), before)


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four"])
def test_a_file_gives_back_the_very_same_arrays(name: str, tmp_path: Path) -> None:
    game = games.make(name)
    shard = Shard.from_trajectories(game.spec, noisy_games(game, 30))
    write_shard(tmp_path / "a.npz", shard)
    assert_same(read_shard(tmp_path / "a.npz", game), shard)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_truncated_and_empty_shards_are_fine(tmp_path: Path) -> None:
    cut = shortened("connect_four", 5)
    for shard in (Shard.from_trajectories(cut.spec, noisy_games(cut, 3)), Shard.from_trajectories(cut.spec, [])):
        write_shard(tmp_path / "a.npz", shard)
        assert_same(read_shard(tmp_path / "a.npz", cut), shard)


# ---- bad files -------------------------------------------------------------------------------------------------------


def arrays_of(shard: Shard) -> dict[str, Any]:
    header = json.dumps({"format": 1, "game": shard.game, "game_version": shard.game_version}).encode()
    names = [field.name for field in dataclasses.fields(Shard)][2:]
    return {"header": np.frombuffer(header, np.uint8), **{name: getattr(shard, name).copy() for name in names}}


def write_raw(path: Path, arrays: dict[str, Any]) -> Path:
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def refuses(path: Path, match: str) -> None:
    with pytest.raises(ShardError, match=match) as caught:
        read_shard(path, GAME)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")


def swapped(array: np.ndarray, index: Any, value: Any) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


def without_targets(arrays: dict[str, Any]) -> dict[str, Any]:
    empty = {name: arrays[name][:0] for name in ("policy_actions", "policy_weights")}
    return {"policy_lengths": np.zeros_like(arrays["policy_lengths"]), **empty}


BAD_ARRAYS: dict[str, tuple[Any, str]] = {
    "dtype": (lambda a: {"moves": a["moves"].astype(np.int64)}, "dtype int64"),
    "objects": (lambda a: {"moves": a["moves"].astype(object)}, "dtype object"),
    "shape": (lambda a: {"returns": a["returns"].ravel()}, "shape"),
    "players": (lambda a: {"returns": np.zeros((len(a["returns"]), 3), np.float32)}, "same games"),
    "a game too few": (lambda a: {"seeds": a["seeds"][1:]}, "same games"),
    "opening lengths": (lambda a: {"opening_lengths": a["opening_lengths"] + 43}, "openings are no longer"),
    "lengths": (lambda a: {"lengths": swapped(a["lengths"], 0, 41)}, "lengths add up"),
    "a negative length": (lambda a: {"lengths": swapped(a["lengths"], 0, -1)}, "lengths add up"),
    "a ply too few": (lambda a: {"root_values": a["root_values"][1:]}, "same plies"),
    "policy lengths": (lambda a: {"policy_lengths": swapped(a["policy_lengths"], 1, 2**31 - 1)}, "targets add up"),
    "an action out of range": (lambda a: {"moves": swapped(a["moves"], 0, 7)}, "moves are actions"),
    "a negative action": (lambda a: {"policy_actions": swapped(a["policy_actions"], 0, -1)}, "targets are of actions"),
    "a weight that is not a number": (lambda a: {"policy_weights": swapped(a["policy_weights"], 0, np.nan)}, "weights"),
    "an infinite weight": (lambda a: {"policy_weights": swapped(a["policy_weights"], 0, np.inf)}, "weights"),
    "weights that do not sum to 1": (lambda a: {"policy_weights": a["policy_weights"] / np.float16(2)}, "sum to 1"),
    "a return above 1": (lambda a: {"returns": a["returns"] * 2}, "returns lie"),
    "a return that is not a number": (lambda a: {"returns": swapped(a["returns"], 0, np.nan)}, "returns lie"),
    "a value above 1": (lambda a: {"root_values": swapped(a["root_values"], 2, 1.5)}, "root values"),
    "an infinite value": (lambda a: {"root_values": swapped(a["root_values"], 2, np.inf)}, "root values"),
    "an unknown end": (lambda a: {"end_reasons": swapped(a["end_reasons"], 0, 99)}, "how they ended"),
    "an end that is none": (lambda a: {"terminated": ~a["terminated"]}, "how they ended"),
    "a negative version": (lambda a: {"weights_versions": a["weights_versions"] - 1}, "not negative"),
    "a lost game that was won": (lambda a: {"returns": -a["returns"]}, "returns are not what the rules say"),
    "an illegal move": (lambda a: {"moves": np.full_like(a["moves"], 3), **without_targets(a)}, "rules do not allow"),
    "a header that is no JSON": (lambda a: {"header": np.frombuffer(b"{", np.uint8)}, "cannot be read"),
    "a header that is deep": (lambda a: {"header": np.full(4000, ord("["), np.uint8)}, "cannot be read"),
    "a header that is huge": (lambda a: {"header": np.full(5000, ord(" "), np.uint8)}, "header"),
    "an array too many": (lambda a: {"extra": a["moves"]}, "does not hold the arrays"),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_bad_arrays_are_refused(kind: str, tmp_path: Path) -> None:
    change, match = BAD_ARRAYS[kind]
    arrays = arrays_of(make_shard())
    refuses(write_raw(tmp_path / "bad.npz", {**arrays, **change(arrays)}), match)


def test_a_target_on_an_illegal_action_is_refused(tmp_path: Path) -> None:
    game = games.make("tic_tac_toe")
    shard = Shard.from_trajectories(game.spec, noisy_games(game, 5, opening=(4,)))
    shard.policy_actions[:] = 4
    write_shard(tmp_path / "bad.npz", shard)
    with pytest.raises(ShardError, match="illegal action"):
        read_shard(tmp_path / "bad.npz", game)


def test_a_game_that_goes_on_is_not_over(tmp_path: Path) -> None:
    cut = shortened("connect_four", 5)
    shard = Shard.from_trajectories(cut.spec, noisy_games(cut, 3))
    lie = dataclasses.replace(
        shard, terminated=~shard.terminated, end_reasons=np.full_like(shard.end_reasons, EndReason.DRAW)
    )
    write_shard(tmp_path / "bad.npz", lie)
    refuses(tmp_path / "bad.npz", "let go on")


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    refuses(tmp_path / "none.npz", "There is no shard")
    (tmp_path / "text.npz").write_text("hello")
    refuses(tmp_path / "text.npz", "cannot be read")
    (tmp_path / "empty.npz").touch()
    refuses(tmp_path / "empty.npz", "cannot be read")
    refuses(tmp_path, "cannot be read")
    write_raw(tmp_path / "other.npz", {"weights": np.zeros(3)})
    refuses(tmp_path / "other.npz", "does not hold the arrays")
    other = games.make("tic_tac_toe")
    write_shard(tmp_path / "ttt.npz", Shard.from_trajectories(other.spec, noisy_games(other, 2)))
    refuses(tmp_path / "ttt.npz", "of 'tic_tac_toe' version 1, not 'connect_four'")
    write_shard(tmp_path / "old.npz", dataclasses.replace(make_shard(), game_version=0))
    refuses(tmp_path / "old.npz", "version 0")


def test_every_truncation_and_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    shard = make_shard(3)
    write_shard(tmp_path / "good.npz", shard)
    data = (tmp_path / "good.npz").read_bytes()
    path = tmp_path / "bad.npz"
    for size in range(0, len(data), 197):
        path.write_bytes(data[:size])
        refuses(path, "cannot be")
    rng = np.random.default_rng(0)
    for position in rng.choice(len(data), 150, replace=False):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :])
        with contextlib.suppress(ShardError):
            assert_same(read_shard(path, GAME), shard)  # a date, say


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.shards.MAX_SHARD_BYTES", 1 << 22)
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in arrays_of(make_shard(1)):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                if name == "moves":
                    member.write(bytes((1 << 22) + 1))
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it was unpacked"))
    refuses(path, "would unpack to")


def test_a_shape_that_is_not_there_is_refused_before_it_is_allocated(tmp_path: Path) -> None:
    arrays = arrays_of(make_shard(1))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i4", "fortran_order": False, "shape": (1 << 60,)})
    path = tmp_path / "large.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            archive.writestr(f"{name}.npy", header.getvalue() if name == "moves" else buffer.getvalue())
    refuses(path, "claims shape")
