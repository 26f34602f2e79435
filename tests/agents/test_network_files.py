"""Networks on disk: what was saved comes back bit for bit, and everything else is refused in one sentence."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import games
from agents.files import WriteError, dated, write_atomically
from agents.network_evaluator import NetworkEvaluator
from agents.networks import NetworkConfig, PolicyValueNetwork, build_network
from agents.networks.description import CheckpointError
from agents.networks.files import find_network, load_network, save_network
from games import Game

CONFIG = NetworkConfig(blocks=1, channels=8, normalisation="batch")


@pytest.fixture(scope="module")
def game() -> Game:
    return games.make("connect_four")


def make_network(game: Game, config: NetworkConfig = CONFIG) -> PolicyValueNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        network = build_network(config, game.spec.observation_shape, game.spec.num_actions)
        network(torch.rand(8, *game.spec.observation_shape))
    return network


@pytest.fixture
def saved(tmp_path: Path, game: Game) -> Path:
    """A directory with a whole network."""
    save_network(tmp_path / "net", make_network(game), CONFIG, game.spec, {"elo": 1203.5}, weights_version=17)
    return tmp_path / "net"


# ---- round trip ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [CONFIG, NetworkConfig(backbone="mlp", hidden=(16, 8, 4))], ids=["resnet", "mlp"])
def test_round_trip_is_bit_exact(tmp_path: Path, game: Game, config: NetworkConfig) -> None:
    network = make_network(game, config)
    save_network(tmp_path / "a" / "b", network, config, game.spec, {"step": 3}, weights_version=17)
    drawn = torch.random.get_rng_state()
    loaded, metadata = load_network(tmp_path / "a" / "b", game)
    assert torch.equal(drawn, torch.random.get_rng_state())
    assert (metadata.config, metadata.weights_version, metadata.extra) == (config, 17, {"step": 3})
    assert (metadata.game, metadata.game_version) == (game.spec.name, game.spec.version)
    assert (metadata.num_actions, metadata.observation_shape) == (game.spec.num_actions, game.spec.observation_shape)
    before, after = network.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype
        assert torch.equal(tensor, after[name])
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    states = game.init(3)
    answers = [NetworkEvaluator(game, n, device="cpu").evaluate(states, None) for n in (network, loaded)]  # type: ignore[arg-type]
    np.testing.assert_array_equal(answers[0].prior_logits, answers[1].prior_logits)


def test_channels_last_networks_are_saved_alike(tmp_path: Path, game: Game) -> None:
    network = make_network(game)
    save_network(tmp_path / "a", network, CONFIG, game.spec)
    save_network(tmp_path / "b", network.to(memory_format=torch.channels_last), CONFIG, game.spec)  # type: ignore[call-overload]
    a, b = ((tmp_path / name / "network.safetensors").read_bytes() for name in "ab")
    assert a == b


def test_saving_again_replaces(saved: Path, game: Game) -> None:
    save_network(saved, make_network(game), CONFIG, game.spec, weights_version=18)
    assert load_network(saved)[1].weights_version == 18
    assert sorted(path.name for path in saved.iterdir()) == ["network.json", "network.safetensors"]


def test_a_field_newer_than_the_file_takes_its_default(saved: Path) -> None:
    edit(saved, lambda d: d["network"].pop("hidden"))
    assert load_network(saved)[1].config.hidden == NetworkConfig().hidden


# ---- hostile and damaged files ---------------------------------------------------------------------------------------


def edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / "network.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def put(*keys: str, value: object) -> Callable[[Path], None]:
    def change(document: dict[str, Any]) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return lambda directory: edit(directory, change)


def drop(*keys: str) -> Callable[[Path], None]:
    def change(document: dict[str, Any]) -> None:
        for key in keys[:-1]:
            document = document[key]
        del document[keys[-1]]

    return lambda directory: edit(directory, change)


def raw_json(content: bytes) -> Callable[[Path], object]:
    return lambda directory: (directory / "network.json").write_bytes(content)


def raw_weights(change: Callable[[bytes], bytes], *, honest: bool) -> Callable[[Path], None]:
    """Rewrites the weights file; ``honest`` makes the JSON agree with its new size and checksum."""

    def damage(directory: Path) -> None:
        path = directory / "network.safetensors"
        content = change(path.read_bytes())
        path.write_bytes(content)
        if honest:
            seal = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            edit(directory, lambda document: document["weights"].update(seal))

    return damage


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def rewrite(content: bytes) -> bytes:
        weights = safetensors.torch.load(content)
        change(weights)
        return safetensors.torch.save(weights)

    return raw_weights(rewrite, honest=True)


FIRST = "policy.logits.weight"

HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no json": (lambda d: (d / "network.json").unlink(), "does not exist"),
    "json is a directory": (lambda d: ((d / "network.json").unlink(), (d / "network.json").mkdir()), "cannot be read"),
    "no weights": (lambda d: (d / "network.safetensors").unlink(), "is missing"),
    "weights are a directory": (
        lambda d: ((d / "network.safetensors").unlink(), (d / "network.safetensors").mkdir()),
        "cannot be read|damaged",
    ),
    "empty json": (raw_json(b""), "not JSON"),
    "half a json": (raw_json(b'{"format": "arena-netw'), "not JSON"),
    "binary json": (raw_json(bytes(range(256))), "not JSON"),
    "json nested without end": (raw_json(b"[" * 200_000), "not JSON"),
    "json with NaN": (raw_json(b'{"format": NaN}'), "not JSON"),
    "json with a huge integer": (raw_json(b'{"format": 1' + b"0" * 9000 + b"}"), "not JSON"),
    "json too large": (raw_json(b" " * (2 << 20)), "larger than"),
    "json list": (raw_json(b"[]"), "JSON object"),
    "json empty object": (raw_json(b"{}"), "'format' is missing"),
    "another format": (put("format", value="pytorch"), "is in format 'pytorch'"),
    "newer format": (put("format_version", value=2), "version 2"),
    "format version true": (put("format_version", value=True), "must be an integer"),
    "unknown key": (put("surprise", value=1), "'surprise' is unknown"),
    "unknown game key": (put("game", "surprise", value=1), "'surprise' is unknown"),
    "unknown network key": (put("network", "surprise", value=1), "'surprise' is unknown"),
    "no game": (drop("game"), "'game' is missing"),
    "game is text": (put("game", value="connect_four"), "must be an object"),
    "network is a list": (put("network", value=[]), "must be an object"),
    "extra is a list": (put("extra", value=[]), "must be an object"),
    "another game": (put("game", "name", value="chess"), "'chess' version .* not for 'connect_four'"),
    "another game version": (put("game", "version", value=999), "version 999"),
    "another observation": (put("game", "observation_shape", value=[2, 6, 7]), r"\(2, 6, 7\)"),
    "other actions": (put("game", "num_actions", value=8), "8 actions"),
    "flat observation": (put("game", "observation_shape", value=[84]), "three integers"),
    "huge observation": (put("game", "observation_shape", value=[2, 10**9, 10**9]), "three integers"),
    "fractional observation": (put("game", "observation_shape", value=[2, 6, 7.5]), "three integers"),
    "huge actions": (put("game", "num_actions", value=10**12), "num_actions"),
    "huge channels": (put("network", "channels", value=10**9), "cannot be built: .*channels"),
    "negative channels": (put("network", "channels", value=-8), "cannot be built: .*channels"),
    "largest allowed network": (
        lambda d: edit(d, lambda j: j["network"].update(channels=4096, blocks=256, value_hidden=16384)),
        "should hold .* bytes",
    ),
    "channels as text": (put("network", "channels", value="8"), "must be an integer"),
    "hidden as text": (put("network", "hidden", value="256"), "must be a list"),
    "hidden of text": (put("network", "hidden", value=["256"]), "cannot be built"),
    "unknown backbone": (put("network", "backbone", value="transformr"), "Unknown backbone"),
    "another backbone": (put("network", "backbone", value="mlp"), "bytes of weights"),
    "one block more": (put("network", "blocks", value=2), "bytes of weights"),
    "weights elsewhere": (put("weights", "file", value="../../etc/passwd"), "must be 'network.safetensors'"),
    "negative weights version": (put("weights", "version", value=-1), "must be from 0"),
    "claims huge weights": (put("weights", "bytes", value=10**12), "bytes of weights"),
    "empty weights": (raw_weights(lambda _: b"", honest=False), "0 bytes"),
    "truncated weights": (raw_weights(lambda c: c[:-1000], honest=False), "is damaged: it has"),
    "truncated, JSON agreeing": (raw_weights(lambda c: c[:-1000], honest=True), "not a safetensors file"),
    "halved, JSON agreeing": (raw_weights(lambda c: c[: len(c) // 2], honest=True), "bytes of weights"),
    "one bit flipped": (raw_weights(lambda c: c[:-1] + bytes([c[-1] ^ 1]), honest=False), "checksum"),
    "weights are zeros": (raw_weights(lambda c: bytes(len(c)), honest=True), "safetensors|lacks tensor"),
    "header claims the world": (
        raw_weights(lambda c: (1 << 62).to_bytes(8, "little") + c[8:], honest=True),
        "not a safetensors",
    ),
    "tensor renamed": (tensors(lambda w: w.update(other=w.pop(FIRST))), "tensor 'other'|lacks tensor"),
    "tensor reshaped": (tensors(lambda w: w.update({FIRST: w[FIRST].T.contiguous()})), "but its network needs"),
    "tensor of integers": (tensors(lambda w: w.update({FIRST: w[FIRST].int()})), "torch.int32"),
    "tensor with NaN": (tensors(lambda w: w[FIRST].fill_(float("nan"))), "not finite"),
    "tensor with infinity": (tensors(lambda w: w[FIRST].fill_(float("inf"))), "not finite"),
    "tensor too many": (tensors(lambda w: w.update(more=torch.zeros(1))), "unexpected tensor 'more'"),
}


@pytest.mark.parametrize(("damage", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_files_are_refused(saved: Path, game: Game, damage: Callable[[Path], object], message: str) -> None:
    damage(saved)
    with pytest.raises(CheckpointError, match=message) as refused:
        load_network(saved, game)
    text = str(refused.value)
    assert str(saved) in text
    assert "\n" not in text
    assert len(text) < 600


def test_without_a_game_any_game_is_accepted(saved: Path) -> None:
    put("game", "name", value="some_other_game")(saved)
    assert load_network(saved)[1].game == "some_other_game"


# ---- finding ---------------------------------------------------------------------------------------------------------


def test_find_network(tmp_path: Path, game: Game, saved: Path) -> None:
    assert find_network(saved) == saved
    run = tmp_path / "run"
    for step in ("00000002", "00000010", "100", "9"):
        save_network(run / "checkpoints" / step, make_network(game), CONFIG, game.spec)
    (run / "checkpoints" / "100" / "network.json").unlink()  # not whole, as a crash would leave it
    for other in (".500.tmp", "500.tmp", "notes"):
        save_network(run / "checkpoints" / other, make_network(game), CONFIG, game.spec)
    assert find_network(run) == run / "checkpoints" / "00000010"


def test_find_network_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "7").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"no trained network in .*network\.json.*checkpoints/<step>/"):
        find_network(tmp_path)
    for path in (tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(CheckpointError, match=f"There is no directory {path}"):
            find_network(path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        find_network(tmp_path / ("x" * 5000))


# ---- atomic writing --------------------------------------------------------------------------------------------------


def test_write_atomically(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, b"one")
    write_atomically(path, lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two"
    assert [child.name for child in tmp_path.iterdir()] == ["a.txt"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, b"old")

    def fill_the_disk(file: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(WriteError, match=r"Could not write .*a\.txt: No space left on device\.") as failed:
        write_atomically(path, fill_the_disk)
    assert isinstance(failed.value, OSError)
    assert failed.value.errno == errno.ENOSPC

    def break_down(file: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, break_down)
    assert path.read_bytes() == b"old"
    assert [child.name for child in tmp_path.iterdir()] == ["a.txt"]


def test_save_network_where_a_file_is_in_the_way(tmp_path: Path, game: Game) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"Could not make directory .*file/net"):
        save_network(tmp_path / "file" / "net", make_network(game), CONFIG, game.spec)


def test_two_directories_of_one_second_have_two_names(tmp_path: Path) -> None:
    """They once shared one, and the second tournament of a second was refused."""
    names = set()
    for _ in range(4):
        path = dated(tmp_path, "go_9x9:komi=7,suicide=true")
        path.mkdir()
        names.add(path.name)
    assert len(names) == 4
    assert all(name.startswith("go_9x9-komi-7-suicide-true-") for name in names)
