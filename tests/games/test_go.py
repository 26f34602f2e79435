"""Go against a slow and plain reference, all earlier positions of a game and OpenSpiel; and in positions that are known
to be hard: kos, superkos, snapbacks, sekis and suicides."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

import games
from games import ArenaError, IllegalActionError, ParseError
from games.go import (
    SIZES,
    Go,
    action_to_point,
    action_to_sgf,
    point_to_action,
    sgf_to_action,
)

KOS = ["positional", "situational", "simple"]
Board = dict[tuple[int, int], int]  # the seat whose stone is on a point


class PlainGo:
    """The rules as they are told, with the whole past kept."""

    def __init__(self, game: Go, ko: str, suicide: bool) -> None:
        self.size, self.ko, self.suicide = game.size, ko, suicide
        self.max_plies = game.spec.max_plies
        self.board: Board = {}
        self.to_play = self.passes = self.ply = 0
        self.past: list[tuple[frozenset, int]] = [(frozenset(), 0)]

    def beside(self, point: tuple[int, int]) -> Iterable[tuple[int, int]]:
        for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            row, column = point[0] + down, point[1] + right
            if 0 <= row < self.size and 0 <= column < self.size:
                yield row, column

    def joined(self, board: Board, point: tuple[int, int]) -> tuple[set, set]:
        """The chain, or the empty region, of the point, and the points beside it."""
        region, edge, todo = {point}, set(), [point]
        while todo:
            for other in self.beside(todo.pop()):
                if board.get(other) != board.get(point):
                    edge.add(other)
                elif other not in region:
                    region.add(other)
                    todo.append(other)
        return region, edge

    def liberties(self, board: Board, point: tuple[int, int]) -> int:
        return len(self.joined(board, point)[1] - board.keys())

    def after(self, action: int) -> Board | None:
        """The board after a move; None if it is a suicide that is not allowed."""
        point = divmod(action, self.size)
        board = self.board | {point: self.to_play}
        for other in (*self.beside(point), point):  # the other's chains first
            is_own = other == point
            if (is_own or board.get(other) == 1 - self.to_play) and not self.liberties(board, other):
                if is_own and not self.suicide:
                    return None
                for dead in self.joined(board, other)[0]:
                    del board[dead]
        return board

    def may_become(self, board: Board) -> bool:
        position = frozenset(board.items())
        if self.ko == "positional":
            return all(position != earlier for earlier, _ in self.past)
        if self.ko == "situational":
            return (position, 1 - self.to_play) not in self.past
        return len(self.past) < 2 or position != self.past[-2][0] or position == self.past[-1][0]

    def is_over(self) -> bool:
        return self.passes == 2 or self.ply == self.max_plies

    def legal(self) -> np.ndarray:
        mask = np.full(self.size**2 + 1, not self.is_over())
        for action in range(self.size**2):
            taken = divmod(action, self.size) in self.board
            board = None if taken or self.is_over() else self.after(action)
            mask[action] = board is not None and self.may_become(board)
        return mask

    def play(self, action: int) -> None:
        is_pass = action == self.size**2
        board = self.board if is_pass else self.after(action)
        assert board is not None
        self.board, self.passes = board, self.passes + 1 if is_pass else 0
        self.to_play, self.ply = 1 - self.to_play, self.ply + 1
        self.past.append((frozenset(board.items()), self.to_play))

    def area(self) -> list[int]:
        area = [list(self.board.values()).count(seat) for seat in (0, 1)]
        left = {divmod(cell, self.size) for cell in range(self.size**2)} - self.board.keys()
        while left:
            region, edge = self.joined(self.board, left.pop())
            left -= region
            owners = {self.board[point] for point in edge}
            if len(owners) == 1:
                area[owners.pop()] += len(region)
        return area


def board_of(game: Go, state: np.void) -> Board:
    return {divmod(int(cell), game.size): int(seat) for cell, seat in enumerate(cells_of(game, state)) if seat >= 0}


def cells_of(game: Go, state: np.void) -> np.ndarray:
    return game._board(state["boards"]).ravel()


def play(game: Go, text: str, states: np.ndarray | None = None) -> np.ndarray:
    """The state after the moves of ``text``, as players write them, from the start or from ``states``."""
    states = game.init(1) if states is None else states.copy()
    for move in text.split():
        game.step(states, [game.parse_action(states[0], move)])
    return states


def set_up(game: Go, *rows: str, to_play: str = "x") -> np.ndarray:
    """A position as it is drawn, which is where the game begins."""
    states, cells = game.init(1), list("".join(rows))
    placed = ([cell for cell, mark in enumerate(cells) if mark == stone] for stone in "xo")
    game.place(states, *placed, to_play="xo".index(to_play))
    return states


def may(game: Go, states: np.ndarray, move: str) -> bool:
    return bool(game.legal_action_mask(states)[0, point_to_action(move, game.size)])


def random_steps(game: Go, states: np.ndarray, rng: np.random.Generator, weights: np.ndarray | None = None) -> None:
    """One random legal move in every game that is not over, drawn with ``weights`` ``[B, A]``."""
    mask = game.legal_action_mask(states)
    times = rng.exponential(size=mask.shape) / (1 if weights is None else weights)  # the smallest is drawn
    live = np.flatnonzero(~states["terminated"])
    stepped = states[live]
    game.step(stepped, np.argmin(np.where(mask, times, np.inf), axis=1)[live])
    states[live] = stepped


# ---- the rules against plain ones ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suicide", [False, True])
@pytest.mark.parametrize("ko", KOS)
@pytest.mark.parametrize(("size", "num_games", "max_plies"), [(5, 8, 110), (7, 2, 160)])
def test_random_games_go_as_the_plain_rules_have_it(size, num_games, max_plies, ko, suicide):
    game = Go(f"go_{size}x{size}", ko=ko, suicide=suicide, max_plies=max_plies)
    rng, states = np.random.default_rng(size), game.init(num_games)
    plain = [PlainGo(game, ko, suicide) for _ in range(num_games)]
    weights = np.ones((num_games, size**2 + 1))
    weights[:, -1] = 0.3  # fewer passes, longer games
    while not states["terminated"].all():
        mask, before = game.legal_action_mask(states), states.copy()
        for row, rules in enumerate(plain):
            np.testing.assert_array_equal(mask[row], rules.legal())
        random_steps(game, states, rng, weights)
        for row in np.flatnonzero(~before["terminated"]):
            plain[row].play(int(states["last_action"][row]))
            assert board_of(game, states[row]) == plain[row].board
            assert states["to_play"][row] == plain[row].to_play
            assert states["terminated"][row] == plain[row].is_over()
        assert game.area(states).tolist() == [rules.area() for rules in plain]
    assert (game.score(states) == [first - second - 7.5 for first, second in game.area(states)]).all()
    assert game.returns(states)[:, 0].tolist() == np.sign(game.score(states)).tolist()


def check_repetition(game: Go, ko: str, suicide: bool, states: np.ndarray, rng: np.random.Generator, plies: int) -> int:
    """Plays games in which much is taken, and holds every mask to what every move would lead to and every earlier
    position. Returns how many moves were illegal that simple ko allows."""
    pasts: list[list[tuple[bytes, int]]] = [[] for _ in states]
    forbidden = 0
    for _ in range(plies):
        for state, past in zip(states, pasts, strict=True):
            past.append((state["boards"][:2].tobytes(), int(state["to_play"])))
        mask, is_empty = game.legal_action_mask(states), np.array([cells_of(game, state) < 0 for state in states])
        rows, actions = np.nonzero(is_empty & ~states["terminated"][:, None])
        children = states[rows]
        game.step_unchecked(children, actions)  # the move as such is played even if it is illegal
        stones = np.bitwise_count(children["boards"][:, :2]).sum(axis=(1, 2), dtype=np.int64)
        stones -= np.bitwise_count(states["boards"][:, :2]).sum(axis=(1, 2), dtype=np.int64)[rows]
        weights = np.full(mask.shape, 0.02)
        weights[rows, actions] = np.where(stones < 1, 1000.0, 1.0)
        points = game._tables.points[actions] - 64
        word = children["boards"][np.arange(len(rows)), states["to_play"][rows], points >> 6]
        lives = (word >> (points & 63).astype(np.uint64)) & np.uint64(1) > 0
        for row, action, child, alive in zip(rows, actions, children, lives, strict=True):
            board, past = child["boards"][:2].tobytes(), pasts[row]
            simple = len(past) > 1 and board == past[-2][0] != past[-1][0]
            if ko == "simple":
                repeats = simple
            else:
                repeats = any(board == b and (ko == "positional" or child["to_play"] == mover) for b, mover in past)
            assert mask[row, action] == ((alive or suicide) and not repeats), game.state_to_string(states[row])
            forbidden += bool(alive and repeats and not simple)
        random_steps(game, states, rng, weights)
    return forbidden


WALL, X_TAKES, O_TAKES = "..xxoo...", "..xo.o...", "..x.xo..."
THREE_KOS = (WALL, X_TAKES, WALL, O_TAKES, WALL, X_TAKES, WALL, WALL, WALL)


@pytest.mark.parametrize("suicide", [False, True])
@pytest.mark.parametrize("ko", KOS)
def test_a_move_is_illegal_just_if_it_repeats(ko, suicide):
    game, rng = Go("go_5x5", ko=ko, suicide=suicide, max_plies=200), np.random.default_rng(0)
    forbidden = check_repetition(game, ko, suicide, game.init(60), rng, 100)
    game = Go("go_9x9", ko=ko, suicide=suicide)
    of_three = check_repetition(game, ko, suicide, np.repeat(set_up(game, *THREE_KOS), 20), rng, 40)
    assert forbidden > 0 if ko == "positional" or (ko == "situational" and suicide) else forbidden >= 0
    assert (of_three > 40) == (ko != "simple")


@pytest.mark.parametrize("size", [5, 9, 15, 19])
def test_what_a_state_keeps_is_what_its_stones_say(size):
    """Atari, keys and legal moves are carried from ply to ply; here they are found from the stones alone."""
    game, rng = Go(f"go_{size}x{size}", ko="simple"), np.random.default_rng(1)
    states = game.init(20)
    for ply in range(2 * size**2 - 1):
        random_steps(game, states, rng)
        if ply % size:
            continue
        for state in states:
            again, cells = game.init(1), cells_of(game, state)
            placed = (np.flatnonzero(cells == seat) for seat in (0, 1))
            game.place(again, *placed, to_play=int(state["to_play"]))
            np.testing.assert_array_equal(again["boards"][0, :3], state["boards"][:3])
            np.testing.assert_array_equal(again["key"][0], state["key"])
            banned = game.legal_action_mask(again)[0] & ~game.legal_action_mask(np.array([state]))[0]
            assert banned.sum() <= 1 or state["terminated"]  # by ko


# ---- positions -------------------------------------------------------------------------------------------------------


@pytest.mark.nojit
@pytest.mark.parametrize("ko", KOS)
def test_ko(ko):
    game = Go("go_5x5", ko=ko)
    states = set_up(game, ".xo..", "xo.o.", ".xo..", ".....", ".....")
    states = play(game, "C4", states)
    assert not may(game, states, "B4")
    with pytest.raises(IllegalActionError, match=r"go_5x5, ply 1: B4 is illegal \(ko"):
        game.parse_action(states[0], "b4")
    states = play(game, "E1 D1", states)  # elsewhere, and the answer
    assert may(game, states, "B4")
    states = play(game, "B4", states)
    assert not may(game, states, "C4")
    assert "X has taken 1, O has taken 1" in game.render(states[0])


@pytest.mark.nojit
@pytest.mark.parametrize("ko", KOS)
def test_three_kos(ko):
    game = Go("go_9x9", ko=ko)
    states = play(game, "E8 D6 E4 D8 E6", set_up(game, *THREE_KOS))
    assert may(game, states, "D4") == (ko == "simple")
    if ko == "simple":
        states = play(game, "D4 E8 D6 E4 D8 E6 D4", states)  # and so on, up to the last ply
    else:
        states = play(game, "J9 J1", states)  # the whole board is another one now
        assert may(game, states, "D4")


@pytest.mark.nojit
@pytest.mark.parametrize("ko", KOS)
def test_sending_two_returning_one(ko):
    game = Go("go_5x5", ko=ko)
    states = play(game, "A5 C5", set_up(game, ".o.oo", "xxoo.", ".xxoo", "..xxo", "...x.", to_play="o"))
    assert may(game, states, "B5") == (ko != "positional")  # the board as set up, but with x to move
    if ko != "positional":
        states = play(game, "B5 pass", states)
        assert may(game, states, "A5") == (ko == "simple")  # the same board, and x to move as then


@pytest.mark.nojit
def test_a_snapback_is_no_ko():
    game = Go("go_5x5")
    states = play(game, "C5 B5 C5", set_up(game, "x..ox", "xooox", ".xxx.", ".....", "....."))
    assert game.area(states).tolist() == [[25, 0]]
    assert "X has taken 5, O has taken 1" in game.render(states[0])


@pytest.mark.nojit
def test_seki():
    """Two chains live by two liberties that they share; whoever fills one is taken. Those points are nobody's."""
    game = Go("go_7x7", komi=5)
    states = set_up(game, ".ox.ox.", *[".oxxox."] * 5, ".ox.ox.")
    assert game.area(states).tolist() == [[26, 21]]
    assert game.result(play(game, "pass pass", states)[0]) == "0"  # black's lead is komi
    assert game.returns(play(game, "pass pass", states)).tolist() == [[0.0, 0.0]]
    assert game.area(play(game, "D7 D1", states)).tolist() == [[14, 35]]
    assert game.area(play(game, "pass D7 D1", states)).tolist() == [[49 - 14, 14]]


