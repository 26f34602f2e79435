"""Real records replay: every move legal and every result the rules', but for the exceptions that are listed here."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

import pytest

from games.records import GameRecord, Replay, read, replay_all
from games.records.wthor import black_score
from tests.games.records.data import DATA, needs_data

pytestmark = needs_data

WTHOR = DATA / "othello" / "wthor"
CHESS = DATA / "chess" / "human_games.pgn.gz"
KGS = DATA / "go"


def is_good(replay: Replay) -> bool:
    """Legal, and the record's result where the rules end it."""
    if replay.over and (discs := replay.record.tags.get("BlackDiscs")) and int(discs) != black_score(replay.states[0]):
        return False
    return not replay.problem and replay.agrees is not False


def test_some_of_wthor() -> None:
    found = list(replay_all(read(WTHOR / "WTH_1985.wtb")))
    assert len(found) == 954
    assert all(is_good(replay) for replay in found)
    assert found[0].record.players[0] != "player 0"


def test_some_of_chess() -> None:
    with read(CHESS) as reader:
        found = list(replay_all(islice(reader, 60)))
    assert len(found) == 60
    assert all(is_good(replay) for replay in found)


def test_some_books() -> None:
    for name, plies in (("8moves_v3.pgn.zip", 16), ("2moves_v2.pgn.zip", 4)):
        with read(DATA / "chess" / name) as reader:
            assert {len(record.moves) for record in islice(reader, 30)} == {plies}


def test_some_of_kgs() -> None:
    with read(KGS / "KGS-2017_02-19-525-.tar.gz") as reader:
        found = list(replay_all(islice(reader, 40)))
    assert len(found) == 40
    assert not any(replay.problem for replay in found)


@pytest.mark.study
def test_all_of_wthor() -> None:
    counts: Counter[str] = Counter()
    for path in sorted(WTHOR.glob("*.wtb")):
        for replay in replay_all(read(path)):
            assert is_good(replay)
            counts["over" if replay.over else "broken off"] += 1
    assert counts == {"over": 117_022, "broken off": 413}


@pytest.mark.study
def test_all_of_chess() -> None:
    """People play on after the rules have drawn the game, once for 62 plies; one score sheet has a slip of the pen, and
    one result is wrong. python-chess finds the same 18, 45, 1 and 1."""
    reader = read(CHESS, errors="skip")
    found = [(replay.record.number, replay.problem, replay.agrees) for replay in replay_all(reader)]
    assert (reader.read, reader.broken) == (49_935, 65)
    assert not any(problem for _, problem, _ in found)
    assert [number for number, _, agrees in found if agrees is False] == [
        141
    ]  # mate on the board, a draw in the record
    reasons = Counter(re.sub(r".*\((.*)\).*|.*(is illegal).*", r"\1\2", problem.what) for problem in reader.problems)
    assert reasons == {
        "draw: the position occurred five times": 18,
        "draw: neither side can mate": 45,
        "draw: 75 moves each without a capture or a pawn's move": 1,
        "is illegal": 1,
    }


def all_of_kgs(**options) -> tuple[int, list[GameRecord]]:
    """How many games there are, and those with an illegal move."""
    games, illegal = 0, []
    for path in sorted(KGS.glob("*.tar.gz")):
        for replay in replay_all(read(path, **options)):
            games += 1
            illegal += [replay.record] if replay.problem else []
    return games, illegal


@pytest.mark.study
def test_all_of_kgs() -> None:
    assert all_of_kgs() == (36_692, [])


@pytest.mark.study
def test_kgs_and_superko() -> None:
    """KGS lets people repeat the whole board where they play by Japanese rules; eight games do."""
    games, illegal = all_of_kgs(ko="positional")
    assert games == 36_692
    names = [record.source.rpartition("/")[2] for record in illegal]
    assert sorted(names) == [
        "2002-02-16-8.sgf",
        "2003-02-03-5.sgf",
        "2003-09-20-29.sgf",
        "2003-11-15-12.sgf",
        "2006-11-12-28.sgf",
        "2015-07-21-16.sgf",
        "2017-02-18-10.sgf",
        "2017-04-14-5.sgf",
    ]
