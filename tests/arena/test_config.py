"""The configuration: presets, TOML there and back, and what its errors say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import games
from arena.config import ConfigError, TrainConfig, from_toml, merge, parse, preset, to_toml
from games import UnknownNameError


@pytest.mark.parametrize("game", games.available())
def test_every_game_has_a_preset_that_survives_toml(game: str) -> None:
    config = replace(preset(game), max_steps=7, workers=3)
    config.check()
    assert from_toml(to_toml(config), "config.toml") == config


def test_strings_survive_toml() -> None:
    config = replace(preset("tic_tac_toe"), address='a "quoted" \\ name\twith ü', run=Path("runs/a b"))
    assert from_toml(to_toml(config), "config.toml") == config


def test_unknown_keys_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"presets \[learner\]: unknown key 'batchsize'; did you mean 'batch_size'\?"):
        merge(TrainConfig("tic_tac_toe"), {"learner": {"batchsize": 3}}, "presets")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 3", "does not name a game"),
        ("game = ", "is not TOML"),
        ('game = "tic_tac_toe"\nseed = "x"', "seed is 'x'; accepted: int"),
        ('game = "tic_tac_toe"\nseed = true', "seed is True; accepted: int"),
        ('game = "tic_tac_toe"\nlearner = 3', "learner is a table, not 3"),
        ('game = "tic_tac_toe"\nprecision = "fp8"', "precision is 'fp8'; accepted"),
        ('game = "tic_tac_toe"\n[network]\nhidden = [1, "a"]', "hidden is 'a'; accepted: int"),
    ],
)
def test_bad_toml_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_toml(text, "config.toml")


def test_unknown_game_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'connect_four'"):
        preset("conect_four")


@pytest.mark.parametrize(("device", "shape"), [("cuda", (5, 64)), ("cpu", (3, 32))])
def test_a_gpu_is_given_a_larger_network(monkeypatch: pytest.MonkeyPatch, device: str, shape: tuple[int, int]) -> None:
    monkeypatch.setattr("arena.config.best_device", lambda: torch.device(device))
    network = preset("connect_four").network
    assert (network.blocks, network.channels) == shape


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minutes": 0.0}, "--minutes is 0.0"),
        ({"workers": -1}, "--workers is -1"),
        ({"synchronous": True}, "--synchronous needs --max-steps"),
        ({"synchronous": True, "max_steps": 3, "workers": 2}, "has one worker, not 2"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(preset("tic_tac_toe"), **changes).check()


def test_command_line_changes_the_preset() -> None:
    config = parse(["connect_four", "--minutes", "3", "--learner.batch-size", "64", "--run", "x"])
    expected = preset("connect_four")
    expected = replace(expected, minutes=3.0, run=Path("x"), learner=replace(expected.learner, batch_size=64))
    assert config == expected


def test_command_line_finds_the_game_behind_options() -> None:
    assert parse(["--minutes", "3", "tic_tac_toe"]).network == preset("tic_tac_toe").network


def test_help_teaches_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in (
        "--minutes",
        "--resume",
        "--learner.samples-per-position",
        "--search.simulations",
        "--judge.anchors",
    ):
        assert option in text