@pytest.mark.nojit
def test_suicide():
    rows = (".xo..", "xxo..", "ooo..", ".....", ".....")
    game, free = Go("go_5x5"), Go("go_5x5", suicide=True)
    assert not may(game, set_up(game, *rows), "A5")
    with pytest.raises(IllegalActionError, match="suicide"):
        game.parse_action(set_up(game, *rows)[0], "A5")
    assert may(game, set_up(game, *rows, to_play="o"), "A5")  # it takes three
    states = play(free, "A5", set_up(free, *rows))
    assert free.area(states).tolist() == [[0, 25]]
    assert "O has taken 4" in free.render(states[0])
    alone = (".o...", "o....", ".....", ".....", "....x")
    for ko, legal in (("positional", False), ("situational", True), ("simple", True)):
        free = Go("go_5x5", suicide=True, ko=ko)
        states = set_up(free, *alone)
        assert may(free, states, "A5") == legal  # nothing changes but who moves
        if legal:
            assert may(free, play(free, "A5 pass", states), "A5") == (ko == "simple")


@pytest.mark.nojit
def test_the_end():
    game = Go("go_9x9")
    states = play(game, "E5 pass pass")
    assert states["terminated"][0]
    assert not game.legal_action_mask(states).any()
    assert game.returns(states).tolist() == [[1.0, -1.0]]
    assert "B+73.5: X 81, O 0 + 7.5" in game.render(states[0])
    assert game.result(play(game, "pass pass")[0]) == "W+7.5"
    with pytest.raises(IllegalActionError, match="the game is over"):
        game.parse_action(states[0], "pass")
    short = Go("go_9x9", max_plies=3)
    assert play(short, "E5 pass D4")["terminated"][0]
    before = states.copy()
    game.step_unchecked(states, np.array([3]))  # nothing is written where there is no record
    assert states.tobytes() == before.tobytes()


