"""Chess against published counts, python-chess, OpenSpiel and slow references of its planes and actions."""

from __future__ import annotations

import re

import numpy as np
import pytest

import games
from games import IllegalActionError, ParseError
from games.chess import CHECKMATE, KINDS, LENGTH, MATERIAL, PROGRESS, REPETITION, STALEMATE, Chess
from games.perft import divide, perft

KIWIPETE = "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1"
START = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"

# Position, count by depth from 1: https://www.chessprogramming.org/Perft_Results
STANDARD = {
    START: [20, 400, 8902, 197281, 4865609, 119060324],
    KIWIPETE: [48, 2039, 97862, 4085603, 193690690],
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1": [14, 191, 2812, 43238, 674624, 11030083],
    "r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1": [6, 264, 9467, 422333, 15833292],
    "rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8": [44, 1486, 62379, 2103487, 89941194],
    "r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10": [46, 2079, 89890, 3894594, 164075551],
}

# One rule each, by Martin Sedlak (talkchess.com, thread 47318); the mirrored positions have the same counts.
TRICKY = [
    ("3k4/3p4/8/K1P4r/8/8/8/8 b - - 0 1", 6, 1134888),  # en passant that would open a rank
    ("8/8/4k3/8/2p5/8/B2P2K1/8 w - - 0 1", 6, 1015133),  # or a diagonal
    ("8/8/1k6/2b5/2pP4/8/5K2/8 b - d3 0 1", 6, 1440467),  # that gives check
    ("5k2/8/8/8/8/8/8/4K2R w K - 0 1", 6, 661072),  # castling that gives check
    ("3k4/8/8/8/8/8/8/R3K3 w Q - 0 1", 6, 803711),
    ("r3k2r/1b4bq/8/8/8/8/7B/R3K2R w KQkq - 0 1", 4, 1274206),  # rights lost when a rook is captured
    ("r3k2r/8/3Q4/8/8/5q2/8/R3K2R b KQkq - 0 1", 4, 1720476),  # castling through check
    ("2K2r2/4P3/8/8/8/8/8/3k4 w - - 0 1", 6, 3821001),  # promotion out of check
    ("8/8/1P2K3/8/2n5/1q6/8/5k2 b - - 0 1", 5, 1004658),  # discovered check
    ("4k3/1P6/8/8/8/8/K7/8 w - - 0 1", 6, 217342),  # promotion that gives check
    ("8/P1k5/K7/8/8/8/8/8 w - - 0 1", 6, 92683),  # underpromotion that does
    ("K1k5/8/P7/8/8/8/8/8 w - - 0 1", 6, 2217),  # stalemating oneself
    ("8/k1P5/8/1K6/8/8/8/8 w - - 0 1", 7, 567584),
    ("8/8/2k5/5q2/5n2/8/5K2/8 b - - 0 1", 4, 23527),  # double check
    ("1k6/1b6/8/8/7R/8/8/4K2R b K - 0 1", 5, 1063513),  # no castling although the rook never moved
    ("1k6/8/8/8/R7/1n6/8/R3K3 b Q - 0 1", 5, 346695),
]


def mirrored(fen: str) -> str:
    """The same position with the colours exchanged."""
    board, side, castling, en_passant, *rest = fen.split()
    board = "/".join(reversed(board.swapcase().split("/")))
    castling = "".join(sorted(castling.swapcase(), key="KQkq-".index))
    en_passant = en_passant.translate(str.maketrans("36", "63"))
    return " ".join([board, "wb"[side == "w"], castling, en_passant, *rest])


def play(game: Chess, text: str, moves: str = ""):
    """The states ``[1]`` after the moves, as players write them."""
    states = game.parse_state(text)
    for move in moves.split():
        game.step(states, [game.parse_action(states[0], move)])
    return states


def ucis(game: Chess, state: np.void) -> dict[str, int]:
    return {game.move_to_uci(state, int(action)): int(action) for action in game.legal_actions(state)}


# ---- counts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("fen", STANDARD)
def test_perft(fen, mirror):
    game = Chess()
    states = game.parse_state(mirrored(fen) if mirror else fen)
    for depth, count in enumerate(STANDARD[fen], 1):
        if count < 5e6:
            assert perft(game, states, depth) == count
    assert sum(divide(game, states, 3).values()) == STANDARD[fen][2]


