"""Supervised learning: it learns, it stops and goes on exactly, and what comes out plays."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import agents
import games
from agents.core import HistoryAgent
from agents.histories import History
from agents.net_agent import NetAgent, SequenceNetAgent
from agents.network_evaluator import NetworkEvaluator
from agents.networks.files import find_network, load_classifier, load_network
from agents.networks.recurrent import Recurrent
from arena import checkpoint, cli
from arena.checkpoint import RunError
from arena.config import ConfigError, OptimizerConfig, to_toml
from arena.config import parse as parse_train
from arena.datasets import SequenceBatch, open_dataset
from arena.examination import measure
from arena.learn_config import LearnConfig, from_toml, parse, preset
from arena.learner import LearnerStateError
from arena.match import match
from arena.supervised import SequenceLearner, learn, make_learner
from arena.terminal import PlaySession
from arena.train import Training, train
from games import ArenaError
from tests.arena.small_data import random_othello, small, write_pictures, write_wthor
from tests.arena.small_runs import Transcript, synchronous
from tests.arena.test_train import Interrupter, metrics

OTHELLO = games.make("othello")
BACKBONES = ("mlp", "resnet", "alexnet_small", "recurrent", "transformer")


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARENA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def wthor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wthor(tmp_path_factory.mktemp("wthor"), random_othello(200, seed=1, habit=0.7))


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures") / "cifar10.tar.gz", per_class=30, seed=0)


@pytest.fixture(scope="module")
def runs(wthor: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A short run of every backbone on the same games."""
    root = tmp_path_factory.mktemp("runs")
    made = {}
    for name in BACKBONES:
        config = small("wthor", wthor, root / name, name, augment=False, max_steps=40)
        if config.network.reads == "planes":  # a batch is of positions, and not of games
            config = replace(config, learner=replace(config.learner, batch_size=128))
        made[name] = learn(config, Transcript())
    return made


# ---- it learns -------------------------------------------------------------------------------------------------------


def test_pictures_are_told_apart_and_everything_is_written_down(cifar: Path, tmp_path: Path) -> None:
    run, transcript = tmp_path / "run", Transcript()
    learn(small("cifar10", cifar, run, max_steps=60, checkpoint_minutes=0.005), transcript)
    assert "90 train" not in transcript.text  # some of the 90 are held out
    assert "Test split:\n  top-1: 100.0%" in transcript.text
    (test,) = metrics(run, "test")
    assert test["top1"] == 1.0
    assert test["count"] == 90
    assert test["confusion"] == [[30, 0, 0], [0, 30, 0], [0, 0, 30]]
    validation = metrics(run, "validation")
    assert validation
    assert {"top1", "log_loss", "calibration_error"} <= validation[0].keys()
    assert "top5" not in validation[0]  # of three classes the right one is always among the five likeliest
    reports = metrics(run, "train")
    assert reports[-1]["step"] == 60
    assert {"class_loss", "top1", "examples_per_second", "learning_rate", "waiting_share"} <= reports[0].keys()
    network, metadata = load_classifier(find_network(run))
    assert metadata.classes == ("cat", "dog", "ship")
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    assert (run / "config.toml").is_file()
    assert list(run.glob("events.*"))


def test_cat_or_not_has_its_roc(cifar: Path, tmp_path: Path) -> None:
    learn(small("cifar10_cat", cifar, tmp_path / "run", max_steps=100), Transcript())
    (test,) = metrics(tmp_path / "run", "test")
    assert test["auc"] == pytest.approx(1.0)
    roc = test["roc"]
    assert isinstance(roc, list)
    assert roc[0] == [0.0, 0.0]
    assert roc[-1] == [1.0, 1.0]