# ---- stones that are there before the first move ---------------------------------------------------------------------


@pytest.mark.nojit
def test_handicap():
    game = Go("go_19x19")
    states = game.init(2)
    game.place(states, [point_to_action(point, 19) for point in ("D4", "Q16")], to_play=1)
    assert states["ply"].tolist() == [0, 0]
    assert states["to_play"].tolist() == [1, 1]
    assert not may(game, states[:1], "D4")
    assert game.score(states).tolist() == [361 - 7.5] * 2
    text = game.state_to_string(play(game, "C3", states[:1])[0])
    assert text.endswith(" x after C3 from 19/19/19/15x3/19/19/19/19/19/19/19/19/19/19/19/3x15/19/19/19 o")
    assert game.state_to_string(game.parse_state(text)[0]) == text


@pytest.mark.parametrize(
    ("black", "white", "to_play", "why"),
    [
        ([0], [0], 0, "given twice"),
        ([81], [], 0, "not within 0 to 80"),
        ([-1], [], 0, "not within 0 to 80"),
        ([0], [1, 9], 0, "no liberty"),
        ([0], [], 2, "to_play is 2"),
        ([40], [], 0, "is taken"),
    ],
)
def test_stones_that_cannot_be_placed(black, white, to_play, why):
    game = Go("go_9x9")
    states = game.init(1)
    game.place(states, [40])
    before = states.copy()
    with pytest.raises(IllegalActionError, match=why):
        game.place(states, black, white, to_play)
    assert states.tobytes() == before.tobytes()
    with pytest.raises(IllegalActionError, match="before the first move"):
        game.place(play(game, "A1"), [0])


