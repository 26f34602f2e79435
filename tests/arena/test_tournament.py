"""Round robins: who meets whom, from where, and what is written down."""

from __future__ import annotations

import collections
import io
from pathlib import Path

import numpy as np
import pytest

import agents
import games
from arena import tournament
from arena.records import MatchRecord
from arena.standings import console_for, print_standings
from arena.tournament import TournamentError, match, play_tournament, read_records
from games import Game

SPECS = ("random", "solver", "mcts:simulations=10")


@pytest.fixture(scope="module")
def game() -> Game:
    return games.make("tic_tac_toe")


def played(game: Game, out: Path, seed: int = 0, count: int = 8) -> list[MatchRecord]:
    players = [agents.make(spec, game) for spec in SPECS]
    seen: list[MatchRecord] = []
    play_tournament(game, players, count, seed=seed, out=out, on_game=seen.append)
    assert read_records(out / tournament.RESULTS) == seen
    return seen


def test_results_are_replayable_and_reproducible(game: Game, tmp_path: Path) -> None:
    records = played(game, tmp_path / "one")
    assert len(records) == 8 * 3
    for record in records:
        states = game.init(1)
        assert record.moves[: len(record.opening)] == record.opening
        for move in record.moves:
            game.step(states, [move])
        assert states["terminated"].all()
        assert tuple(game.returns(states)[0].tolist()) == record.returns
        assert record.end_reason == ("win" if any(record.returns) else "draw")
    assert (tmp_path / "one" / tournament.RESULTS).read_bytes() == (
        played(game, tmp_path / "two"),
        (tmp_path / "two" / tournament.RESULTS).read_bytes(),
    )[1]
    assert played(game, tmp_path / "three", seed=1) != records


def test_every_opening_is_played_from_both_seats_by_every_pair(game: Game, tmp_path: Path) -> None:
    records = played(game, tmp_path)
    for opening in {record.opening for record in records}:
        seatings = collections.Counter(record.agents for record in records if record.opening == opening)
        assert set(seatings) == {(a, b) for a in SPECS for b in SPECS if a != b}
        assert set(seatings.values()) == {1}
    assert sorted(record.number for record in records) == list(range(24))
    assert all(1 <= len(record.opening) <= 4 for record in records)


def test_openings_differ_and_do_not_end_the_game() -> None:
    game = games.make("connect_four")
    openings = tournament.draw_openings(game, 200, (2, 4), np.random.default_rng(0))
    assert len(set(openings)) == 200
    assert {len(opening) for opening in openings} == {2, 3, 4}


def test_there_are_openings_even_where_positions_run_out(game: Game) -> None:
    openings = tournament.draw_openings(game, 40, (1, 1), np.random.default_rng(0))
    assert set(openings) == {(square,) for square in range(9)}
    assert tournament.draw_openings(game, 3, (0, 0), np.random.default_rng(0)) == [(), (), ()]
    with pytest.raises(TournamentError, match="opening-plies"):
        tournament.draw_openings(game, 1, (9, 9), np.random.default_rng(1), tries=1)


def test_match_counts_from_the_first_agent(game: Game) -> None:
    solver, random = agents.make("solver", game), agents.make("random", game)
    good = match(game, solver, random, 60, np.random.default_rng(0), opening_plies=(0, 0))
    assert good.losses == 0  # from the empty board, perfect play never loses
    assert good.wins + good.draws == 60
    assert good.wins > 30
    assert good.score == (good.wins + good.draws / 2) / 60
    assert good.elo - good.interval > 0
    bad = match(game, random, solver, 60, np.random.default_rng(0), opening_plies=(0, 0))
    assert bad.wins == 0
    assert bad.elo + bad.interval < 0


def test_an_agent_may_meet_itself_in_a_match(game: Game) -> None:
    random = agents.make("random", game)
    result = match(game, random, random, 40, np.random.default_rng(0))
    assert result.wins + result.draws + result.losses == 40
    assert abs(result.elo) < 3 * result.interval


def test_a_results_file_is_never_overwritten(game: Game, tmp_path: Path) -> None:
    before = played(game, tmp_path)
    with pytest.raises(TournamentError, match="exists already"):
        played(game, tmp_path)
    assert read_records(tmp_path / tournament.RESULTS) == before
    (tmp_path / "file").touch()
    with pytest.raises(TournamentError, match="cannot be written"):
        played(game, tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("names", "count", "says"),
    [
        (["random"], 2, "two agents or more"),
        (["random", "solver", "random"], 2, "given twice"),
        (["random", "solver"], 3, "even number"),
        (["random", "solver"], 0, "even number"),
    ],
)
def test_impossible_tournaments(game: Game, names: list[str], count: int, says: str) -> None:
    with pytest.raises(TournamentError, match=says):
        tournament.check_tournament(game, names, count)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "{}",
        "null",
        '{"number": 1}',
        "\udc80",
        tournament.to_json_line(MatchRecord(0, ("a", "b"), (), (1,), (1.0, -1.0), "win", 0)).replace(
            "1.0, -1.0", '1.0, "x"'
        ),
        tournament.to_json_line(MatchRecord(0, ("a",), (), (1,), (1.0, -1.0), "win", 0)),
    ],
)
def test_damaged_results_name_the_line(line: str, tmp_path: Path) -> None:
    path = tmp_path / "games.jsonl"
    path.write_text(line + "\n", encoding="utf-8", errors="surrogateescape")
    with pytest.raises(TournamentError) as error:
        read_records(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_results(tmp_path: Path) -> None:
    with pytest.raises(TournamentError, match="cannot be read"):
        read_records(tmp_path / "none.jsonl")


def test_standings_show_everybody_strongest_first(game: Game, tmp_path: Path) -> None:
    screen = io.StringIO()
    table = print_standings(SPECS, played(game, tmp_path, count=20), console_for(screen), anchor="random")
    text = screen.getvalue()
    assert table.elo[0] == 0.0
    assert "random = 0" in text
    assert max(map(len, text.splitlines())) <= 160
    ratings_part = text[: text.index("Points of the row")]
    assert ratings_part.index("solver") < ratings_part.index("random ", ratings_part.index("agent"))