@pytest.mark.parametrize("name", BACKBONES)
def test_policies_learn_from_games(runs: dict[str, Path], name: str) -> None:
    losses = [loss for report in metrics(runs[name], "train") if isinstance(loss := report["policy_loss"], float)]
    assert np.mean(losses[-10:]) < np.mean(losses[:5]) - 0.02
    (test,) = metrics(runs[name], "test")
    assert {"top1", "unmasked_top1", "illegal", "illegal_mass", "winner", "outcome_log_loss"} <= test.keys()


@pytest.mark.parametrize("reads", ["moves", "positions"])
@pytest.mark.parametrize("backbone", ["recurrent", "transformer"])
def test_sequence_learners_learn_games_by_heart(wthor: Path, reads: str, backbone: str, tmp_path: Path) -> None:
    config = small("wthor", wthor, tmp_path, backbone, augment=False)
    config = replace(config, network=replace(config.network, sequence=reads, width=64, outcomes=False))
    dataset = open_dataset(config.source)
    learner = SequenceLearner(
        dataset.spec,  # type: ignore[arg-type]  # of a game
        config.network,
        OptimizerConfig(learning_rate=3e-3, warmup_steps=5, ema=0.0),
        seed=0,
    )
    batch = dataset.batch("train", np.arange(3))
    batch = SequenceBatch(batch.inputs[:, :12], batch.action[:, :12], batch.value[:, :12])
    learner.step(batch, 0.0)
    before, _ = learner.means()
    assert before["policy"] == pytest.approx(np.log(65), abs=0.05)
    assert before["value"] == pytest.approx(np.square(batch.value[batch.action >= 0]).mean(), rel=1e-3)
    after = before
    for _ in range(250):
        learner.step(batch, 0.5)
        after, _ = learner.means()
        if after["policy"] < 0.5 and after["value"] < 0.05:
            break
    assert after["policy"] < 0.5  # the three games part ways at once, but their second moves cannot be foreseen
    assert after["value"] < 0.7


def test_the_loss_of_sequences_is_over_all_moves_and_all_plies(wthor: Path, tmp_path: Path) -> None:
    config = replace(small("wthor", wthor, tmp_path, "transformer"), precision="fp32")
    dataset = open_dataset(config.source)
    learner = make_learner(config, dataset.spec, seed=1)
    with torch.no_grad():
        for parameter in learner.network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    batch = dataset.batch("train", np.arange(4))
    _, (policy, value, top1) = learner._loss(batch)
    losses, outcomes, hits = [], [], []
    with torch.no_grad():
        features = learner.network.sequences.every_ply(torch.from_numpy(batch.inputs))
        for row, column in zip(*np.nonzero(batch.action >= 0), strict=True):
            one = features[row, column][None]
            action = int(batch.action[row, column])
            logits = learner.network.policy(one)
            losses.append(F.cross_entropy(logits, torch.tensor([action])).item())
            hits.append(int(logits.argmax()) == action)
            right = torch.tensor([int(batch.value[row, column]) + 1])
            outcomes.append(F.cross_entropy(learner.network.value.outcome_logits(one), right).item())
    assert policy.item() == pytest.approx(np.mean(losses), rel=1e-4)
    assert value.item() == pytest.approx(np.mean(outcomes), rel=1e-4)
    assert top1.item() == pytest.approx(np.mean(hits), rel=1e-4)