@pytest.mark.slow
@pytest.mark.parametrize("fen", STANDARD)
def test_perft_deep(fen):
    game = Chess()
    assert perft(game, game.parse_state(fen), len(STANDARD[fen])) == STANDARD[fen][-1]


@pytest.mark.parametrize(("fen", "depth", "count"), TRICKY)
def test_tricky_perft(fen, depth, count):
    game = Chess()
    assert perft(game, game.parse_state(fen), depth) == count
    assert perft(game, game.parse_state(mirrored(fen)), depth) == count


def test_perft_of_what_suites_have_and_no_game_reaches():
    game = Chess()
    rights_in_another_order = game.parse_state("r6r/1b2k1bq/8/8/7B/8/8/R3K2R b QK - 3 2")
    assert perft(game, rights_in_another_order, 1) == 8
    chess = pytest.importorskip("chess")
    for fen in (
        "8/8/8/1k6/3Pp3/8/8/4KQ2 b - d3 0 1",  # a check that the pawn's move cannot have given
        "4k3/8/8/8/7b/8/8/r3K2r w - - 0 1",  # three checks at once
        "8/8/8/8/8/8/k7/r3K2r w - - 0 1",
    ):
        board, states = chess.Board(fen), game.parse_state(fen)

        def count(depth, board=board):
            if depth == 0:
                return 1
            total = 0
            for move in board.legal_moves:
                board.push(move)
                total += count(depth - 1)
                board.pop()
            return total

        for depth in (1, 2, 3):
            assert perft(game, states, depth) == count(depth)


def test_perft_knows_no_draws():
    game = Chess()
    states = game.parse_state("8/8/4k3/8/8/2K5/8/8 w - - 100 90")
    assert states["terminated"][0]
    assert not game.legal_action_mask(states).any()
    assert perft(game, states, 1) == 8
    assert perft(game, np.concatenate([states, game.init(2)]), 2) == 61 + 2 * 400


@pytest.mark.nojit
def test_without_numba():
    game, rng = Chess(planes="alphazero", claim_draws=False, history=3), np.random.default_rng(3)
    states = game.init(2)
    for _ in range(40):
        mask = game.legal_action_mask(states)
        actions = np.array([rng.choice(np.flatnonzero(row)) for row in mask])
        san = game.action_to_string(states[0], int(actions[0]))
        assert game.parse_action(states[0], san) == actions[0]
        game.step(states, actions)
        assert game.observe(states).any()
        again = game.parse_state(game.state_to_string(states[0]))
        assert game.hash(again)[0] == game.hash(states)[0]
    assert perft(game, game.parse_state(KIWIPETE), 2) == 2039


# ---- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "channels", "size"),
    [
        ({}, 19, 260),
        ({"claim_draws": False}, 19, 360),
        ({"planes": "alphazero"}, 119, 316),
        ({"planes": "alphazero", "claim_draws": False, "history": 3}, 49, 376),
        ({"history": 4}, 58, 284),
    ],
)
def test_options_keep_the_contract(options, channels, size):
    game = Chess(**options)
    assert game.spec.observation_shape == (channels, 8, 8)
    assert game.dtype.itemsize == size
    if not game.claim_draws:  # the default is checked with every other game
        games.check_game(game, num_games=8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"planes": "full"}, "Unknown set of planes 'full'.*alphazero, compact"),
        ({"history": 0}, "history is 0; give 1 to 64"),
        ({"max_plies": 20000}, "max_plies is 20000; give 1 to 11800"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(games.ArenaError, match=message):
        Chess(**options)


# ---- when a game is over ---------------------------------------------------------------------------------------------


def test_mates():
    game = Chess()
    states = play(game, START, "f3 e5 g4 Qh4#")
    assert states["reason"][0] == CHECKMATE
    assert game.returns(states).tolist() == [[-1.0, 1.0]]
    assert game.render(states[0]).endswith("black wins: checkmate")
    states = play(game, "7k/5Q2/8/6K1/8/8/8/8 w - - 0 1", "Kg6")
    assert states["reason"][0] == STALEMATE
    assert game.returns(states).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("pieces", "over"),
    [
        ("k1K5", True),
        ("k1K4N", True),
        ("k1K4b", True),
        ("k1K3NN", False),
        ("k1K3Nn", False),
        ("k1K3Bn", False),
        ("k1K2B1b", True),  # on squares of one colour
        ("k1K3Bb", False),
        ("k1K1B1B1", True),
        ("k1K4p", False),
        ("k1K4R", False),
        ("k1K4q", False),
    ],
)
def test_material(pieces, over):
    rows = [pieces, *["8"] * 7]
    if "p" in pieces:
        rows = [pieces.replace("p", "1").replace("41", "5"), "7p", *["8"] * 6]
    for text in ("/".join(rows), "/".join(reversed([row.swapcase() for row in rows]))):
        for side in "wb":
            try:
                states = Chess().parse_state(f"{text} {side} - - 0 1")
            except ParseError:
                continue  # in check out of turn
            assert (states["reason"][0] == MATERIAL) == over


