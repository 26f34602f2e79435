"""Looking at a run: the drawings say what the numbers say, and a probe reads only what is there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

import games
from agents.networks import Classifier, NetworkConfig, NetworkError, build_classifier, build_network
from agents.networks.insight import Probe, activations, classify, first_filters, saliency
from arena import cli, drawing
from arena.show import PARTS, show
from arena.show_games import Reading, probe_board
from arena.supervised import learn
from arena.view import View
from games import ArenaError
from tests.arena.small_data import random_othello, small, write_pictures, write_wthor
from tests.arena.small_runs import Transcript

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARENA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    data = write_pictures(root / "cifar10.tar.gz", per_class=30, seed=0, classes=("cat", "dog"))
    return learn(small("cifar10", data, root / "run", max_steps=60, checkpoint_minutes=0.004), Transcript())


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gpt")
    data = write_wthor(root / "data", random_othello(150, seed=1))
    return learn(small("wthor", data, root / "run", "transformer"), Transcript())


def shown(run: Path, *what: str, **options: object) -> str:
    buffer = io.StringIO()
    console = Console(file=buffer, width=200, force_terminal=False)
    show(run, what, console=console, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


# ---- drawing ---------------------------------------------------------------------------------------------------------


def test_a_curve_rises_where_its_values_do() -> None:
    lines = drawing.curve(np.arange(100), np.arange(100.0), width=20, height=4)
    assert len(lines) == 4
    assert lines[0].split()[0] == "97"
    assert lines[-1].split()[0] == "2"
    heights = [sum(line[11 + column] != " " for line in lines) for column in range(20)]
    assert heights == sorted(heights)
    assert (heights[0], heights[-1]) == (1, 4)
    flat = drawing.curve(np.array([1.0, 5.0]), np.array([2.0, 2.0]), width=8, height=2)
    assert flat[1].endswith("▁" * 8)


def test_pictures_keep_their_colours() -> None:
    rgb = np.zeros((3, 2, 3), np.uint8)
    rgb[0, 0], rgb[1, 1] = (255, 0, 0), (0, 0, 255)
    text = drawing.picture(rgb)
    assert text.plain == "▀▀\n▀▀\n"
    assert [str(span.style) for span in text.spans[:2]] == ["#ff0000 on #000000", "#000000 on #0000ff"]
    assert drawing.shades(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)) == ["  @@"]


def test_scales_end_where_they_should() -> None:
    assert drawing.heat(np.array([[0.0, 2.0]])).tolist() == [[[0, 0, 0], [255, 255, 255]]]
    assert drawing.signed(np.array([[-1.0, 0.0, 1.0]])).tolist() == [[[0, 0, 255], [255, 255, 255], [255, 0, 0]]]
    sheet = drawing.grid(np.full((3, 2, 2, 3), 9, np.uint8), columns=2, gap=1)
    assert sheet.shape == (5, 5, 3)
    assert (sheet[:2, :2] == 9).all()
    assert (sheet[3:, 3:] == 64).all()


# ---- what networks look at -------------------------------------------------------------------------------------------


def test_saliency_is_the_gradient() -> None:
    """Of a linear classifier that is its weights, whatever the picture."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.randn(3, 2, 4, 5))

        def forward(self, planes: torch.Tensor) -> torch.Tensor:
            return torch.einsum("bchw,kchw->bk", planes, self.weights)

    network = Linear()
    picture = np.random.default_rng(0).standard_normal((2, 4, 5)).astype(np.float32)
    found = saliency(Classifier(network, nn.Identity()), picture, 1)
    np.testing.assert_allclose(found, network.weights[1].abs().amax(dim=0).detach().numpy(), rtol=1e-6)
    chances = classify(Classifier(network, nn.Identity()), picture)
    assert chances.sum() == pytest.approx(1.0)


def test_first_filters() -> None:
    classifier = build_classifier(NetworkConfig(backbone="alexnet_small", channels=8, hidden=(8, 8)), (3, 32, 32), 2)
    assert first_filters(classifier, (3, 32, 32)).shape == (8, 3, 3, 3)
    mlp = build_network(NetworkConfig(backbone="mlp", hidden=(12, 5)), (2, 6, 7), 7)
    filters = first_filters(mlp, (2, 6, 7))
    assert filters.shape == (12, 2, 6, 7)
    np.testing.assert_array_equal(filters.reshape(12, -1), next(iter(mlp.backbone.parameters())).detach().numpy())
    sequences = build_network(NetworkConfig(backbone="transformer", context=9, width=16, heads=2), (2, 1, 9), 7)
    with pytest.raises(NetworkError, match="reads no planes"):
        first_filters(sequences, (2, 1, 9))
    with pytest.raises(NetworkError, match="Only a transformer"):
        activations(mlp, np.zeros((1, 3), np.int64), np.ones((1, 3), bool))