@pytest.mark.parametrize("name", ["resnet", "recurrent", "transformer"])
def test_what_is_measured_is_what_plays(runs: dict[str, Path], wthor: Path, name: str) -> None:
    """The figures of the learner are those of the evaluator, asked position by position as at play."""
    config = replace(checkpoint.read_config(runs[name], from_toml), run=runs[name], resume=True)
    dataset = open_dataset(config.source)
    learner = make_learner(config, dataset.spec, seed=0)
    latest = checkpoint.latest(runs[name])
    assert latest is not None
    checkpoint.load(latest, learner)
    plays = open_dataset(replace(config.source, reads="moves", context=80))
    batch = plays.batch("test", np.arange(3))
    count = int((batch.action >= 0).sum())
    chosen = np.arange(3 if name != "resnet" else count)
    found = measure(learner.playing_network(), dataset, [("test", chosen)], learner.device)
    game = History(OTHELLO, "moves", config.network.context) if name != "resnet" else OTHELLO
    evaluator = NetworkEvaluator(game, load_network(latest, game)[0], device="cpu", precision="fp32")
    illegal = right = masked = 0
    for moves in batch.action:
        states = game.init(1)
        for action in moves[moves >= 0]:
            mask = game.legal_action_mask(states)[0]
            logits = evaluator.evaluate(states, mask[None]).prior_logits[0]
            illegal += not mask[logits.argmax()]
            right += logits.argmax() == action
            masked += np.where(mask, logits, -np.inf).argmax() == action
            game.step(states, [action])
    assert found["count"] == count
    assert found["illegal"] == pytest.approx(illegal / count)
    assert found["unmasked_top1"] == pytest.approx(right / count)
    assert found["top1"] == pytest.approx(masked / count)


# ---- it stops and goes on --------------------------------------------------------------------------------------------


def final_files(run: Path) -> dict[str, bytes]:
    last = checkpoint.latest(run)
    assert last is not None
    return {name: (last / name).read_bytes() for name in ("learner.safetensors", "network.safetensors")}


def with_dropout(dataset: str, data: Path, run: Path, backbone: str | None = None, **changes: Any) -> LearnConfig:
    config = small(dataset, data, run, backbone, **changes)
    return replace(config, network=replace(config.network, dropout=0.2, layers=2))


@pytest.mark.parametrize("backbone", [None, "resnet", "recurrent", "transformer"])
@pytest.mark.parametrize("workers", [0, 1])
def test_stop_and_resume_equals_never_stopping(
    cifar: Path, wthor: Path, tmp_path: Path, backbone: str | None, workers: int
) -> None:
    dataset, data = ("cifar10", cifar) if backbone is None else ("wthor", wthor)
    whole = learn(with_dropout(dataset, data, tmp_path / "whole", backbone), Transcript())
    config = with_dropout(dataset, data, tmp_path / "run", backbone, workers=workers)
    for session, at in enumerate((1, 5)):
        stopped = Interrupter(at)
        learn(replace(config, resume=session > 0), stopped)
        assert "Stopped by Ctrl-C" in stopped.text
        assert f"arena learn {dataset} --run {tmp_path / 'run'} --resume" in stopped.text
    learn(replace(config, resume=True), Transcript())
    assert final_files(tmp_path / "run") == final_files(whole)


def test_dropout_draws_anew_at_every_step(cifar: Path, tmp_path: Path) -> None:
    config = with_dropout("cifar10", cifar, tmp_path)
    dataset = open_dataset(config.source)
    learner = make_learner(config, dataset.spec, seed=0)
    batch = dataset.batch("train", np.arange(16))
    before = torch.random.get_rng_state()
    losses = []
    for learner.steps in (0, 0, 1):
        with learner._drawing_units():
            losses.append(learner._loss(batch)[0].item())
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(before, torch.random.get_rng_state())


def test_epochs_say_when_to_stop(cifar: Path, tmp_path: Path) -> None:
    config = replace(small("cifar10", cifar, tmp_path / "run"), max_steps=None, epochs=2.0)
    learn(config, Transcript())
    size = open_dataset(config.source).sizes["train"]
    assert metrics(tmp_path / "run", "test")[0]["step"] == int(np.ceil(2 * size / 16))