# ---- what the network sees -------------------------------------------------------------------------------------------


def test_compact_planes():
    game, rng = Go("go_7x7"), np.random.default_rng(2)
    plain, states = PlainGo(game, "simple", False), game.init(4)
    while not states["terminated"].all():
        planes, mask = game.observe(states), game.legal_action_mask(states)
        for row, state in enumerate(states):
            board, mover = board_of(game, state), int(state["to_play"])
            plain.board, plain.to_play = board, mover
            expected = np.zeros((7, 7, 7), dtype=np.float32)
            for point, seat in board.items():
                expected[0 if seat == mover else 1][point] = 1
                if (liberties := plain.liberties(board, point)) < 3:
                    expected[1 + liberties][point] = 1
            for action in np.flatnonzero(~mask[row, :-1] & ~state["terminated"]):
                point = divmod(int(action), 7)
                expected[4][point] = point not in board and plain.after(int(action)) is not None
            expected[5], expected[6] = mover == 0, state["last_action"] == 49
            np.testing.assert_array_equal(planes[row], expected)
        random_steps(game, states, rng)


def test_alphago_zero_planes():
    game, rng = Go("go_9x9", history=8), np.random.default_rng(3)
    assert game.spec.observation_shape == (17, 9, 9)
    assert Go("go_19x19", history=8).spec.observation_shape == (17, 19, 19)
    states, past = game.init(4), []
    game.place(states, [0, 1], [5])
    for _ in range(60):
        past.append([cells_of(game, state) for state in states])
        planes, to_play = game.observe(states), states["to_play"]
        for age in range(8):
            for own, plane in enumerate((to_play, 1 - to_play)):
                drawn = planes[:, 2 * age + own].reshape(4, -1)
                expected = past[-1 - age] == plane[:, None] if age < len(past) else np.zeros((4, 81))
                np.testing.assert_array_equal(drawn, expected)
        assert (planes[:, 16] == (to_play == 0)[:, None, None]).all()
        random_steps(game, states, rng)