def test_a_probe_reads_what_is_linear_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    board = rng.integers(0, 3, (3000, 6))
    code = np.eye(3)[board].reshape(3000, 18)
    activation = (code @ rng.standard_normal((18, 40)) + 5).astype(np.float32)
    probe = Probe.fit(activation[:2000], board[:2000], 3)
    assert (probe.read(activation[2000:]) == board[2000:]).all()
    noise = rng.standard_normal(activation.shape).astype(np.float32)
    share = (Probe.fit(noise[:2000], board[:2000], 3).read(noise[2000:]) == board[2000:]).mean()
    assert 0.28 < share < 0.39


def test_the_board_is_probed_at_every_layer(gpt: Path) -> None:
    metadata = View(gpt, None, Console(), read(gpt))
    found = probe_board(metadata, num_games=60)
    assert isinstance(found, Reading)
    assert len(found.trained) == len(found.untrained) == 2  # the embedding and one block
    # Even random weights pass on which moves were played; but a width of 16 is too narrow for 64 squares.
    assert 0.45 < min(*found.trained, *found.untrained) < max(*found.trained, *found.untrained) < 0.8
    assert 0.45 < found.guess < 0.8


def read(run: Path):
    from agents.networks.description import read_description
    from agents.networks.files import find_network

    return read_description(find_network(run))[0]


# ---- the command -----------------------------------------------------------------------------------------------------


def test_everything_of_a_classifier(pictures: Path) -> None:
    text = shown(pictures)
    files = {path.name for path in (pictures / "show").iterdir()}
    assert files >= {
        "curve_class_loss.png",
        "curve_top1.png",
        "calibration.png",
        "filters.png",
        "confusion.png",
        "roc.png",
        "saliency.png",
    }
    assert all((pictures / "show" / name).read_bytes().startswith(b"\x89PNG") for name in files)
    assert "class_loss, train" in text
    assert "│ cat │  30 │   0 │" in text
    assert "Picture 0: cat; the network says cat" in text
    assert "area 1.0000" in text
    assert "How sure of the move, or the class, and how often right (test split)" in text
    assert "Picture 31: dog; the network says dog" in shown(pictures, "saliency", index=31)


def test_everything_of_a_transformer(gpt: Path, tmp_path: Path) -> None:
    text = shown(gpt, out=tmp_path, moves=("f5", "d6"))
    assert {path.name for path in tmp_path.iterdir()} >= {"curve_policy_loss.png", "policy.png", "probe.png"}
    assert "o to move" not in text
    assert "x to move" in text
    assert "The network expects" in text
    assert "(illegal)" in text  # it has learned for a dozen steps
    assert "block 1" in text
    assert "How sure of who wins" in text


def test_what_a_run_has_not_got_is_one_sentence(pictures: Path, gpt: Path) -> None:
    for run, what, options, message in (
        (gpt, "confusion", {}, "transformer that plays, which has no confusion"),
        (gpt, "filters", {}, "which has no filters"),
        (pictures, "policy", {}, "a classifier of pictures, which has no policy"),
        (pictures, "saliency", {"index": 1000}, "has pictures 0 to 59"),
        (gpt, "policy", {"moves": ("a1",)}, "a1 is illegal"),
        (gpt, "probe", {"data": Path("nowhere")}, "There is no"),
        (Path("nowhere"), "curves", {}, "There is no directory nowhere"),
    ):
        with pytest.raises(ArenaError, match=message) as refused:
            shown(run, what, **options)
        assert "\n" not in str(refused.value)


def test_self_play_runs_have_curves_too(pictures: Path, tmp_path: Path) -> None:
    from tests.arena.small_runs import synchronous

    run = tmp_path / "run"
    from arena.train import train

    train(replace(synchronous("tic_tac_toe", run, 6), report_seconds=1e-9), Transcript())
    text = shown(run)
    assert "policy_loss, train" in text
    assert "The network expects" in text
    assert "How sure" not in text
    with pytest.raises(ArenaError, match="which has no calibration to show"):
        shown(run, "calibration")


def test_without_matplotlib_it_draws_in_characters(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    before = {path: path.stat().st_mtime_ns for path in (pictures / "show").glob("*")}
    assert "they take matplotlib" in shown(pictures, "confusion")
    assert {path: path.stat().st_mtime_ns for path in (pictures / "show").glob("*")} == before


def test_the_command_line(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["show", str(pictures), "--what", "confusion"])
    assert "confusion.png" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["show", str(pictures), "--what", "confusoin"])
    assert "did you mean 'confusion'?" in capsys.readouterr().err
    assert set(PARTS) == {"curves", "calibration", "filters", "confusion", "roc", "saliency", "policy", "probe"}
    assert games.available()