def test_a_finished_run_and_another_dataset_are_refused(cifar: Path, tmp_path: Path) -> None:
    config = small("cifar10", cifar, tmp_path / "run")
    learn(config, Transcript())
    with pytest.raises(RunError, match="has had all of its training; give it more with --minutes, --max-steps or"):
        learn(replace(config, resume=True), Transcript())
    other = small("cifar10_cat", cifar, tmp_path / "run", resume=True)
    with pytest.raises(RunError, match="is a run of cifar10, not of cifar10_cat"):
        learn(other, Transcript())
    with pytest.raises(ArenaError, match="it does not name a game"):
        checkpoint.read_config(tmp_path / "run")
    learn(replace(config, resume=True, max_steps=15), Transcript())


def test_a_run_that_was_killed_before_its_test_is_tested_when_it_goes_on(cifar: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = small("cifar10", cifar, run)
    learn(config, Transcript())
    before, (test,) = final_files(run), metrics(run, "test")
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(line for line in lines if json.loads(line)["kind"] != "test"))
    learn(replace(config, resume=True), Transcript())
    (again,) = metrics(run, "test")
    assert final_files(run) == before
    assert {"top1", "log_loss", "bins"} <= again.keys()
    assert all(again[name] == test[name] for name in ("step", "top1", "log_loss", "confusion", "bins"))
    with pytest.raises(RunError, match="has had all of its training"):
        learn(replace(config, resume=True), Transcript())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_smoothing": 0.1}, "--label-smoothing is for pictures"),
        ({"random_tails": 1.5}, "--random-tails is 1.5; it must be from 0 to 1."),
        ({"random_tails": 0.5}, "--random-tails is for networks that read the moves of games of people"),
        ({"random_branches": -0.5}, "--random-branches is -0.5; it must be from 0 to 1."),
        ({"device": "cuda:9"}, "There is no device"),
        ({"init": Path("nowhere")}, "nowhere"),
    ],
)
def test_what_goes_wrong_before_the_start_leaves_nothing_behind(
    wthor: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArenaError, match=message):
        learn(small("wthor", wthor, tmp_path / "run", **changes), Transcript())
    assert not (tmp_path / "run").exists()


# ---- it plays --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("simulations", [0, 4])
def test_a_run_enters_matches(runs: dict[str, Path], name: str, simulations: int) -> None:
    player = agents.make(f"net:{runs[name]},simulations={simulations}", OTHELLO)
    result = match(OTHELLO, player, agents.make("random", OTHELLO), 4, np.random.default_rng(0))
    assert result.wins + result.draws + result.losses == 4


