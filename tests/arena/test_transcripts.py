"""A tournament's games in the formats that other programs read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import games
from arena.records import MatchRecord
from arena.report import write_report
from arena.results import to_json_line
from arena.tournament import RESULTS, SETTINGS, Settings, Tournament
from arena.transcripts import to_game_record, write_transcript
from games import EndReason, records

AGENTS = ("net:runs/é,simulations=4", 'a "quoted" one')


def record_of(name: str, seed: int, *, start: str = "", forfeit: bool = False) -> MatchRecord:
    """A random game, of which some moves come with a value."""
    game, rng = games.make(name), np.random.default_rng(seed)
    states, moves = game.parse_state(start) if start else game.init(1), []
    while not states["terminated"][0] and not (forfeit and len(moves) == 5):
        moves.append(int(rng.choice(np.flatnonzero(game.legal_action_mask(states)[0]))))
        game.step(states, moves[-1:])
    returns = (1.0, -1.0) if forfeit else tuple(game.returns(states)[0].tolist())
    return MatchRecord(
        agents=AGENTS[:: 1 - 2 * (seed % 2)],
        number=seed,
        start=start,
        opening=tuple(moves[:2]),
        moves=tuple(moves),
        values=tuple(None if ply < 2 else round(float(rng.uniform(-1, 1)), 4) for ply in range(len(moves))),
        returns=returns,
        end_reason="forfeit" if forfeit else "win" if any(returns) else "draw",
        note="it ended with exit code 3; it said 'no {memory}'." if forfeit else "",
        seed=seed,
    )


def tournament_of(directory: Path, name: str, played: list[MatchRecord]) -> Tournament:
    (directory / SETTINGS).write_text(Settings(name, AGENTS, games=40).to_json())
    (directory / RESULTS).write_text("".join(map(to_json_line, played)))
    return Tournament.load(directory)


@pytest.mark.parametrize(
    ("name", "file", "start"),
    [
        ("chess", "games.pgn", "rnbqkbnr/pp1ppppp/8/2p5/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 2"),
        ("go_5x5:komi=3.5", "games.sgf", ""),
        ("othello", "games.sgf", ""),
        ("hex_5x5:swap=true", "games.sgf", ""),
        ("gomoku_9x9", "games.sgf", ""),
        ("connect_four", "games.moves", ""),
        ("shogi", "games.moves", ""),
    ],
)
def test_every_game_is_read_back_as_it_was_played(name: str, file: str, start: str, tmp_path: Path) -> None:
    played = [record_of(name, seed, start=start) for seed in range(3)] + [record_of(name, 3, forfeit=True)]
    path = write_transcript(tournament_of(tmp_path, name, played))
    assert path == tmp_path / file
    for record, found in zip(played, records.read(path), strict=True):
        assert found.moves.tolist() == list(record.moves)
        assert found.players == record.agents
        assert bool(found.start) == bool(start and record.start)
        assert found.returns is not None
        assert tuple(found.returns.tolist()) == record.returns
        assert found.end is EndReason[record.end_reason.upper()]
        assert found.evaluations is not None
        expected = [np.nan if value is None else value for value in record.values]
        np.testing.assert_allclose(found.evaluations, expected, atol=1e-6)
        if record.note:
            assert found.comments[-1].replace(")", "}") == record.note
        assert found.tags["Round"] == str(record.number + 1)


def test_the_report_brings_the_games_along(tmp_path: Path) -> None:
    page = write_report(tournament_of(tmp_path, "othello", [record_of("othello", 0)]))
    assert "games.sgf beside this page" in page.read_text()
    assert (tmp_path / "games.sgf").exists()


def test_a_game_that_the_rules_do_not_allow_is_refused(tmp_path: Path) -> None:
    broken = dataclasses.replace(record_of("connect_four", 0), moves=(3, 9), values=(None, None))
    with pytest.raises(records.RecordError):
        write_transcript(tournament_of(tmp_path, "connect_four", [broken]))
    assert not (tmp_path / "games.moves").exists()


def test_python_chess_reads_the_pgn(tmp_path: Path) -> None:
    chess_pgn = pytest.importorskip("chess.pgn")
    played = [record_of("chess", seed) for seed in range(2)]
    path = write_transcript(tournament_of(tmp_path, "chess", played))
    with path.open() as file:
        for record in played:
            found = chess_pgn.read_game(file)
            assert found.errors == []
            assert found.headers["White"].replace("\\", "") == record.agents[0]  # it keeps the backslashes
            assert len(list(found.mainline_moves())) == len(record.moves)


def test_truncated_games_are_draws_that_say_so() -> None:
    record = dataclasses.replace(
        record_of("connect_four", 0), returns=(0.0, 0.0), end_reason="truncated", note="cut after 9 plies"
    )
    found = to_game_record(games.make("connect_four"), record, "round-robin of 2")
    assert found.end is EndReason.TRUNCATED
    assert found.comments[-1] == "cut after 9 plies"
