"""Openings: where they come from, that they are what was asked for, and what is said of bad books."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import agents
import games
from arena.formats import Fixture
from arena.match import play_fixtures
from arena.opening_book import FileOpeningBook, Opening, RandomOpeningBook
from games import ArenaError, Game
from tests.arena.helpers import shortened


def take(book: RandomOpeningBook | FileOpeningBook, count: int) -> list[Opening]:
    return [book[number] for number in range(count)]


def after(game: Game, opening: Opening) -> np.ndarray:
    states = game.parse_state(opening.start) if opening.start else game.init(1)
    for move in opening.moves:
        game.step(states, [move])
    return states


@pytest.fixture(scope="module")
def game() -> Game:
    return games.make("connect_four")


def test_random_openings_differ_and_do_not_end_the_game(game: Game) -> None:
    openings = take(RandomOpeningBook(game, (2, 4), 0), 200)
    assert {len(opening.moves) for opening in openings} == {2, 3, 4}
    positions = [after(game, opening) for opening in openings]
    assert not any(states["terminated"][0] for states in positions)
    assert len({int(game.hash(states)[0]) for states in positions}) == 200


def test_an_opening_is_the_same_however_many_are_asked_for(game: Game) -> None:
    few, many = RandomOpeningBook(game, (3, 3), 5), RandomOpeningBook(game, (3, 3), 5)
    last = many[500]
    assert take(few, 20) == take(many, 20)
    assert few[500] == last
    assert take(RandomOpeningBook(game, (3, 3), 6), 20) != take(few, 20)


def test_openings_come_again_when_there_are_no_more() -> None:
    game = games.make("tic_tac_toe")
    openings = take(RandomOpeningBook(game, (1, 1), 0), 40)
    assert {opening.moves for opening in openings} == {(square,) for square in range(9)}
    assert openings[:9] == openings[9:18]
    assert take(RandomOpeningBook(game, (0, 0), 0), 3) == [Opening()] * 3


def test_balanced_openings_are_balanced() -> None:
    game = games.make("tic_tac_toe")
    solver = agents.make("solver", game)
    openings = take(RandomOpeningBook(game, (3, 3), 0, judge=solver, balance=0.0), 60)
    values = [solver.act(after(game, opening), np.random.default_rng(0)).value[0] for opening in openings]
    assert set(values) == {0.0}
    unfiltered = take(RandomOpeningBook(game, (3, 3), 0), 60)
    assert {solver.act(after(game, o), np.random.default_rng(0)).value[0] for o in unfiltered} == {-1.0, 0.0, 1.0}


def test_openings_that_cannot_be_had() -> None:
    game = games.make("tic_tac_toe")
    with pytest.raises(ArenaError, match="over within 3 random plies, or not balanced"):
        RandomOpeningBook(game, (3, 3), 0, judge=Certain(), balance=0.5)[0]  # type: ignore[arg-type]
    brief = shortened("tic_tac_toe", 12)  # it is over after nine plies
    with pytest.raises(ArenaError, match="usually over within 10 random plies; give fewer --opening-plies"):
        RandomOpeningBook(brief, (10, 10), 0)[0]
    for plies in ((9, 9), (-1, 2), (3, 2)):
        with pytest.raises(ArenaError, match="--opening-plies"):
            RandomOpeningBook(game, plies, 0)
    with pytest.raises(ArenaError, match="balance"):
        RandomOpeningBook(game, (1, 1), 0, balance=2.0)
    with pytest.raises(ArenaError, match="no opinion"):
        RandomOpeningBook(game, (1, 1), 0, judge=agents.make("random", game))[0]


class Certain:
    """Finds every position won."""

    name = "certain"

    def act(self, states: np.ndarray, rng: np.random.Generator, slots: object = None) -> Certain:
        self.value = np.ones(len(states))
        return self


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_positions_one_per_line(game: Game, tmp_path: Path) -> None:
    path = write(tmp_path / "book.fen", "# comment\n7/7/7/7/3o3/2xxo2 x\n\n7/7/7/7/7/3x3 o\n")
    book = FileOpeningBook(game, path, seed=0)
    assert len(book) == 2
    assert {opening.start for opening in take(book, 2)} == {"7/7/7/7/3o3/2xxo2 x", "7/7/7/7/7/3x3 o"}
    assert take(book, 2) == take(book, 4)[2:]
    fixtures = [Fixture("random", "other", 0), Fixture("other", "random", 0)]
    players = {"random": agents.make("random", game), "other": agents.make("random", game)}
    for (record,) in play_fixtures(game, players, fixtures, book, seed=0, slots=1):
        assert record.start == book[0].start
        states = game.parse_state(record.start)
        for move in record.moves:
            game.step(states, [move])
        assert states["terminated"][0]
        assert record.returns == tuple(game.returns(states)[0].tolist())


def test_games_of_a_move_list(game: Game, tmp_path: Path) -> None:
    lines = ["connect_four | * | 4 4 3 5", "connect_four | 1-0 | 4 4 4 4 4 2 3 3 5", "connect_four | * | 4 4 3 5"]
    path = write(tmp_path / "book.moves", "\n".join(lines) + "\n")
    book = FileOpeningBook(game, path, seed=0)
    assert sorted(opening.moves for opening in take(book, 2)) == [(3, 3, 2, 4), (3, 3, 3, 3, 3, 1, 2, 2, 4)]
    shorter = FileOpeningBook(game, path, seed=0, plies=2)
    assert take(shorter, 1) == [Opening(moves=(3, 3))]
    assert len(shorter) == 1


def test_games_of_a_pgn(tmp_path: Path) -> None:
    chess = games.make("chess")
    path = write(tmp_path / "book.pgn", '[White "a"]\n\n1. e4 e5 2. Nf3 *\n\n[White "b"]\n\n1. d4 d5 *\n')
    names = set()
    for opening in take(FileOpeningBook(chess, path, seed=0, plies=2), 2):
        states = chess.init(1)
        words = []
        for move in opening.moves:
            words.append(chess.action_to_string(states[0], move))
            chess.step(states, [move])
        names.add(" ".join(words))
    assert len(names) == 2
    assert all(len(name.split()) == 2 for name in names)


def test_epd_is_a_fen_without_its_counters(tmp_path: Path) -> None:
    chess = games.make("chess")
    line = "rnbqkbnr/pp1ppppp/8/2p5/4P3/8/PPPP1PPP/RNBQKBNR w KQkq -"
    path = write(tmp_path / "book.epd", f'{line} hmvc 0; fmvn 2; id "Sicilian";\n')
    assert FileOpeningBook(chess, path, seed=0)[0].start.startswith(line)


def test_the_order_is_drawn_from_the_seed(game: Game, tmp_path: Path) -> None:
    lines = [f"connect_four | * | {a} {b}" for a in range(1, 8) for b in range(1, 8)]
    path = write(tmp_path / "book.moves", "\n".join(lines) + "\n")
    orders = [take(FileOpeningBook(game, path, seed=seed), 49) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert set(orders[0]) == set(orders[2])


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("book.fen", "nonsense\n", "book.fen, line 1"),
        ("book.fen", "7/7/7/7/3o3/2xxo2 x\n7/7/7/7/7/9 x\n", "book.fen, line 2"),
        ("book.fen", "# nothing\n", "holds no opening"),
        ("book.moves", "connect_four | * | 4 9\n", "game 1"),
        ("book.moves", "tic_tac_toe | * | 5 1\n", "tic_tac_toe, not connect_four"),
        ("book.moves", "connect_four | 1-0 | 1 2 1 2 1 2 1\n", "the game is over; give fewer"),
        ("book.xyz", "", "must end in one of .fen"),
        ("book.fen", None, "cannot be read"),
        ("book.pgn", None, "no such file"),
    ],
)
def test_bad_books(name: str, text: str | None, says: str, game: Game, tmp_path: Path) -> None:
    path = tmp_path / name
    if text is not None:
        write(path, text)
    with pytest.raises(ArenaError, match=says) as error:
        FileOpeningBook(game, path, seed=0)
    assert "\n" not in str(error.value)
