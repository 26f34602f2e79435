"""Every backbone: shapes, that it learns 32 positions by heart, its file, bfloat16, and the evaluator as it is.

And what each promises beyond that: AlexNet its paper's figures, sequences that nobody sees the future, the recurrent
network that reading on is the same as reading again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import games
from agents.histories import FIRST_ACTION, START, History, as_seen
from agents.network_evaluator import NetworkEvaluator
from agents.networks import (
    BACKBONES,
    SEQUENCE_BACKBONES,
    NetworkConfig,
    NetworkError,
    PolicyValueNetwork,
    build_classifier,
    build_network,
)
from agents.networks.alexnet import AlexNet
from agents.networks.description import CheckpointError
from agents.networks.files import load_classifier, load_network, save_network
from agents.networks.heads import OutcomeHead
from agents.networks.reading import Reader
from agents.networks.recurrent import Recurrent
from agents.networks.transformer import Block, Transformer
from agents.pictures import PictureSpec
from games import Game
from tests.agents.test_histories import play

CONNECT_FOUR = games.make("connect_four")

CONFIGS = {
    "mlp-1": NetworkConfig(backbone="mlp", hidden=(128,)),
    "mlp-2": NetworkConfig(backbone="mlp", hidden=(96, 64)),
    "mlp-3": NetworkConfig(backbone="mlp", hidden=(96, 64, 48)),
    "resnet": NetworkConfig(blocks=2, channels=16),
    "resnet-outcomes": NetworkConfig(blocks=2, channels=16, outcomes=True),
    "alexnet_small": NetworkConfig(backbone="alexnet_small", channels=12, hidden=(64, 64)),
    "alexnet_small-batch": NetworkConfig(
        backbone="alexnet_small", channels=12, hidden=(64, 64), normalisation="batch", dropout=0.1
    ),
    "gru": NetworkConfig(backbone="recurrent", layers=1, width=64, context=20),
    "lstm": NetworkConfig(backbone="recurrent", cell="lstm", layers=2, width=48, context=20),
    "gru-positions": NetworkConfig(backbone="recurrent", sequence="positions", layers=1, width=64, context=20),
    "transformer": NetworkConfig(backbone="transformer", layers=2, width=48, heads=4, context=20, dropout=0.1),
    "transformer-positions": NetworkConfig(
        backbone="transformer", sequence="positions", layers=2, width=48, heads=3, context=20
    ),
}
SEQUENCES = [name for name, config in CONFIGS.items() if config.reads != "planes"]


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        yield


@pytest.fixture(params=CONFIGS.values(), ids=list(CONFIGS))
def config(request: pytest.FixtureRequest) -> NetworkConfig:
    return request.param


def build(config: NetworkConfig) -> tuple[Game, PolicyValueNetwork]:
    game = as_seen(CONNECT_FOUR, config.reads, config.context)
    return game, build_network(config, game.spec.observation_shape, game.spec.num_actions)


def positions(game: Game, count: int) -> np.ndarray:
    """``count`` different positions after up to 14 random moves, none of them over, the start among them."""
    _, moves = play(CONNECT_FOUR, 4 * count, 14, seed=5)
    plies = np.random.default_rng(6).integers(1, 15, 4 * count)
    plies[0] = 0
    plain = CONNECT_FOUR.init(4 * count)
    for ply in range(14):
        rows = np.flatnonzero((plies > ply) & (moves[:, ply] >= 0))
        going_on = plain[rows]
        CONNECT_FOUR.step(going_on, moves[rows, ply])
        plain[rows] = going_on
    rows = np.flatnonzero(~plain["terminated"] & (plain["ply"] == plies))
    _, first = np.unique(CONNECT_FOUR.hash(plain[rows]), return_index=True)
    rows = np.sort(rows[first])[:count]
    assert len(rows) == count
    return game.remember(plain[rows], moves[rows], plies[rows]) if isinstance(game, History) else plain[rows]


def perturb(game: Game, network: nn.Module) -> None:
    """Moves every parameter and running statistic away from where it starts."""
    observation = torch.from_numpy(game.observe(positions(game, 32)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        for _ in range(5):
            network(observation)


def test_the_list_is_complete() -> None:
    assert {config.backbone for config in CONFIGS.values()} | {"alexnet"} == {*BACKBONES, *SEQUENCE_BACKBONES}


def test_shapes_and_ranges(config: NetworkConfig) -> None:
    game, network = build(config)
    logits, value = network(torch.from_numpy(game.observe(positions(game, 5))))
    assert logits.shape == (5, 7)
    assert (value == 0).all()  # it knows nothing yet …
    assert (logits.softmax(dim=1) - 1 / 7).abs().max() < 0.02
    perturb(game, network)
    logits, value = network(torch.from_numpy(game.observe(positions(game, 5))))
    assert 0 < value.abs().max() <= 1  # … and now says something


def test_it_learns_32_positions_by_heart(config: NetworkConfig) -> None:
    game, network = build(config)
    observation = torch.from_numpy(game.observe(positions(game, 32)))
    action, target = torch.randint(0, 7, (32,)), torch.randint(-1, 2, (32,))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(400):
        features = network.backbone(observation)
        loss = F.cross_entropy(network.policy(features), action)
        if isinstance(network.value, OutcomeHead):
            loss = loss + F.cross_entropy(network.value.outcome_logits(features), target + 1)
        else:
            loss = loss + F.mse_loss(network.value(features), 0.9 * target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if loss < (0.05 if config.dropout else 0.01):
            break
    logits, value = network.eval()(observation)
    assert (logits.argmax(dim=1) == action).all()
    assert (value.round() == target).all()


def test_its_file_holds_it_bit_for_bit(config: NetworkConfig, tmp_path: Path) -> None:
    game, network = build(config)
    perturb(game, network)
    save_network(tmp_path, network, config, game.spec, {"steps": 3})
    loaded, metadata = load_network(tmp_path, game)
    assert metadata.config == config
    assert network.state_dict().keys() == loaded.state_dict().keys()
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in network.state_dict().items())
    if config.reads != "planes":
        with pytest.raises(CheckpointError, match="observations"):
            load_network(tmp_path, CONNECT_FOUR)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_evaluator_takes_it_as_it_is(config: NetworkConfig, precision: str) -> None:
    game, network = build(config)
    perturb(game, network)
    states = positions(game, 24)
    with torch.no_grad():
        logits, value = (answer.numpy() for answer in network.eval()(torch.from_numpy(game.observe(states))))
    answer = NetworkEvaluator(game, network, device="cpu", precision=precision, max_batch=7).evaluate(
        states, game.legal_action_mask(states)
    )
    rough = precision == "bf16"
    np.testing.assert_allclose(answer.prior_logits, logits, atol=(0.03 if rough else 1e-5) * np.abs(logits).max())
    np.testing.assert_allclose(answer.value, value, atol=0.04 if rough else 1e-5)
    empty = NetworkEvaluator(game, network, device="cpu", precision=precision).evaluate(
        states[:0], np.zeros((0, 7), bool)
    )
    assert empty.value.shape == (0,)


# ---- outcomes --------------------------------------------------------------------------------------------------------


def test_the_outcome_head_is_worth_the_win_less_the_loss() -> None:
    head = OutcomeHead((5,), channels=1, hidden=8, normalisation="none")
    features = torch.randn(9, 5)
    assert (head(features) == 0).all()
    nn.init.normal_(head.logits.weight)
    chances = head.outcome_logits(features).softmax(dim=1)
    assert torch.equal(head(features), chances[:, 2] - chances[:, 0])


# ---- AlexNet ---------------------------------------------------------------------------------------------------------


def test_alexnet_has_the_papers_parameters() -> None:
    """60,965,224 with the convolutions divided over two GPUs, as published; 62,378,344 with the two towers merged."""
    network = build_classifier(NetworkConfig(backbone="alexnet"), (3, 224, 224), 1000)
    assert sum(parameter.numel() for parameter in network.parameters()) == 60_965_224
    merged = AlexNet((3, 224, 224), groups=1)
    assert sum(parameter.numel() for parameter in merged.parameters()) + 1000 * 4096 + 1000 == 62_378_344


def test_alexnet_has_the_papers_layers_and_runs_both_ways() -> None:
    """Figure 2 of the paper: kernels, and neurons of each layer. (It counts 253,440 in the first, which its own
    55 × 55 × 96 does not make; the others agree.)"""
    network = build_classifier(NetworkConfig(backbone="alexnet"), (3, 224, 224), 1000)
    shapes: list[tuple[int, ...]] = []
    kernels: list[tuple[int, ...]] = []

    def note(module: nn.Module, _: object, output: torch.Tensor) -> None:
        shapes.append(tuple(output.shape[1:]))
        kernels.append(tuple(module.weight.shape))  # type: ignore[arg-type]

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(note)
    loss = F.cross_entropy(network(torch.randn(2, 3, 224, 224)), torch.tensor([3, 999]))
    loss.backward()
    assert shapes == [
        *((96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13)),
        *((4096,), (4096,), (1000,)),
    ]
    assert [int(np.prod(shape)) for shape in shapes[1:]] == [186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert kernels == [
        *((96, 3, 11, 11), (256, 48, 5, 5), (384, 256, 3, 3), (384, 192, 3, 3), (256, 192, 3, 3)),
        *((4096, 9216), (4096, 4096), (1000, 4096)),
    ]
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_alexnets_response_normalisation_is_the_papers() -> None:
    """b = a / (2 + 1e-4 * sum of a^2 over the five neighbouring planes) ** 0.75, which PyTorch writes otherwise."""
    norm = next(module for module in AlexNet((3, 64, 64)).modules() if isinstance(module, nn.LocalResponseNorm))
    planes = 30 * torch.randn(1, 9, 2, 2)
    for i in range(9):
        near = planes[:, max(0, i - 2) : i + 3].square().sum(dim=1)
        torch.testing.assert_close(norm(planes)[:, i], planes[:, i] / (2 + 1e-4 * near) ** 0.75)


@pytest.mark.parametrize(("side", "last"), [(224, (256, 6, 6)), (227, (256, 6, 6)), (63, (256, 1, 1))])
def test_alexnets_flat_layer_fits(side: int, last: tuple[int, ...]) -> None:
    network = AlexNet((1, side, side)).eval()
    assert network.convolutions(torch.zeros(1, 1, side, side)).shape[1:] == last
    assert network(torch.zeros(1, 1, side, side)).shape == (1, 4096)


def test_small_alexnet_has_five_convolutions_and_pools_pictures_only() -> None:
    picture = build_classifier(NetworkConfig(backbone="alexnet_small", channels=24, hidden=(32, 32)), (3, 32, 32), 10)
    convolutions = [module for module in picture.modules() if isinstance(module, nn.Conv2d)]
    assert [module.out_channels for module in convolutions] == [24, 64, 96, 96, 64]
    assert sum(isinstance(module, nn.MaxPool2d) for module in picture.modules()) == 3
    assert sum(isinstance(module, nn.Linear) for module in picture.modules()) == 3
    board = build_network(NetworkConfig(backbone="alexnet_small", channels=24, hidden=(32, 32)), (17, 19, 19), 362)
    assert not any(isinstance(module, nn.MaxPool2d) for module in board.modules())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (NetworkConfig(backbone="alexnet"), "needs pictures of 63"),
        (NetworkConfig(backbone="alexnet_small", hidden=(32,)), "two hidden fully connected layers"),
        (NetworkConfig(backbone="transformer"), "cannot read observations"),
        (NetworkConfig(backbone="recurrent", sequence="positions"), "cannot read observations"),
    ],
)
def test_what_does_not_fit_is_refused(config: NetworkConfig, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        build_network(config, (2, 6, 7), 7)


def test_sequences_classify_no_pictures() -> None:
    with pytest.raises(NetworkError, match="classifies no pictures"):
        build_classifier(NetworkConfig(backbone="transformer"), (3, 32, 32), 10)
    _, network = build(CONFIGS["resnet"])
    with pytest.raises(NetworkError, match="one position at a time"):
        _ = network.sequences


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 100, "heads": 3}, "multiple of heads"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"dropout": 0}, "dropout must be"),
        ({"outcomes": 1}, "outcomes must be"),
        ({"cell": "rnn"}, "Unknown cell"),
        ({"sequence": "words"}, "Unknown sequence"),
        ({"context": 0}, "context"),
    ],
)
def test_settings_that_make_no_network_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(games.ArenaError, match=message):
        NetworkConfig(**changes)  # type: ignore[arg-type]


# ---- classifiers on disk ---------------------------------------------------------------------------------------------


def test_a_classifier_comes_back_and_plays_nothing(tmp_path: Path) -> None:
    config = NetworkConfig(backbone="alexnet_small", channels=8, hidden=(16, 16))
    spec = PictureSpec("cifar10", 1, ("cat", "dog", "ship"), (3, 32, 32))
    network = build_classifier(config, spec.observation_shape, 3).eval()
    save_network(tmp_path, network, config, spec)
    loaded, metadata = load_classifier(tmp_path)
    assert (metadata.game, metadata.classes, metadata.num_actions) == ("cifar10", spec.classes, 3)
    pictures = torch.rand(2, 3, 32, 32)
    assert torch.equal(loaded(pictures), network(pictures))
    for load in (lambda: load_network(tmp_path), lambda: load_network(tmp_path, CONNECT_FOUR)):
        with pytest.raises(CheckpointError, match="classifier of 'cifar10' pictures, which plays no game"):
            load()
    game, player = build(CONFIGS["mlp-1"])
    save_network(tmp_path / "player", player, CONFIGS["mlp-1"], game.spec)
    with pytest.raises(CheckpointError, match="plays 'connect_four' and classifies nothing"):
        load_classifier(tmp_path / "player")


# ---- sequences -------------------------------------------------------------------------------------------------------


def inputs_of(game: History, states: np.ndarray) -> torch.Tensor:
    _, network = build(NetworkConfig(backbone="recurrent", sequence=game.reads, context=game.context))
    return network.sequences.read(torch.from_numpy(game.observe(states)))[0]


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_features_of_a_ply_do_not_see_what_follows(name: str) -> None:
    game, network = build(CONFIGS[name])
    assert isinstance(game, History)
    perturb(game, network)
    network.eval()
    inputs = inputs_of(game, positions(game, 16))
    with torch.no_grad():
        whole = network.sequences.every_ply(inputs)
        for length in (1, 2, 7):
            torch.testing.assert_close(network.sequences.every_ply(inputs[:, :length]), whole[:, :length])
        changed = inputs.clone()
        changed[:, 5:] = inputs.flip(0)[:, 5:]
        assert not torch.equal(changed, inputs)
        torch.testing.assert_close(network.sequences.every_ply(changed)[:, :5], whole[:, :5])
        assert (network.sequences.every_ply(changed)[:, 5:] != whole[:, 5:]).any()


@pytest.mark.parametrize("name", SEQUENCES)
def test_one_position_has_the_features_of_its_last_ply(name: str) -> None:
    game, network = build(CONFIGS[name])
    assert isinstance(game, History)
    network.eval()
    states = positions(game, 16)
    with torch.no_grad():
        every = network.sequences.every_ply(inputs_of(game, states))
        last = every[torch.arange(16), torch.from_numpy(states["ply"].astype(np.int64))]
        torch.testing.assert_close(network.backbone(torch.from_numpy(game.observe(states))), last)


def test_the_transformer_knows_the_order_of_moves() -> None:
    _, network = build(CONFIGS["transformer"])
    network.eval()
    tokens = torch.tensor([[START, 3, 4, 5, 2], [START, 4, 3, 5, 2]])
    with torch.no_grad():
        features = network.sequences.every_ply(tokens)[:, -1]
    assert not torch.allclose(features[0], features[1], atol=1e-4)


def test_the_transformers_streams_end_in_its_features() -> None:
    _, network = build(CONFIGS["transformer"])
    backbone = network.eval().backbone
    assert isinstance(backbone, Transformer)
    tokens = torch.randint(1, 9, (3, 11))
    streams = list(backbone.streams(tokens))
    assert len(streams) == 1 + len(backbone.blocks)
    assert torch.equal(backbone.norm(streams[-1]), backbone.every_ply(tokens))


@pytest.mark.parametrize("learning", [True, False])
def test_attention_is_the_textbooks(learning: bool) -> None:
    """softmax(q k' / sqrt(d)) v over what came before, head by head, in plain arithmetic; computed in one way while
    learning and in another while playing."""
    _, network = build(CONFIGS["transformer"])
    backbone = network.eval().backbone
    assert isinstance(backbone, Transformer)
    block, x, tokens = backbone.blocks[0], torch.randn(2, 6, 48), torch.randn(2, 6, 48)
    assert isinstance(block, Block)
    query, key, value = block.query(x), block.key(x), block.value(x) + tokens
    mixed = torch.zeros_like(x)
    for head in range(4):
        part = slice(12 * head, 12 * (head + 1))
        for t in range(6):
            scores = (query[:, t : t + 1, part] * key[:, : t + 1, part]).sum(-1) / 12**0.5
            mixed[:, t, part] = (scores.softmax(dim=1)[..., None] * value[:, : t + 1, part]).sum(1)
    with torch.set_grad_enabled(learning):
        torch.testing.assert_close(block.attention(x, tokens), block.mix(mixed))


@pytest.mark.parametrize("name", [name for name in SEQUENCES if CONFIGS[name].backbone == "recurrent"])
def test_reading_on_is_the_same_as_reading_again(name: str) -> None:
    game, network = build(CONFIGS[name])
    assert isinstance(game, History)
    perturb(game, network)
    backbone = network.eval().backbone
    assert isinstance(backbone, Recurrent)
    inputs = inputs_of(game, positions(game, 16))
    with torch.no_grad():
        whole, after = backbone.advance(inputs)
        pieces, state = [], None
        for piece in inputs.split([1, 3, inputs.shape[1] - 4], dim=1):
            features, state = backbone.advance(piece, state)
            pieces.append(features)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)
    assert state is not None
    torch.testing.assert_close(state, after)


@pytest.mark.parametrize("name", [name for name in SEQUENCES if CONFIGS[name].backbone == "recurrent"])
def test_a_reader_agrees_with_the_evaluator_all_through_the_games(name: str) -> None:
    """Slots are reused, asked about twice, skipped and taken back, as play loops and people do."""
    game, network = build(CONFIGS[name])
    assert isinstance(game, History)
    perturb(game, network)
    evaluator = NetworkEvaluator(game, network, device="cpu", precision="fp32")
    reader = Reader(network, game, torch.device("cpu"), torch.float32)
    rng = np.random.default_rng(0)
    _, moves = play(CONNECT_FOUR, 12, 14, seed=9)
    length = np.array([int((row >= 0).sum()) for row in moves])
    for _ in range(30):
        rows = rng.permutation(12)[: rng.integers(1, 13)]
        plies = np.array([rng.integers(0, length[row]) for row in rows])
        slots = None if rng.random() < 0.2 else rows % 5  # several games take turns in a slot
        if slots is not None:
            _, first = np.unique(slots, return_index=True)
            rows, plies, slots = rows[first], plies[first], slots[first]
        states = CONNECT_FOUR.init(len(rows))
        for ply in range(14):
            going = np.flatnonzero(plies > ply)
            stepped = states[going]
            CONNECT_FOUR.step(stepped, moves[rows[going], ply])
            states[going] = stepped
        remembered = game.remember(states, moves[rows], plies)
        expected = evaluator.evaluate(remembered, game.legal_action_mask(remembered))
        found = reader.evaluate(moves[rows], plies, slots)
        np.testing.assert_allclose(found.prior_logits, expected.prior_logits, atol=1e-5)
        np.testing.assert_allclose(found.value, expected.value, atol=1e-5)
    reader.forget()
    assert not reader._places


def test_a_reader_reads_each_move_once(monkeypatch: pytest.MonkeyPatch) -> None:
    game, network = build(CONFIGS["gru"])
    assert isinstance(game, History)
    reader = Reader(network, game, torch.device("cpu"), torch.float32)
    read: list[tuple[int, ...]] = []
    advance = Recurrent.advance

    def counted(self: Recurrent, inputs: torch.Tensor, state: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        read.append(tuple(inputs.shape))
        return advance(self, inputs, state)

    monkeypatch.setattr(Recurrent, "advance", counted)
    moves, slots = np.array([[3, 2, 3, 2, 3, 4]]), np.zeros(1, np.int64)
    for plies in (0, 2, 4, 4, 6):
        reader.evaluate(moves, np.array([plies]), slots)
    assert read == [(1, 1), (1, 2), (1, 2), (1, 2)]
    assert FIRST_ACTION == START + 1