@pytest.mark.nojit
def test_the_hash_tells_what_ko_forbids():
    game = Go("go_5x5")
    states = set_up(game, ".xo..", "xo.o.", ".xo..", ".....", ".....")
    forbidden, free = play(game, "C4", states), play(game, "C4 E1 D1 B4 E2 C4 D2", states)
    assert not may(game, forbidden, "B4")
    rows = ["".join(".xo"[seat + 1] for seat in row) for row in game._board(forbidden["boards"][0])]
    allowed = set_up(game, *rows, to_play="o")
    assert may(game, allowed, "B4")
    assert game.hash(forbidden) != game.hash(allowed)
    assert len({int(game.hash(position)[0]) for position in (states, forbidden, free, allowed)}) == 4
    transposed = [play(game, moves) for moves in ("A1 B1 A2 B2", "A2 B2 A1 B1")]
    assert game.hash(transposed[0]) == game.hash(transposed[1])
    remembering = Go("go_5x5", history=3)
    transposed = [play(remembering, moves) for moves in ("A1 B1 A2 B2", "A2 B2 A1 B1")]
    assert remembering.hash(transposed[0]) != remembering.hash(transposed[1])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("go_5x5", {"komi": 7, "suicide": True, "ko": "situational"}),
        ("go_7x7", {"komi": 9, "ko": "simple", "history": 1}),
        ("go_7x7", {"history": 8, "suicide": True}),
        ("go_9x9", {"history": 3, "max_plies": 33}),
    ],
)
def test_options_keep_the_contract(name, options):
    games.check_game(Go(name, **options), num_games=24)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"komi": 7.25}, "komi is 7.25; it must be a multiple of 0.5"),
        ({"komi": float("nan")}, "komi is nan"),
        ({"komi": 82}, "within ±81"),
        ({"ko": "super"}, "unknown ko rule 'super'; accepted: simple, positional, situational"),
        ({"history": -1}, "history is -1; it must be 0 to 64"),
        ({"max_plies": 0}, "max_plies is 0; it must be 1 to 32767"),
    ],
)
def test_options_that_make_no_sense(options, why):
    with pytest.raises(ArenaError, match=why):
        Go("go_9x9", **options)