@pytest.mark.parametrize("name", ["recurrent", "transformer"])
def test_sequences_play_by_the_moves_they_are_told(
    runs: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two games that reach one position in different ways are different to them, and each is the network's answer."""
    # In float32 everywhere: move by move and all at once, bfloat16 rounds differently.
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    player = agents.make(f"net:{runs[name]},simulations=0", OTHELLO)
    assert isinstance(player, SequenceNetAgent)
    assert isinstance(player, HistoryAgent)
    assert not isinstance(agents.make(f"net:{runs['resnet']},simulations=0", OTHELLO), HistoryAgent)
    texts = ("f5", "f4", "c3", "c6", "g3"), ("f5", "f4", "g3", "c6", "c3")
    states, moves = OTHELLO.init(2), np.zeros((2, 5), np.int64)
    for row, words in enumerate(texts):
        for ply, word in enumerate(words):
            moves[row, ply] = OTHELLO.parse_action(states[row], word)
            one = states[row : row + 1]
            OTHELLO.step(one, [moves[row, ply]])
    assert OTHELLO.hash(states[:1]) == OTHELLO.hash(states[1:])
    found = player.act_after(states, moves, np.array([5, 5]), np.random.default_rng(0), np.arange(2))
    game = History(OTHELLO, "moves", 80)
    network, metadata = load_network(find_network(runs[name]), game)
    assert isinstance(network.backbone, Recurrent) == (name == "recurrent")
    assert metadata.config.context == 80
    seen = game.remember(states, moves, np.array([5, 5]))
    expected = NetworkEvaluator(game, network, device="cpu").evaluate(seen, game.legal_action_mask(seen))
    np.testing.assert_allclose(found.value, expected.value, atol=1e-5)
    assert expected.value[0] != expected.value[1]
    best = np.where(OTHELLO.legal_action_mask(states), expected.prior_logits, -np.inf).argmax(axis=1)
    np.testing.assert_array_equal(found.action, best)
    with pytest.raises(ArenaError, match="this position comes without them"):
        player.act(states, np.random.default_rng(0))


def test_illegal_choices_are_counted_where_nobody_masks_them(runs: dict[str, Path]) -> None:
    player = agents.make(f"net:{runs['transformer']},simulations=0,mask=false", OTHELLO)
    assert isinstance(player, NetAgent)
    assert not player.remark()
    match(OTHELLO, player, agents.make("random", OTHELLO), 4, np.random.default_rng(0))
    assert 0 < player.illegal_choices <= player.choices  # it has hardly learned anything
    assert f"{player.illegal_choices} of {player.choices} moves were illegal at first" in player.remark()
    with pytest.raises(ArenaError, match="mask=false goes with simulations=0"):
        agents.make(f"net:{runs['transformer']},mask=false", OTHELLO)


@pytest.mark.parametrize("name", ["recurrent", "transformer"])
def test_a_person_plays_against_a_sequence(runs: dict[str, Path], name: str) -> None:
    """With hints and moves taken back, for which it must be told other moves than the last ones."""
    opponent = agents.make(f"net:{runs[name]},simulations=0,mask=false", OTHELLO)
    screen = io.StringIO()
    source = io.StringIO("hint\nf5\nhint\nundo\nd3\nhint\nquit\n")
    PlaySession(OTHELLO, opponent, 0, np.random.default_rng(0), source, screen).run()
    text = screen.getvalue()
    assert text.count("would play") == 3
    assert text.count(f"{opponent.name} plays") == 2
    assert "You left the game after 2 plies" in text
    finished = io.StringIO("\n".join(["undo"] * 3))
    PlaySession(OTHELLO, opponent, 1, np.random.default_rng(0), finished, screen).run()


def test_an_unmasked_network_counts_what_it_would_play() -> None:
    """Against a policy whose favourite is known."""

    class Stubborn:
        version, cacheable = 0, True

        def evaluate(self, states: np.ndarray, legal_action_mask: np.ndarray) -> Any:
            from agents.core import Evaluation

            logits = np.tile(np.arange(65, dtype=np.float32), (len(states), 1))  # the pass above all, then h8, g8, …
            return Evaluation(logits, np.zeros(len(states), np.float32))

    from agents.net_agent import NetOptions, _Trained
    from agents.search import EvaluationCache

    trained = _Trained(Stubborn(), EvaluationCache(1), {}, OTHELLO)
    agent = NetAgent("stubborn", OTHELLO, NetOptions(path="x", simulations=0, mask=False), trained)
    states = OTHELLO.init(3)
    result = agent.act(states, np.random.default_rng(0))
    assert (agent.choices, agent.illegal_choices) == (3, 3)
    best = np.flatnonzero(OTHELLO.legal_action_mask(states)[0]).max()
    assert (result.action == best).all()


@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_training_starts_from_what_was_learned(runs: dict[str, Path], tmp_path: Path, name: str) -> None:
    words = ["othello", "--init", str(runs[name]), "--run", str(tmp_path / "run")]
    parsed = parse_train(words)
    learned, _ = load_network(
        find_network(runs[name]), History(OTHELLO, "moves", 80) if name == "transformer" else OTHELLO
    )
    assert parsed.network == checkpoint.read_config(runs[name], from_toml).network
    base = synchronous("othello", tmp_path / "run", 1, init=runs[name])
    config = replace(base, network=parsed.network, learner=replace(base.learner, minimum_positions=40, batch_size=8))
    training = Training(config, checkpoint.open_run(config), Transcript())
    try:
        weights = training.learner.playing_weights()
        assert all(np.array_equal(weights[key], tensor.numpy()) for key, tensor in learned.state_dict().items())
    finally:
        training.close()
    finished = train(replace(config, run=tmp_path / "whole"), Transcript())
    saved, metadata = load_network(find_network(finished))
    assert metadata.weights_version == 1
    # One step from there, and not from random weights.
    moved = sum(float((saved.state_dict()[k] - t).square().sum()) for k, t in learned.state_dict().items())
    size = sum(float(t.square().sum()) for t in learned.state_dict().values())
    assert 0 < moved < 0.05 * size
    with pytest.raises(LearnerStateError, match="another shape"):
        Training(
            replace(config, network=replace(config.network, hidden=(8,), width=32)), tmp_path / "whole", Transcript()
        )


def test_learning_starts_from_another_run(runs: dict[str, Path], wthor: Path, tmp_path: Path) -> None:
    config = parse(["wthor", "--init", str(runs["transformer"]), "--data", str(wthor)])
    assert config.network == checkpoint.read_config(runs["transformer"], from_toml).network
    config = replace(config, learner=replace(config.learner, threads=1))
    learner = make_learner(config, open_dataset(config.source).spec, seed=9)
    saved = load_network(find_network(runs["transformer"]))[0].state_dict()
    assert all(np.array_equal(learner.weights()[key], tensor.numpy()) for key, tensor in saved.items())


# ---- configuration and command line ----------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", [None, "transformer", "recurrent"])
@pytest.mark.parametrize("dataset", ["wthor", "kgs", "cifar10", "connect_four_8ply"])
def test_presets_survive_toml(dataset: str, backbone: str | None) -> None:
    config = replace(preset(dataset, backbone), epochs=1.5, init=Path("runs/a b"))
    config.check()
    assert from_toml(to_toml(config), "config.toml") == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minutes": 0.0}, "--minutes is 0.0"),
        ({"max_steps": 3, "epochs": 1.0}, "give one of them"),
        ({"epochs": 0.0}, "--epochs is 0.0"),
        ({"workers": -1}, "--workers is -1"),
        ({"label_smoothing": 1.0}, "--label-smoothing is 1.0"),
        ({"read_as": "go_9x9"}, "--read-as is go_9x9; cifar10 has no games"),
        ({"learner": OptimizerConfig(ema=1.0)}, r"--learner\.ema is 1\.0"),
        ({"learner": OptimizerConfig(decay_from=1.0)}, r"--learner\.decay-from is 1\.0"),
        ({"learner": OptimizerConfig(batch_size=0)}, r"--learner\.batch-size is 0"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(preset("cifar10"), **changes).check()


def test_bad_configurations_are_one_sentence() -> None:
    for text, message in (
        ("game = 'othello'", "names no dataset"),
        ("dataset = 3", "names no dataset"),
        ("dataset = 'cifar10'\nminuts = 3", "did you mean 'minutes'"),
    ):
        with pytest.raises(ConfigError, match=message):
            from_toml(text, "config.toml")


def test_the_command_line_learns_and_resumes(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["learn", "cifar10", "--data", str(cifar), "--workers", "0", "--learner.threads", "1"]
    words += ["--network.channels", "4", "--network.hidden", "8", "8", "--learner.batch-size", "8"]
    cli.main([*words, "--max-steps", "2"])
    out = capsys.readouterr().out
    assert "Learning cifar10 in runs/cifar10-" in out
    assert "Test split:" in out
    cli.main(["learn", "cifar10", "--resume", "--max-steps", "3"])
    assert "step 2, " in capsys.readouterr().out
    (run,) = (tmp_path / "runs").iterdir()
    assert [record["step"] for record in metrics(run, "test")] == [2, 3]
    assert json.loads((find_network(run) / "network.json").read_text())["classes"] == ["cat", "dog", "ship"]