SHUFFLE = "Nf3 Nf6 Ng1 Ng8 "


def test_repetition():
    game, patient = Chess(), Chess(claim_draws=False)
    assert not play(game, START, SHUFFLE + "Nf3 Nf6 Ng1")["terminated"][0]
    states = play(game, START, 2 * SHUFFLE)
    assert states["reason"][0] == REPETITION
    assert game.render(states[0]).endswith("draw: the position occurred three times")
    states = play(patient, START, 3 * SHUFFLE + "Nf3 Nf6 Ng1")
    assert not states["terminated"][0]
    assert states["repetitions"][0] == 3
    assert play(patient, START, 4 * SHUFFLE)["reason"][0] == REPETITION


def test_what_makes_positions_the_same():
    game = Chess()
    # Two knights that exchange places: the same position although not the same knights.
    states = play(game, "4k3/8/8/8/8/8/8/1N2K1N1 w - - 0 1", "Na3 Kd8 Nf3 Ke8 Nd4 Kd8 Nac2 Ke8 Ne3 Kd8 Ndc2 Ke8")
    states = play(game, game.state_to_string(states[0]), "Na3 Kd8 Nf5 Ke8 Nb1 Kd8 Nh4 Ke8 Nf3 Kd8 Ng1 Ke8")
    assert states["repetitions"][0] == 1
    # Castling rights that are gone make it another position, though all pieces are back.
    states = play(game, "r3k3/8/8/8/8/8/8/4K2R w Kq - 0 1", "Rh2 Ra7 Rh1 Ra8 Rh2 Ra7 Rh1 Ra8")
    assert states["repetitions"][0] == 1
    assert game.state_to_string(states[0]).startswith("4k3/r7/8/8/8/8/7R/4K3 w - - 2 2 moves ")
    # A pawn that may be taken en passant: likewise, unless taking is illegal (here the pawn is pinned).
    shuffle = "Kf8 Kg2 Ke8 Kh2 "
    legal = play(game, "4k3/8/8/8/4p3/8/3P3K/8 w - - 0 1", "d4 " + 2 * shuffle)
    assert (legal["repetitions"][0], legal["terminated"][0]) == (1, False)
    assert play(game, "4k3/8/8/8/4p3/8/3P3K/8 w - - 0 1", "d4 " + 2 * shuffle + "Kf8")["reason"][0] == REPETITION
    pinned = play(game, "4k3/8/8/8/4p3/8/3P3K/4R3 w - - 0 1", "d4 " + 2 * shuffle)
    assert pinned["reason"][0] == REPETITION


def test_moves_without_progress():
    game, patient = Chess(), Chess(claim_draws=False)
    text = "4k3/8/8/8/8/8/P7/4K2R w K - {} 90"
    assert play(game, text.format(98), "Rh2")["terminated"][0] == 0
    assert play(game, text.format(99), "Rh2")["reason"][0] == PROGRESS
    assert play(game, text.format(99), "a4")["clock"][0] == 0
    assert play(patient, text.format(148), "Rh2")["terminated"][0] == 0
    assert play(patient, text.format(149), "Rh2")["reason"][0] == PROGRESS
    # A mate on the last move counts.
    assert play(game, "4k3/7R/4K3/8/8/8/8/8 w - - 99 90", "Rh8#")["reason"][0] == CHECKMATE
    assert play(Chess(max_plies=3), START, "e4 e5 d4")["reason"][0] == LENGTH


# ---- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq -",
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR  w  KQkq - 0\n",
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 0",
    ],
)
def test_loose_fen(text):
    game = Chess()
    assert game.parse_state(text).tobytes() == game.init(1).tobytes()