# ---- text ------------------------------------------------------------------------------------------------------------


def test_points():
    assert [action_to_point(action, 19) for action in (0, 8, 18, 300, 361)] == ["A19", "J19", "T19", "Q4", "pass"]
    assert [action_to_sgf(action, 19) for action in (0, 8, 18, 300, 361)] == ["aa", "ia", "sa", "pp", ""]
    assert point_to_action(" q4 ", 19) == point_to_action("Q4", 19) == 300
    assert point_to_action("PASS", 9) == sgf_to_action("tt", 9) == 81
    for size in SIZES:
        for action in range(size**2 + 1):
            assert point_to_action(action_to_point(action, size), size) == action
            assert sgf_to_action(action_to_sgf(action, size), size) == action
    for text in ("", "I5", "K1", "A10", "A0", "D", "44", "D44", "D٤", "resign"):
        with pytest.raises(ParseError, match=r"type A1 to J9 .*, or pass"):
            point_to_action(text, 9)
    for text in ("a", "jj", "aj", "AA", "aaa", "a1", "t", "ää"):
        with pytest.raises(ParseError, match="give aa to ii"):
            sgf_to_action(text, 9)


def test_the_board_as_drawn():
    game = Go("go_5x5")
    assert game.render(play(game, "C3 B2 pass")[0]).splitlines() == [
        "    A  B  C  D  E ",
        " 5  .  .  .  .  .  5",
        " 4  .  .  .  .  .  4",
        " 3  .  .  X  .  .  3",
        " 2  .  O  .  .  .  2",
        " 1  .  .  .  .  .  1",
        "    A  B  C  D  E ",
        "X has taken 0, O has taken 0, komi 7.5",
        "O (white) to move after a pass",
    ]
    assert " 4  .  .  .  + " in Go("go_19x19").render(Go("go_19x19").init(1)[0])
    assert "[X]" in game.render(play(game, "C3")[0])


@pytest.mark.nojit
def test_a_text_tells_the_whole_game():
    game = Go("go_9x9")
    states = play(game, "D4 E5 pass c6")
    text = game.state_to_string(states[0])
    assert text == "9/9/9/2o6/4o4/3x5/9/9/9 x after D4 E5 pass C6"
    assert game.parse_state(text).tobytes() == states.tobytes()
    three = play(game, "E8 D6 E4 D8 E6", set_up(game, *THREE_KOS))
    again = game.parse_state(game.state_to_string(three[0]))
    assert again.tobytes() == three.tobytes()
    assert not may(game, again, "D4")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "give rows from the top"),
        ("5/5/5/5/5", "give rows from the top"),
        ("5/5/5/5/5 b", "x or o, whoever moves"),
        ("5/5/5/5 x", "4 rows instead of 5"),
        ("5/5/5/5/6 x", "'6' is neither"),
        ("5/5/5/5/4 x", "row 5 from the top has 4"),
        ("xo3/o4/5/5/5 x", "no liberty"),
        ("5/5/5/5/5 x after", "give rows from the top"),
        ("5/5/5/5/5 x from 5/5/5/5/5 x", "give rows from the top"),
        ("5/5/2x2/5/5 o after C4", "do not lead to that board"),
        ("5/5/2x2/5/5 x after C3", "do not lead to that board"),
        ("5/5/2x2/5/5 x after C3 C3", "point C3 is taken"),
        ("5/5/2x2/5/5 o after I3", "not a move on 5 × 5 points"),
        ("5/5/5/5/5 x after pass pass pass pass", "the game is over"),
        ("5/5/2x2/5/5 o after C3 from", "x or o, whoever moves"),
        ("5/5/2x2/5/5 o after C3 from 5/5/5/5/5", "x or o, whoever moves"),
        ("5/5/2x2/5/5 o after C3 from 5/5/5/5/5 o x", "x or o, whoever moves"),
    ],
)
def test_texts_that_are_no_positions(text, why):
    with pytest.raises(ParseError, match=why) as caught:
        Go("go_5x5").parse_state(text)
    assert "\n" not in str(caught.value)
