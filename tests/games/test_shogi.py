"""Shogi against published counts, other implementations, plain Python, and positions made by hand for every rule."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

import games
from games import IllegalActionError, ParseError
from games.perft import divide, perft
from games.sampling import sample_legal
from games.shogi import SIDES, Shogi
from games.shogi_moves import DECLARE
from games.shogi_notation import IN_THE_SET, LETTERS, START, format_usi, parse_usi
from scripts.beside_open_spiel import has_reached_the_camp

pyspiel = pytest.importorskip("pyspiel")

MATSURI = "l6nl/5+P1gk/2np1S3/p1p4Pp/3P2Sp1/1PPb2P1P/P5GS1/R8/LN4bKL w RGgsn5p 1"
MOST_MOVES = "R8/2K1S1SSk/4B4/9/9/9/9/9/1L1L1L3 b RBGSNLP3g3n17p 1"
GAME = Shogi()


def at(text: str, game: Shogi = GAME) -> np.ndarray:
    return game.parse_state(text)


def legal(states: np.ndarray, game: Shogi = GAME) -> set[str]:
    """The legal moves of ``states`` ``[1]`` in USI."""
    actions = np.flatnonzero(game.legal_action_mask(states)[0])
    return {game.action_to_string(states[0], int(action)) for action in actions}


def play(states: np.ndarray, moves: str, game: Shogi = GAME) -> np.ndarray:
    for move in moves.split():
        assert not states["terminated"][0], f"over before {move}"
        game.step(states, [game.parse_action(states[0], move)])
    return states


def turned(sfen: str) -> str:
    """The position with the colours exchanged, seen from the other side."""
    board, side, hands, *rest = sfen.split()
    pieces = re.findall(r"\+?[A-Za-z]|[0-9/]", board)
    return " ".join(["".join(reversed(pieces)).swapcase(), "wb"["bw".index(side)], hands.swapcase(), *rest])


def random_games(game: Shogi, count: int, rng: np.random.Generator, start: str | None = None):
    """Yields the states before each ply of ``count`` random games, the actions, and the states after it."""
    states = game.init(count) if start is None else np.repeat(game.parse_state(start), count)
    while len(states):
        actions = sample_legal(game.legal_action_mask(states), rng)
        after = states.copy()
        game.step_unchecked(after, actions)
        yield states, actions, after
        states = after[~after["terminated"]]


def some_positions(count: int, seed: int) -> np.ndarray:
    """Positions from all stages of random games that are not over."""
    rng = np.random.default_rng(seed)
    plies = [before[rng.random(len(before)) < 0.2] for before, _, _ in random_games(GAME, 16, rng)]
    return rng.permutation(np.concatenate(plies))[:count]


# ---- movement --------------------------------------------------------------------------------------------------------

COUNTS = {
    START: [30, 900, 25_470, 719_731, 19_861_490],
    MATSURI: [207, 28_684, 4_809_015],
    MOST_MOVES: [593, 105_677],
}


@pytest.mark.parametrize("sfen", COUNTS)
def test_perft(sfen):
    for depth, count in enumerate([1, *COUNTS[sfen]]):
        assert perft(GAME, at(sfen), depth) == count
        assert perft(GAME, at(turned(sfen)), depth) == count
    assert sum(divide(GAME, at(sfen), 2).values()) == COUNTS[sfen][1]


@pytest.mark.slow
@pytest.mark.parametrize(("sfen", "depth", "count"), [(START, 6, 547_581_517), (MATSURI, 4, 516_925_165)])
def test_perft_deep(sfen, depth, count):
    assert perft(GAME, at(sfen), depth) == count


@pytest.mark.slow
def test_perft_of_the_position_with_the_most_moves():
    assert perft(GAME, at(MOST_MOVES), 3) == 53_393_368


@pytest.mark.nojit
def test_perft_in_plain_python():
    assert [perft(GAME, GAME.init(2), depth) for depth in (0, 1, 2)] == [2, 60, 1800]
    assert perft(GAME, at(MATSURI), 1) == 207


def test_perft_from_random_positions_is_open_spiels():
    game = pyspiel.load_game("shogi")
    for state in some_positions(60, seed=3):
        theirs = game.new_initial_state(GAME.sfen(state))
        if theirs.is_terminal():  # by its own rule of the entering king
            continue
        children = [theirs.child(action) for action in theirs.legal_actions()]
        assert perft(GAME, np.array([state]), 1) == len(children)
        if not any(child.is_terminal() and has_reached_the_camp(child) for child in children):
            assert perft(GAME, np.array([state]), 2) == sum(len(child.legal_actions()) for child in children)


def random_placement(rng: np.random.Generator) -> str:
    """An SFEN of pieces strewn over the board and the hands, mostly near the kings; not always a legal one."""
    board: list[str] = ["1"] * 81
    squares, hands = rng.permutation(81).tolist(), []
    for king in "Kk":
        board[squares.pop()] = king
    for kind in range(1, 8):
        for _ in range(rng.integers(IN_THE_SET[kind] + 1)):
            letter = LETTERS[kind] if rng.random() < 0.5 else LETTERS[kind].lower()
            if rng.random() < 0.3:
                hands.append(letter)
            elif rng.random() < 0.7:
                promoted = "+" * (kind < 7 and rng.random() < 0.3)
                board[squares.pop()] = promoted + letter
    ranks = "/".join("".join(board[9 * row : 9 * row + 9]) for row in range(9))
    pocket = "".join((str(n) if n > 1 else "") + letter for letter, n in Counter(hands).items())
    return f"{ranks} {rng.choice(['b', 'w'])} {pocket or '-'} 1"


def crowded_placement(rng: np.random.Generator) -> str:
    """An SFEN with many pieces around white's king at the edge and black, a pawn in hand, to move."""
    board = ["1"] * 81
    king = int(rng.integers(18))
    board[king], board[int(rng.integers(63, 81))] = "k", "K"
    held = [IN_THE_SET[kind] for kind in range(9)]
    held[1] -= 1
    for square in range(45):
        apart = max(abs(square // 9 - king // 9), abs(square % 9 - king % 9))
        kind = int(rng.integers(1, 8))
        if square != king and apart <= 3 and held[kind] and rng.random() < (0, 0.5, 0.5, 0.1)[apart]:
            held[kind] -= 1
            letter = "+" * (kind < 7 and rng.random() < 0.3) + LETTERS[kind]
            board[square] = letter if rng.random() < (0, 0.3, 0.8, 0.8)[apart] else letter.lower()
    return f"{'/'.join(''.join(board[9 * row : 9 * row + 9]) for row in range(9))} b P 1"


@pytest.mark.parametrize(("placement", "count", "mates"), [(random_placement, 200, 0), (crowded_placement, 400, 10)])
def test_random_placements_beside_open_spiel(placement, count, mates):
    """Pins, checks from everywhere and pawns that would mate are much more frequent here than in games."""
    rng, oracle = np.random.default_rng(5), pyspiel.load_game("shogi")
    while count > 0:
        try:
            states = at(placement(rng))
        except ParseError:
            continue
        sfen = GAME.sfen(states[0])
        theirs = oracle.new_initial_state(sfen)
        if theirs.is_terminal() and not states["terminated"][0]:
            assert has_reached_the_camp(theirs)
            continue
        moves = {theirs.action_to_string(action) for action in theirs.legal_actions()}
        assert legal(states) == moves, sfen
        assert legal(at(turned(sfen))) == {format_usi(half_turn(parse_usi(move))) for move in moves}
        count -= 1
        mates -= is_there_a_pawn_mate(states, moves)
    assert mates <= 0


def half_turn(move: int) -> int:
    target, source = 80 - (move & 127), move >> 7 & 127
    return target | (source if source > 80 else 80 - source) << 7 | move >> 14 << 14


def is_there_a_pawn_mate(states: np.ndarray, moves: set[str]) -> bool:
    """Whether of all pawn drops on a file just one in front of the other king is missing."""
    position, seat = states["position"][0], int(states["to_play"][0])
    king = int(np.flatnonzero(position["squares"] == 8 + 16 * (1 - seat))[0])
    square = king + (9 if seat == 0 else -9)
    if not position["hands"][seat, 1] or not 0 <= square < 81 or position["squares"][square]:
        return False
    name = format_usi(square | 81 << 7)
    drops = {move for move in moves if move.startswith("P*" + name[2])}
    return not position["in_check"] and len(drops) > 0 and name not in moves


# ---- the special rules, by hand --------------------------------------------------------------------------------------


def test_nifu():
    drops = {f"P*5{rank}" for rank in "bcdefgh"}
    assert not drops & legal(at("4k4/9/9/9/9/9/4P4/9/4K4 b P 1"))
    assert drops - {"P*5b"} <= legal(at("3k5/9/9/9/9/9/4+P4/9/4K4 b P 1")) | {"P*5g"}
    assert "P*4g" in legal(at("4k4/9/9/9/9/9/4P4/9/4K4 b P 1"))
    assert {"P*5e"} <= legal(at("3k5/9/9/9/4p4/9/9/4K4/9 b P 1")) | {"P*5e"}
    assert "P*5f" in legal(at("3k5/9/9/9/4p4/9/9/4K4/9 b P 1"))  # the other's pawn does not matter


def test_pieces_that_could_never_move_again():
    moves = legal(at("4k4/9/9/9/9/9/9/9/4K4 b NLP 1"))
    assert not {"P*9a", "L*9a", "N*9a", "N*9b"} & moves
    assert {"P*9b", "L*9b", "N*9c", "P*9i", "N*9i"} <= moves
    moves = legal(at("4k4/9/9/9/9/9/9/9/4K4 w nlp 1"))
    assert not {"P*9i", "L*9i", "N*9i", "N*9h"} & moves
    assert {"P*9h", "L*9h", "N*9g", "P*9a", "N*9a"} <= moves
    moves = legal(at("9/PL7/2N1S4/3N5/4k4/9/9/9/4K4 b - 1"))
    assert {"9b9a+", "8b8a+", "7c6a+", "7c8a+", "6d5b+", "6d7b+"} <= moves
    assert not {"9b9a", "8b8a", "7c6a", "7c8a", "6d5b", "6d7b"} & moves


def test_promotion_into_within_and_out_of_the_zone():
    moves = legal(at("9/9/4R1S2/4L1S2/9/k8/9/9/K7B b - 1"))
    assert {"5c5a", "5c5a+", "5c9c", "5c9c+"} <= moves  # within
    assert {"3c4d", "3c4d+"} <= moves  # out of it
    assert {"3d4c", "3d4c+", "1i9a", "1i9a+", "1i7c+"} <= moves  # into it
    assert {"3d4e", "1i5e"} <= moves
    assert not {"3d4e+", "1i5e+", "1i6d+"} & moves  # neither


def test_promotion_is_forced_only_where_the_piece_could_never_move():
    moves = legal(at("9/9/9/4L4/9/k8/9/9/K8 b - 1"))
    assert {move for move in moves if move.startswith("5d")} == {"5d5c", "5d5c+", "5d5b", "5d5b+", "5d5a+"}


PAWN_MATE = "8k/9/6NG1/9/9/9/9/9/K8 b P 1"  # P*1b would mate: the gold protects the pawn, the knight sees 2a


def test_uchifuzume():
    assert "P*1b" not in legal(at(PAWN_MATE))
    assert "P*1c" in legal(at(PAWN_MATE))
    with pytest.raises(IllegalActionError, match=r"P\*1b is illegal"):
        GAME.parse_action(at(PAWN_MATE)[0], "P*1b")


@pytest.mark.parametrize(
    "sfen",
    [
        "8k/9/7G1/9/9/9/9/9/K8 b P 1",  # the king goes to 2a
        "8k/9/6N2/9/9/9/9/9/K8 b P 1",  # the king takes the pawn
        "7gk/9/6NG1/9/9/9/9/9/K8 b P 1",  # the gold takes the pawn
        "8k/r8/6NG1/9/9/9/9/9/4K4 b P 1",  # the rook takes it
    ],
)
def test_pawn_drops_that_do_not_mate(sfen):
    assert "P*1b" in legal(at(sfen))
    assert "P*9h" in legal(at(turned(sfen)))


def test_a_pinned_piece_does_not_save_from_a_pawn():
    assert "P*1b" not in legal(at("R6gk/9/6NG1/9/9/9/9/9/K8 b P 1"))


def test_a_pawn_drop_may_close_a_line_of_its_own_side():
    """The rook sees 4b only until the pawn stands on 5b: the king gets away, unless a gold watches 4b as well."""
    assert "P*5b" in legal(at("3lkl3/R8/9/9/9/9/9/9/K8 b P 1"))
    assert "P*5b" not in legal(at("3lkl3/R8/5G3/9/9/9/9/9/K8 b P 1"))


def test_a_pawn_may_mate_by_moving():
    states = play(at("8k/9/6NGP/9/9/9/9/9/K8 b - 1"), "1c1b")
    assert states["terminated"][0]
    assert GAME.returns(states).tolist() == [[1, -1]]
    assert GAME.render(states[0]).endswith("black wins by checkmate")


def test_no_legal_move_loses():
    """A lone king that is not in check but cannot move either; in shogi that is no draw."""
    states = play(at("8k/6G2/9/9/9/8N/9/9/K8 b - 1"), "1f2d")
    assert states["terminated"][0]
    assert not states["position"]["in_check"][0]
    assert GAME.returns(states).tolist() == [[1, -1]]
    assert GAME.render(states[0]).endswith("black wins, white having no legal move")
    assert at("8k/6G2/9/7N1/9/9/9/9/K8 w - 1")["terminated"][0]


SHUFFLE = "2h3h 8b7b 3h2h 7b8b "


def test_sennichite():
    states = play(GAME.init(1), SHUFFLE)
    assert states["repetitions"][0] & 3 == 1
    assert "black to move, the second time" in GAME.render(states[0])
    states = play(states, SHUFFLE + SHUFFLE[:-5])
    assert not states["terminated"][0]
    states = play(states, "7b8b")
    assert states["terminated"][0]
    assert GAME.returns(states).tolist() == [[0, 0]]
    assert GAME.render(states[0]).endswith("draw by fourfold repetition")
    assert perft(GAME, states, 2) == 900  # by the rules of movement the game would go on


def test_hands_are_part_of_a_position():
    """The same board thrice more, but a pawn moved from hand to hand each time: nothing is repeated."""
    states = play(at("k8/9/9/9/9/9/9/9/K8 b 4P4p 1"), "P*5h P*5b 9i9h 9a9b 9h9i 9b9a")
    assert states["repetitions"][0] & 3 == 1
    states = at("4k4/9/9/9/9/9/4p4/4G4/4K4 b 4P 1")
    before = GAME.sfen(states[0])
    play(states, "5h5g 5a4a 5g5h 4a5a")
    assert before.split()[0] != GAME.sfen(states[0]).split()[0]
    assert states["repetitions"][0] & 3 == 0


CHECKS = "1i2i 2a1a 2i1i 1a2a "


def test_perpetual_check_loses():
    start = "7k1/9/9/9/9/9/9/9/K7R b - 1"  # the escape repeats the position
    states = play(at(start), CHECKS * 3)
    assert states["terminated"][0]
    assert GAME.returns(states).tolist() == [[-1, 1]]
    assert GAME.render(states[0]).endswith("white wins, black having given perpetual check")
    states = play(at("8k/9/9/9/9/9/9/9/K3R4 b - 1"), "5i1i 1a2a " + CHECKS * 2 + "1i2i 2a1a 2i1i")  # the check does
    assert states["terminated"][0]
    assert GAME.returns(states).tolist() == [[-1, 1]]
    states = play(at(turned(start)), "9a8a 8i9i 8a9a 9i8i " * 3)
    assert states["terminated"][0]
    assert GAME.returns(states).tolist() == [[1, -1]]


def test_checks_must_not_pause_for_that():
    pause = "1i1h 2a2b 1h1i 2b2a "
    states = play(at("7k1/9/9/9/9/9/9/9/K7R b - 1"), pause + CHECKS * 2)
    assert states["terminated"][0]
    assert GAME.returns(states).tolist() == [[0, 0]]
    states = play(at("8k/9/9/9/9/9/9/9/K3R4 b - 1"), "5i1i 1a2a 1i5i 2a1a " * 3)
    assert states["terminated"][0]
    assert GAME.returns(states).tolist() == [[0, 0]]


def test_repetition_is_what_a_plain_count_says():
    """Few pieces and a liking for positions seen before, so that everything recurs all the time."""
    rng, endings = np.random.default_rng(0), Counter()
    for start in ("7k1/9/9/9/9/9/9/9/K7R b - 1", "k8/1g7/9/9/9/9/9/7G1/8K b - 1", "4k4/4p4/9/9/9/9/9/4G4/4K4 b - 1"):
        for _ in range(60):
            states, checks, seen = at(start), ([], []), [at_key(at(start))]
            known = set(states["position"]["key"].tolist())
            while not states["terminated"][0] and len(seen) < 120:
                mover = int(states["to_play"][0])
                actions = np.flatnonzero(GAME.legal_action_mask(states)[0])
                after = np.repeat(states, len(actions))
                GAME.step_unchecked(after, actions)
                weights = np.where(np.isin(after["position"]["key"], list(known)), 30.0, 1.0)
                weights[after["position"]["in_check"]] *= 30
                states = after[[rng.choice(len(after), p=weights / weights.sum())]]
                known.add(int(states["position"]["key"][0]))
                checks[mover].append(bool(states["position"]["in_check"][0]))
                seen.append(at_key(states))
                times = [ply for ply, other in enumerate(seen[:-1]) if other == seen[-1]]
                assert states["repetitions"][0] & 3 == len(times)
                if len(times) == 3:
                    moves = (len(seen) - 1 - times[0]) // 2  # of each since the first time
                    perpetual = [len(own) >= moves and all(own[len(own) - moves :]) for own in checks]
                    loser = perpetual.index(True) if sum(perpetual) == 1 else None
                    assert states["terminated"][0]
                    assert GAME.returns(states)[0].tolist() == ([0, 0] if loser is None else [[-1, 1], [1, -1]][loser])
                    endings["draw" if loser is None else f"{SIDES[loser]} checked"] += 1
    assert endings["draw"] > 5
    assert endings["black checked"] > 5


def at_key(states: np.ndarray) -> str:
    """What must be the same for a position to be repeated."""
    return GAME.sfen(states[0]).rsplit(" ", 1)[0]


def test_the_longest_game():
    game = Shogi(max_plies=6)
    states = play(game.init(1), "7g7f 3c3d 2g2f 8c8d 2f2e", game)
    assert not states["terminated"][0]
    play(states, "8d8e", game)
    assert states["terminated"][0]
    assert game.returns(states).tolist() == [[0, 0]]
    assert game.render(states[0]).endswith("draw after 6 plies")
    states = play(game.parse_state("8k/9/6NGP/9/9/9/9/9/K8 b - 6"), "1c1b", game)
    assert game.returns(states).tolist() == [[1, -1]]  # a mate counts, however late
    with pytest.raises(ParseError, match="at move 7, and games end after 6"):
        game.parse_state("8k/9/6NGP/9/9/9/9/9/K8 b - 7")


IN_CAMP = "+R+R+B+BGGGG1/SSSSK4/9/9/9/9/9/9/4k4 b - 1"  # 20 points for large pieces and 8 for small ones


@pytest.mark.parametrize(
    ("sfen", "may"),
    [
        (IN_CAMP, True),
        (turned(IN_CAMP), True),
        (IN_CAMP.replace("SSSSK", "SSS1K"), False),  # 27 points
        (turned(IN_CAMP.replace("SSSSK", "SSS1K")), True),  # which are enough for white
        (turned(IN_CAMP.replace("SSSSK", "SS2K")), False),
        (IN_CAMP.replace("SSSSK", "SSS1K").replace(" - ", " S "), True),  # those in hand count
        ("+R+R+B+BGGGG1/S3K4/9/9/9/9/9/9/4k4 b 9P 1", False),  # nine pieces in the zone are too few
        ("+R+R+B+BGGGG1/SS2K4/9/9/9/9/9/9/4k4 b 9P 1", True),
        ("+R+R+B+BGGGG1/SSSS5/9/4K4/9/9/9/9/4k4 b P 1", False),  # the king is outside
        ("+R+R+B+BGGGG1/SSSSK4/9/9/4l4/9/9/9/4k4 b P 1", True),
        ("+R+R+B+BGGGG1/SSSSK4/9/9/9/9/4l4/9/4k4 w P 1", False),
    ],
)
def test_declaration(sfen, may):
    game = Shogi(declaration=True)
    states = game.parse_state(sfen)
    assert game.legal_action_mask(states)[0, DECLARE] == may
    assert GAME.legal_action_mask(at(sfen)).shape[1] == DECLARE
    if may:
        seat = int(states["to_play"][0])
        play(states, "win", game)
        assert states["terminated"][0]
        assert game.returns(states)[0, seat] == 1
        assert game.render(states[0]).endswith(f"{SIDES[seat]} wins by declaration")
        line = game.state_to_string(states[0])
        assert line.endswith(" moves win")
        assert game.parse_state(line)[0] == states[0]
    else:
        with pytest.raises(IllegalActionError, match="win is illegal"):
            game.parse_action(states[0], "win")


def test_no_declaration_in_check_or_without_the_rule():
    game = Shogi(declaration=True)
    states = game.parse_state("+R+R+B+BpGGGG/SSSSK4/9/9/9/9/9/9/4k4 b P 1")
    assert states["position"]["in_check"][0]
    assert not game.legal_action_mask(states)[0, DECLARE]
    with pytest.raises(ParseError, match="is not a move in shogi"):
        GAME.parse_action(at(IN_CAMP)[0], "win")


# ---- states ----------------------------------------------------------------------------------------------------------


def test_everything_kept_up_move_by_move_is_what_a_fresh_start_gives():
    for before, _, after in random_games(GAME, 8, np.random.default_rng(1)):
        del before
        for state in after[~after["terminated"]][:2]:
            position, fresh = state["position"], at(GAME.sfen(state))["position"][0]
            for field in ("key", "kinds", "occupied", "squares", "hands", "in_check"):
                assert np.array_equal(position[field], fresh[field]), field


def slow_planes(history: list[np.void], steps: int, max_plies: int) -> np.ndarray:
    """The planes of the last of ``history``, the states of all plies of a game, from the module's table."""
    state, planes = history[-1], np.zeros((45 * steps + 2, 81), dtype=np.float32)
    seat = int(state["to_play"])
    keys = [(GAME.sfen(other).rsplit(" ", 1)[0]) for other in history]
    for step in range(min(steps, len(history))):
        position, present = history[-1 - step]["position"], len(history) - 1 - step
        for square, piece in enumerate(position["squares"].tolist()):
            if piece:
                plane = 45 * step + piece % 16 - 1 + (14 if piece // 16 != seat else 0)
                planes[plane, 80 - square if seat else square] = 1
        for times in range(keys[:present].count(keys[present])):
            planes[45 * step + 28 + times] = 1
        for side in (0, 1):
            for kind in range(1, 8):
                held = position["hands"][seat ^ side, kind]
                planes[45 * step + 30 + 7 * side + kind] = held / IN_THE_SET[kind]
    planes[-2:] = [[seat], [int(state["ply"]) / max_plies]]
    return planes.reshape(-1, 9, 9)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_planes(steps):
    game, rng = Shogi(history=steps), np.random.default_rng(steps)
    for start in (START, "7k1/9/9/9/9/9/9/9/K7R b - 1"):
        states, history = game.parse_state(start), []
        for _ in range(90):
            history.append(states[0].copy())
            np.testing.assert_array_equal(game.observe(states)[0], slow_planes(history, steps, 512))
            if states["terminated"][0]:
                break
            game.step_unchecked(states, sample_legal(game.legal_action_mask(states), rng))


def test_planes_and_actions_are_those_of_alphazero():
    assert Shogi(history=8).spec.observation_shape == (362, 9, 9)
    assert GAME.spec.observation_shape == (47, 9, 9)
    assert GAME.spec.num_actions == 11_259
    assert GAME.dtype.itemsize == 2440
    states = GAME.init(1)
    moves = {"7g7f": (0, 6, 2), "2h7h": (6 * 8 + 4, 7, 7), "8h9g": None, "9i9h": (0, 8, 0), "4i5h": (7 * 8, 8, 5)}
    for move, place in moves.items():
        if place is None:
            assert move not in legal(states)
        else:
            plane, row, column = place
            assert GAME.parse_action(states[0], move) == 81 * plane + 9 * row + column


@pytest.mark.nojit
def test_white_sees_the_board_as_black_does():
    rng = np.random.default_rng(6)
    for sfen in (START, MATSURI, MOST_MOVES, PAWN_MATE):
        states, images = at(sfen), at(turned(sfen))
        for _ in range(20):
            ours, theirs = GAME.observe(states)[0], GAME.observe(images)[0]
            assert np.array_equal(ours[:45], theirs[:45])
            assert np.array_equal(ours[46:], theirs[46:])
            mask = GAME.legal_action_mask(states)
            assert np.array_equal(mask, GAME.legal_action_mask(images))
            if states["terminated"][0]:
                break
            action = rng.choice(np.flatnonzero(mask[0]))
            GAME.step(states, [action])
            GAME.step(images, [action])


@pytest.mark.parametrize("options", [{"history": 8}, {"declaration": True}, {"max_plies": 90, "history": 2}])
def test_contract_of_the_options(options, monkeypatch):
    monkeypatch.setattr("games.check._POSITIONS", 48)  # or the planes of all children fill gigabytes
    games.check_game(Shogi(**options), num_games=4)


@pytest.mark.parametrize("options", [{"history": 0}, {"history": 9}, {"max_plies": 1}, {"max_plies": 40_000}])
def test_options_out_of_range(options):
    with pytest.raises(games.UnsupportedError, match=r"shogi: \w+ is \d+; it must be"):
        games.make("shogi", **options)


# ---- text ------------------------------------------------------------------------------------------------------------


def test_text_of_a_game():
    states = play(GAME.init(1), "7g7f 3c3d 8h2b+ 3a2b b@4e")
    line = GAME.state_to_string(states[0])
    assert line == f"{START} moves 7g7f 3c3d 8h2b+ 3a2b B*4e"
    assert GAME.sfen(states[0]) == "lnsgkg1nl/1r5s1/pppppp1pp/6p2/5B3/2P6/PP1PPPPPP/7R1/LNSGKGSNL w b 6"
    for text in (line, f"sfen {line}", f"position sfen {line}", line.replace(START, "startpos")):
        assert at(text)[0] == states[0]
    assert "[ B]" in GAME.render(states[0])
    assert "white in hand: b" in GAME.render(states[0])
    assert "\x1b[97m角" in GAME.render(states[0], color=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "give the rows"),
        (START.replace(" b ", " x "), "give the rows"),
        (START + " 7g7f", "give the rows"),
        (START.replace("/9/", "/", 1), "8 rows"),
        (START.replace("/9/", "/8/", 1), "rank d has 8 squares"),
        (START.replace("/9/", "/91/", 1), "rank d has 10 squares"),
        (START.replace("/9/", "/0/", 1), "rank d is not made of"),
        (START.replace("/9/", "/4+K4/", 1), "rank d is not made of"),
        (START.replace("/9/", "/4+G4/", 1), "rank d is not made of"),
        (START.replace(" - ", " P "), "there are 19 pawns, more than the 18 of a set"),
        (START.replace(" - ", " 2x "), "the pieces in hand"),
        (START.replace(" - ", " K "), "the pieces in hand"),
        (START.replace(" - ", " 0P "), "count below 2"),
        ("4k4/9/9/9/9/9/9/9/4K4 b 1P 1", "count below 2"),
        ("4k4/9/9/9/9/9/9/9/4K4 b PP 1", "stands twice"),
        ("4k4/9/9/9/9/9/9/9/4K4 b 99P 1", "99 pawns in hand"),
        (START.replace("k", "1"), "white has 0 kings"),
        ("4k4/9/9/9/9/9/9/4K4/4K4 b - 1", "black has 2 kings"),
        ("4k4/9/4P4/9/9/9/4P4/9/4K4 b - 1", "black has two unpromoted pawns"),
        ("P3k4/9/9/9/9/9/9/9/4K4 b - 1", "could never move"),
        ("4k4/N8/9/9/9/9/9/9/4K4 b - 1", "could never move"),
        ("4k4/9/9/9/9/9/9/9/4K3l b - 1", "could never move"),
        ("4k4/9/9/9/4R4/9/9/9/4K4 b - 1", "black is to move and could capture the king"),
        (START[:-1] + "0", "number of the move"),
        (START[:-1] + "513", "games end after 512"),
        (START + " moves 7g7e", "move 1 of those after it: shogi, ply 0: 7g7e is illegal"),
        (START + " moves 7g7f 0000", "move 2 of those after it: '0000' is not a move"),
        (START + " moves " + SHUFFLE * 4, "the game is over"),
    ],
)
def test_texts_that_are_no_positions(text, reason):
    with pytest.raises(ParseError, match="is not a position of shogi: ") as caught:
        at(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["7g", "7g7f++", "0g7f", "7g7j", "K*5e", "+P*5e", "P*5", "", "resign", "７ｇ７ｆ"])
def test_texts_that_are_no_moves(text):
    with pytest.raises(ParseError, match="type one such as 7g7f, 8h2b"):
        GAME.parse_action(GAME.init(1)[0], text)


def test_moves_written_otherwise():
    states = at(MATSURI)
    for text, move in {" 9A8A ": None, "g*5e": "G*5e", "G@5E": "G*5e", "6f5g=": "6f5g", "6F5G+": "6f5g+"}.items():
        if move:
            assert GAME.parse_action(states[0], text) == GAME.parse_action(states[0], move)
    with pytest.raises(IllegalActionError, match=r"ply 0: 7g7e is illegal; legal moves are .*, …\.$"):
        GAME.parse_action(GAME.init(1)[0], "7g7e")


LETTERS_TO_MIX = "PLNSBRGKplnsbrgk+/123456789bw- *abcdefghi0\t歩"


def mutated(text: str, rng: np.random.Generator) -> str:
    letters = list(text)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(letters)))
        other = LETTERS_TO_MIX[rng.integers(len(LETTERS_TO_MIX))]
        kind = rng.integers(4)
        if kind == 0:
            letters[place] = other
        elif kind == 1:
            letters.insert(place, other)
        elif kind == 2 and len(letters) > 1:
            del letters[place]
        else:
            swap = int(rng.integers(len(letters)))
            letters[place], letters[swap] = letters[swap], letters[place]
    return "".join(letters)