def test_en_passant_in_fen_only_if_it_is_legal():
    game = Chess()
    assert game.state_to_string(play(game, START, "e4")[0]).split()[3] == "-"
    assert game.state_to_string(play(game, START, "e4 a6 e5 d5")[0]).split()[3] == "d6"
    assert game.parse_state("rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 1")["en_passant"][0] == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR", "a FEN has"),
        (START + " 5", "a FEN has"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP w KQkq - 0 1", "7 rows"),
        ("rnbqkbnr/ppppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "rank 7 has 9 squares"),
        ("rnbqkbnr/pppppppp/44/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "rank 6 is not made of"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR x KQkq - 0 1", "the side to move is 'x'"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkx - 0 1", "castling rights are 'KQkx'"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQK - 0 1", "castling rights are 'KQK'"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq e4 0 1", "en passant square is 'e4'"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 151 90", "not 0 to 150"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - ٣ 90", "not 0 to 150"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 6000", "not 1 to 5901"),
        ("rnbqqbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQ - 0 1", "black has 0 kings"),
        ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNKQKBNR w kq - 0 1", "white has 2 kings"),
        ("rnbqkbnr/pppppppp/8/p7/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "black has more than 8 pawns"),
        ("rnbqkbnr/pppppppp/8/n7/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "more than 16 pieces"),
        ("8/8/8/3kK3/8/8/8/8 w - - 0 1", "side by side"),
        ("4k2P/8/8/8/8/8/8/4K3 w - - 0 1", "a pawn stands on"),
        ("4k3/8/8/8/8/8/8/4K2R w KQ - 0 1", "castling right Q needs its king on e1 and its rook on a1"),
        ("4k3/8/8/8/8/8/4r3/4K3 b - - 0 1", "not to move is in check"),
        ("4k3/8/8/8/8/8/8/4K3 w - e6 0 1", "no pawn can just have passed e6"),
        ("4k3/8/4p3/4p3/8/8/8/4K3 w - e6 0 1", "no pawn can just have passed e6"),
        ("4k3/8/8/4p3/8/8/8/4K3 b - e6 0 1", "no pawn can just have passed e6"),
        (START + " moves e2e5", "'e2e5' is no legal move"),
        (START + " moves Nf3", "'Nf3' is no legal move"),
        (START + " moves f2f3 e7e5 g2g4 d8h4 a2a3", "after 4 of its moves the game is over"),
        (START + " moves g1f3 seen 00", "one digit for each"),
        (START + " moves g1f3 g8f6 seen 02", "before move 1|before move 2"),
        ("", "a FEN has"),
    ],
)
def test_positions_that_are_none(text, why):
    with pytest.raises(ParseError, match="is not a position of chess: .*(" + why + r").*\.$"):
        Chess().parse_state(text)


def test_history_in_text():
    game = Chess(planes="alphazero")
    states = play(game, START, SHUFFLE + "e4 d5 exd5 Qxd5")
    line = game.state_to_string(states[0])
    assert line.endswith(" moves g8f6 f3g1 f6g8 e2e4 d7d5 e4d5 d8d5 seen 0001000")
    assert game.hash(game.parse_state(line)) == game.hash(states)
    assert game.hash(game.parse_state(line.partition(" seen ")[0])) != game.hash(states)
    # Fields are equal too, so that the game goes on in the same way.
    assert game.parse_state(line).tobytes() == states.tobytes()


@pytest.mark.parametrize(
    ("text", "move", "uci"),
    [
        (KIWIPETE, "0-0", "e1g1"),
        (KIWIPETE, "O-O-O!?", "e1c1"),
        (KIWIPETE, "OO", "e1g1"),
        (KIWIPETE, "e1g1", "e1g1"),
        (KIWIPETE, "Ne5xd7", "e5d7"),
        (KIWIPETE, "Ne5-c4", "e5c4"),
        (KIWIPETE, "Nexd7", "e5d7"),
        (KIWIPETE, "Nd7", "e5d7"),
        (KIWIPETE, "de6", "d5e6"),
        (KIWIPETE, " dxe6+?! ", "d5e6"),
        ("4k3/8/8/3pP3/8/8/8/4K3 w - d6 0 2", "exd6 e.p.", "e5d6"),
        ("3rk3/4P3/8/8/8/8/8/4K3 w - - 0 1", "exd8=N", "e7d8n"),
        ("3rk3/4P3/8/8/8/8/8/4K3 w - - 0 1", "ed8Q+", "e7d8q"),
        ("3rk3/4P3/8/8/8/8/8/4K3 w - - 0 1", "exd8(R)", "e7d8r"),
        ("3rk3/4P3/8/8/8/8/8/4K3 w - - 0 1", "e7d8b", "e7d8b"),
    ],
)
def test_loose_moves(text, move, uci):
    game = Chess()
    for fen, wanted in ((text, uci), (mirrored(text), uci.translate(str.maketrans("12345678", "87654321")))):
        state = game.parse_state(fen)[0]
        word = re.sub("[1-8]", lambda rank: str(9 - int(rank[0])), move) if fen != text else move
        assert game.move_to_uci(state, game.parse_action(state, word)) == wanted


@pytest.mark.parametrize(
    ("text", "move", "error", "why"),
    [
        (START, "e5", IllegalActionError, "chess, ply 0: e5 is illegal; legal moves are Nc3, "),
        (START, "hello", ParseError, "write one like e4, Nf3, O-O or g1f3"),
        (START, "E4", ParseError, "write one like"),
        (START, "e2e4q", IllegalActionError, "illegal"),
        (KIWIPETE, "Kg1", IllegalActionError, "Kg1 is illegal"),  # castling is written otherwise
        ("4k3/8/8/8/8/8/8/4K2R w - - 0 1", "O-O", IllegalActionError, "illegal"),
        ("3rk3/4P3/8/8/8/8/8/4K3 w - - 0 1", "exd8", IllegalActionError, "without the piece to promote to"),
        ("4k3/8/8/8/8/5N2/8/1N2K3 w - - 0 1", "Nd2", ParseError, "more than one move"),
        ("7k/5Q2/8/6K1/8/8/8/8 w - - 100 90", "Kg6", IllegalActionError, "the game is over"),
    ],
)
def test_moves_that_are_none(text, move, error, why):
    game = Chess()
    with pytest.raises(error, match=why):
        game.parse_action(game.parse_state(text)[0], move)


def test_which_of_three_queens():
    game = Chess()
    state = game.parse_state("2K5/8/k7/8/4Q2Q/8/8/7Q w - - 0 1")[0]
    moves = ucis(game, state)
    words = [game.action_to_string(state, moves[uci]) for uci in ("h4e1", "e4e1", "h1e1")]
    assert words == ["Qh4e1", "Qee1", "Q1e1"]
    assert [game.parse_action(state, word) for word in words] == [moves[uci] for uci in ("h4e1", "e4e1", "h1e1")]


def test_drawing():
    game = Chess()
    states = play(game, START, "e4 e5 Qh5 Ke7 Qxe5+")
    lines = game.render(states[0]).splitlines()
    assert lines[0] == "   a  b  c  d  e  f  g  h "
    assert lines[4] == "5  .  .  .  . [Q] .  . [.] 5"
    assert lines[-1] == "white wins: checkmate"
    states = play(game, START, "e4 f5 Qh5")
    assert game.render(states[0]).endswith("black to move, in check")
    assert "♛" in game.render(states[0], color=True)


# ---- planes and actions ----------------------------------------------------------------------------------------------


def test_actions_are_alphazeros():
    """Against the definition, spelt out: 73 kinds of moves from each of 64 squares."""
    game = Chess()
    compass = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]  # up, right
    jumps = [(2, 1), (1, 2), (-1, 2), (-2, 1), (-2, -1), (-1, -2), (1, -2), (2, -1)]
    seen = set()
    queens = [("Q7", "8"), ("7Q", "8"), ("8", "Q7"), ("8", "7Q")]
    fens = [*STANDARD, *(f"{top}/3k4/8/8/8/8/3K4/{bottom} w - - 0 1" for top, bottom in queens)]
    fens += ["k6K/8/8/3N4/8/8/8/8 w - - 0 1", "1r1r3k/2P5/8/8/8/8/8/K7 w - - 0 1"]
    for fen in [*fens, *map(mirrored, fens)]:
        state = game.parse_state(fen)[0]
        for uci, action in ucis(game, state).items():
            (column, row), (to_column, to_row) = (("abcdefgh".index(uci[i]), int(uci[i + 1])) for i in (0, 2))
            if state["to_play"] == 1:
                row, to_row = 9 - row, 9 - to_row
            up, right = to_row - row, to_column - column
            if uci[4:] in ("n", "b", "r"):
                kind = 64 + 3 * "nbr".index(uci[4]) + right + 1
            elif (up, right) in jumps:
                kind = 56 + jumps.index((up, right))
            else:
                distance = max(abs(up), abs(right))
                kind = 7 * compass.index((up // distance, right // distance)) + distance - 1
            assert action == KINDS * (8 * (row - 1) + column) + kind
            seen.add(kind)
    assert len(seen) == 73


def reference_planes(history: list, steps: int, compact: bool, clock_limit: int, max_plies: int) -> np.ndarray:
    """What ``observe`` should give for the last of python-chess's boards ``history``, from its interface alone."""
    import chess

    now, planes = history[-1], []
    mover = now.turn

    def squares(mask) -> np.ndarray:
        plane = np.array([[bool(chess.BB_SQUARES[8 * row + column] & mask) for column in range(8)] for row in range(8)])
        return (plane if mover else plane[::-1]).astype(np.float32)

    def flat(value: float) -> np.ndarray:
        return np.full((8, 8), value, dtype=np.float32)

    def key(board) -> tuple:
        return (
            board.board_fen(),
            board.turn,
            board.castling_rights,
            board.ep_square if board.has_legal_en_passant() else None,
        )

    for ago in range(steps):
        if ago >= len(history):
            planes += [flat(0)] * (13 if compact else 14)
            continue
        board = history[-1 - ago]
        planes += [squares(board.pieces_mask(kind, color)) for color in (mover, not mover) for kind in range(1, 7)]
        before = [key(other) for other in history[: len(history) - 1 - ago]].count(key(board))
        planes += [flat(before >= times) for times in ((1,) if compact else (1, 2))]
    if not compact:
        planes += [flat(not mover), flat((now.fullmove_number - 1) / (max_plies / 2))]
    for color in (mover, not mover):
        planes.append(flat(now.has_kingside_castling_rights(color)))
        planes.append(flat(now.has_queenside_castling_rights(color)))
    if compact:
        planes.append(squares(chess.BB_SQUARES[now.ep_square] if now.has_legal_en_passant() else 0))
    clock = now.halfmove_clock // 10 * 10 if compact else now.halfmove_clock
    return np.stack([*planes, flat(clock / clock_limit)])


@pytest.mark.parametrize(
    "options",
    [{}, {"planes": "alphazero"}, {"planes": "alphazero", "claim_draws": False, "history": 3}],
    ids=str,
)
def test_planes(options):
    chess = pytest.importorskip("chess")
    game, rng = Chess(**options), np.random.default_rng(5)
    for fen in ["8/P1p5/8/1P1k4/8/3K2p1/5P1p/8 w - - 0 1", "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", START]:
        states, history, last = game.parse_state(fen), [chess.Board(fen)], ["", ""]
        for _ in range(60):
            planes = game.observe(states)[0]
            wanted = reference_planes(history, game.history, game.compact, game.max_clock, game.spec.max_plies)
            np.testing.assert_array_equal(planes, wanted)
            if states["terminated"][0]:
                break
            moves, seat = ucis(game, states[0]), int(states["to_play"][0])
            back = last[seat][2:4] + last[seat][:2]
            move = back if back in moves and rng.random() < 0.5 else str(rng.choice(list(moves)))
            last[seat] = move
            game.step(states, [moves[move]])
            history.append(history[-1].copy())
            history[-1].push_uci(move)


def test_hash_does_not_tell_sides_apart():
    """Compact planes are of the mover's side alone, so the mirrored position is the same to a network."""
    game = Chess()
    for fen in STANDARD:
        states = np.concatenate([game.parse_state(fen), game.parse_state(mirrored(fen))])
        hashes = game.hash(states)
        assert hashes[0] == hashes[1]
        np.testing.assert_array_equal(*game.observe(states))
        np.testing.assert_array_equal(*game.legal_action_mask(states))


# ---- other implementations -------------------------------------------------------------------------------------------


def reason_of(board, claim_draws: bool) -> int:
    """Why python-chess's ``board`` is over; 0 if it is not."""
    if board.is_checkmate():
        return CHECKMATE
    if board.is_stalemate():
        return STALEMATE
    if board.is_insufficient_material():
        return MATERIAL
    if board.is_repetition(3 if claim_draws else 5):
        return REPETITION
    return PROGRESS if board.halfmove_clock >= (100 if claim_draws else 150) else 0


@pytest.mark.parametrize(("claim_draws", "shuffling"), [(True, 0.0), (True, 0.7), (False, 0.8)])
def test_random_games_as_python_chess_plays_them(claim_draws, shuffling):
    """Legal moves and ends at every ply; text now and then. Shuffling players take moves back, so that positions
    repeat."""
    chess = pytest.importorskip("chess")
    game, rng = Chess(claim_draws=claim_draws), np.random.default_rng(1)
    for _ in range(4):
        states, board, last = game.init(1), chess.Board(), ["", ""]
        while True:
            state = states[0]
            assert state["reason"] == reason_of(board, claim_draws)
            assert state["terminated"] == (state["reason"] != 0)
            if state["terminated"]:
                break
            moves = ucis(game, state)
            assert sorted(moves) == sorted(move.uci() for move in board.legal_moves)
            if state["ply"] % 8 == 0:
                agree_in_text(game, states, board, chess)
            seat = int(state["to_play"])
            back = last[seat][2:4] + last[seat][:2]
            move = back if back in moves and rng.random() < shuffling else str(rng.choice(list(moves)))
            last[seat] = move
            game.step(states, [moves[move]])
            board.push_uci(move)


def agree_in_text(game: Chess, states, board, chess) -> None:
    state = states[0]
    fen, _, moves = game.state_to_string(state).partition(" moves ")
    other = chess.Board(fen)
    for move in moves.split():
        other.push_uci(move)
    assert other.fen() == board.fen()
    again = game.parse_state(game.state_to_string(state))
    again["last_action"] = state["last_action"]
    assert again.tobytes() == states.tobytes()
    for uci, action in ucis(game, state).items():
        san = board.san(chess.Move.from_uci(uci))
        assert game.action_to_string(state, action) == san
        assert game.parse_action(state, san) == game.parse_action(state, uci) == action


def test_changed_texts():
    """Positions with something changed: refused in one sentence, or a position that python-chess also calls valid."""
    chess = pytest.importorskip("chess")
    rng, seeds = np.random.default_rng(4), []
    alphabet = "PNBRQKpnbrqk12345678/ wb-KQkqabcdefgh0123 moves seen\x00é٣\n"
    variants = [Chess(), Chess(planes="alphazero")]
    for game in variants:
        states = game.init(8)
        for _ in range(60):
            mask = game.legal_action_mask(states)
            game.step(states, np.argmax(np.where(mask, rng.random(mask.shape), -1.0), axis=1))
            states[states["terminated"]] = game.init(1)[0]
            seeds.append(game.state_to_string(states[int(rng.integers(8))]))
    accepted, refusals = 0, []
    for number in range(3000):
        game, text = variants[number % 2], list(str(rng.choice(seeds)).partition(" moves ")[0])
        for _ in range(int(rng.integers(1, 3))):
            kind, i, j = int(rng.integers(4)), *(int(k) for k in rng.integers(len(text), size=2))
            if kind == 0:
                text[i] = alphabet[rng.integers(len(alphabet))]
            elif kind == 1:
                text.insert(i, alphabet[rng.integers(len(alphabet))])
            elif kind == 2:
                text[i], text[j] = text[j], text[i]
            else:
                text = list("".join(text).replace(" w ", " x ").replace(" b ", " w ").replace(" x ", " b "))
        changed = "".join(text)
        try:
            state = game.parse_state(changed)[0]
        except ParseError as error:
            refusals.append(str(error))
            continue
        accepted += 1
        placement, side, rights, *rest = changed.split()
        board = chess.Board(" ".join([placement, side, "".join(sorted(rights, key="KQkq-".index)), *rest]))
        assert not board.status() & ~(chess.STATUS_TOO_MANY_CHECKERS | chess.STATUS_IMPOSSIBLE_CHECK)
        assert game.state_to_string(state).split()[:4] == board.fen().split()[:4]
        if not state["terminated"]:
            assert sorted(ucis(game, state)) == sorted(move.uci() for move in board.legal_moves)
    assert accepted > 300
    assert max(len(refusal.splitlines()) for refusal in refusals) == 1