def fuzz(count: int, seed: int) -> Counter[bool | str]:
    """How many mutated texts were refused (False) and accepted (True), which are then valid states."""
    rng, outcomes = np.random.default_rng(seed), Counter()
    texts = [GAME.sfen(state) for state in some_positions(60, seed)] + [START, MATSURI, MOST_MOVES, PAWN_MATE]
    texts += [f"{START} moves 7g7f 3c3d 8h2b+ 3a2b B*4e", "startpos moves 7g7f"]
    for _ in range(count):
        text = mutated(texts[rng.integers(len(texts))], rng)
        try:
            states = at(text)
        except ParseError as error:
            outcomes[re.fullmatch(".* is not a position of shogi: .*[.]", str(error)) is None and "unclear"] += 1
            continue
        outcomes[True] += 1
        squares, hands = states["position"]["squares"][0], states["position"]["hands"][0]
        assert sorted(squares[squares % 16 == 8].tolist()) == [8, 24]
        counts = np.bincount(np.where(squares % 16 > 8, squares % 16 - 8, squares % 16), minlength=9)
        assert (counts[1:8] + hands[:, 1:].sum(axis=0) <= IN_THE_SET[1:8]).all()
        assert at(GAME.state_to_string(states[0]))[0] == states[0]
        assert GAME.legal_action_mask(states).any() != states["terminated"][0]
    return outcomes


def test_mutated_texts():
    outcomes = fuzz(3000, seed=9)
    assert outcomes.keys() == {False, True}
    assert min(outcomes.values()) > 60


@pytest.mark.slow
def test_many_mutated_texts():
    assert fuzz(30_000, seed=10).keys() == {False, True}


def test_a_game_between_other_programs_is_legal():
    """python-shogi and cshogi, where installed, find the same moves in every position of some random games."""
    shogi = pytest.importorskip("shogi")
    for (_, actions, after), (following, _, _) in pairwise(random_games(GAME, 2, np.random.default_rng(2))):
        del actions, after
        for state in following:
            board = shogi.Board(GAME.sfen(state))
            assert legal(np.array([state])) == {move.usi() for move in board.legal_moves}
