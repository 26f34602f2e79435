"""SGF: four games, setup, encodings, collections, and what is broken."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import games
from games import ArenaError, EndReason
from games.records import GameRecord, RecordError, replay
from games.records.sgf import dumps, loads, parse


def records(text: str | bytes, **options) -> list[Any]:
    return list(parse(io.BytesIO(text if isinstance(text, bytes) else text.encode()), "x.sgf", **options))


def test_a_game_of_go() -> None:
    record = loads(
        "junk (c) (;FF[4]GM[1]SZ[9]KM[6.5]HA[2]AB[cc][gg]PW[Wh\\]ite]PB[Black]RE[W+3.5]DT[2001-02-03]RU[Japanese]"
        "C[hello \\[x\\] \n there];W[ee]C[tengen]V[-0.25](;B[cg]V[0.5];W[tt];B[])(;B[gc]))"
    )
    assert record.game == "go_9x9:komi=6.5,ko=simple"
    assert record.moves.tolist() == [40, 56, 81, 81]
    assert record.start == "9/9/2x6/9/9/9/6x2/9/9 o"
    assert record.players == ("Black", "Wh]ite")
    assert record.tags == {"HA": "2", "Date": "2001-02-03", "RU": "Japanese"}
    assert record.comments == ("hello [x] \n there", "tengen", "", "", "")
    assert record.evaluations is not None
    np.testing.assert_array_equal(record.evaluations, [0.25, 0.5, np.nan, np.nan])  # V is black's point of view
    assert record.returns is not None
    assert record.returns.tolist() == [-1, 1]
    assert record.end_text == "W+3.5"
    assert replay(record)["terminated"][-1]
    assert loads(dumps(record)) == record


def test_options_are_yours() -> None:
    text = "(;GM[1]SZ[9]KM[0.5];B[aa])"
    assert loads(text).game == "go_9x9:komi=0.5,ko=simple"
    assert loads(text, ko="positional").game == "go_9x9:komi=0.5"
    assert loads(text, komi=7.5, ko="situational").game == "go_9x9:ko=situational"


@pytest.mark.parametrize(
    ("text", "returns", "end"),
    [
        ("B+R", [1, -1], EndReason.RESIGNATION),
        ("W+Resign", [-1, 1], EndReason.RESIGNATION),
        ("W+T", [-1, 1], EndReason.FORFEIT),
        ("B+Forfeit", [1, -1], EndReason.FORFEIT),
        ("B+0.5", [1, -1], EndReason.WIN),
        ("b+", [1, -1], EndReason.WIN),
        ("0", [0, 0], EndReason.DRAW),
        ("Jigo", [0, 0], EndReason.DRAW),
        ("Void", None, None),
        ("?", None, None),
        ("black, I think", None, None),
    ],
)
def test_results(text, returns, end) -> None:
    record = loads(f"(;GM[1]SZ[9]RE[{text}];B[aa])")
    assert (None if record.returns is None else record.returns.tolist()) == returns
    assert (record.end, record.end_text) == (end, text)
    assert loads(dumps(record)) == record


def test_othello_passes_may_be_written_or_not() -> None:
    game, rng = games.make("othello"), np.random.default_rng(0)
    while True:
        states, actions = game.init(1), []
        while not states["terminated"][0]:
            actions.append(int(rng.choice(np.flatnonzero(game.legal_action_mask(states)[0]))))
            game.step(states, actions[-1:])
        if 64 in actions:
            break
    comments = tuple(f"after {ply}" for ply in range(len(actions) + 1))
    record = GameRecord("othello", np.array(actions), comments=comments)
    written = dumps(record)
    assert loads(written).moves.tolist() == actions
    nodes = written.replace("\n", "").split(";")
    without = loads(";".join(node for node in nodes if "B[]" not in node and "W[]" not in node))
    assert without.moves.tolist() == actions
    for ply, action in enumerate(actions):  # comments stay with their moves
        assert without.comments[ply + 1] == ("" if action == 64 else f"after {ply + 1}")
    assert loads("(;GM[2];B[f5];W[d6])").moves.tolist() == [37, 43]


def test_gomoku_and_hex() -> None:
    assert loads("(;GM[4]SZ[15];B[hh];W[aa])").moves.tolist() == [112, 0]
    record = loads("(;GM[11]SZ[5];B[c2];W[swap-pieces];B[a1];W[resign])")
    assert record.game == "hex_5x5:swap=true"
    assert record.moves.tolist() == [7, 25, 0]
    assert loads(dumps(record)) == record
    assert loads("(;GM[11];B[K11])").game == "hex_11x11"


@pytest.mark.parametrize(
    ("text", "setup"),
    [
        ("(;SZ[9]AB[aa:cb];W[ee])", "xxx6/xxx6/9/9/9/9/9/9/9 o"),
        ("(;SZ[9]PL[W])", "9/9/9/9/9/9/9/9/9 o"),
        ("(;SZ[9];W[ee])", "9/9/9/9/9/9/9/9/9 o"),
        ("(;SZ[9]AB[aa][bb]AW[cc]PL[B];AE[bb];B[ee])", "x8/9/2o6/9/9/9/9/9/9 x"),
        ("(;SZ[9];B[ee])", ""),
        ("(;SZ[9]HA[2]C[a];B[cc]C[b];B[gg];W[ee]C[c])", "9/9/2x6/9/9/9/6x2/9/9 o"),
        ("(;SZ[9]HA[2];B[cc];W[gg])", ""),  # a handicap by komi alone, as KGS has some
    ],
)
def test_setup(text, setup) -> None:
    record = loads(text)
    assert record.start == setup
    assert record.comments in ((), ("a\nb", "c"))
    replay(record)
    assert loads(dumps(record)) == record


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "big5", "shift_jis", "euc-kr", "koi8-r", "cp1252"])
def test_encodings(encoding) -> None:
    name = {"koi8-r": "Иван", "cp1252": "Zoë", "euc-kr": "이세돌", "utf-8": "吴清源"}.get(encoding, "吉 十 表 功")
    text = f"(;CA[{encoding}]SZ[9]PB[{name}];B[aa])" * 2
    if encoding == "shift_jis":
        assert b"\\" in text.encode(encoding)  # half a character that looks like an escape
    first, second = records(text.encode(encoding))
    assert isinstance(first, GameRecord)
    assert isinstance(second, GameRecord)
    assert first.players == second.players == (name, "")


def test_latin_1_without_a_word() -> None:
    assert [record.players for record in records("(;SZ[9]PB[Zoë])".encode("latin-1"))] == [("Zoë", "")]


@pytest.mark.parametrize(
    ("text", "what", "ply"),
    [
        ("(;SZ[9];B[aa];B[bb])", "B moves, but it is W's turn", 1),
        ("(;SZ[9];B[aa];W[zz])", "'zz' is not a point of go on 9 × 9", 1),
        ("(;SZ[9];B[aa];AB[cc])", "AB changes the board or the turn after the first move", 1),
        ("(;SZ[9];B[aa]W[bb])", "several moves in one node", 0),
        ("(;SZ[9];B[aa][bb])", "several moves in one node", 0),
        ("(;SZ[4];B[aa])", "Unknown game 'go_4x4'", None),
        ("(;SZ[9:13];B[aa])", "not the size of a square board", None),
        ("(;SZ[99999999999999999999];B[aa])", "not the size of a square board", None),
        ("(;GM[3];B[aa])", "GM[3] is none of the games that are read", None),
        ("(;GM[2]SZ[10];B[aa])", "Othello is played on 8 × 8", None),
        ("(;SZ[9]KM[much];B[aa])", "KM[much] is not a number", None),
        ("(;SZ[9]KM[650];B[aa])", "komi is 650", None),
        ("(;SZ[9]CA[klingon])", "its encoding CA[klingon]", None),
        ("(;SZ[9]PL[X])", "PL[X] names no player", None),
        ("(;SZ[9]AB[aa:b])", "neither a point nor a rectangle", None),
        ("(;SZ[9]AB[tt];W[aa])", "is not a point where a stone can be set up", None),
        ("(;B)", "it is not SGF", None),
    ],
)
def test_a_broken_game_is_one_error_and_the_next_is_read(text, what, ply) -> None:
    error, *after = records(f"{text}\n\n(;FF[4]SZ[9];B[ee])")
    assert isinstance(error, RecordError)
    assert what in str(error)
    assert (error.number, error.ply) == (1, ply)
    assert [record.moves.tolist() for record in after if isinstance(record, GameRecord)] == ([[40]] if after else [])
    assert after or "CA" in text  # the encoding is one for the whole file


@pytest.mark.parametrize("broken", ["(;FF[4]SZ[9];B[aa]", "(;FF[4]SZ[9](;B[aa]", "(;FF[4]SZ[9];B[aa];W[bb"])
def test_a_game_without_an_end_costs_no_more_than_the_next(broken) -> None:
    good = "(;FF[4]SZ[9];B[ee])\n"
    found = [isinstance(item, GameRecord) for item in records(f"{good}{broken}\n{good}{good}")]
    # An open value ends with the next bracket, which is in the next game.
    assert found == ([True, False, True, True] if broken.endswith("]") else [True, False, True])


def test_games_longer_than_what_is_read_at_a_time() -> None:
    comment = "x\\]y(;" * 50_000
    text = f"(;SZ[9];B[aa]C[{comment}];W[bb])" * 3 + "(;SZ[9];B[cc])"
    found = records(text)
    assert [len(record.moves) for record in found if isinstance(record, GameRecord)] == [2, 2, 2, 1]


@pytest.mark.parametrize(
    "text",
    [
        "(;" * 200_000,
        "(;" + "(;" * 70_000 + ")" * 70_001,
        ";" * 300_000,
        "(" + ";" * 300_000 + ")",
        "(;C" + "[]" * 1_100_000,
    ],
    ids=["open", "deep", "junk", "nodes", "values"],
)
def test_no_nesting_or_number_is_too_much(text) -> None:
    assert [item for item in records(text) if isinstance(item, GameRecord)] == []
    assert [item.moves.tolist() for item in records("(;SZ[9]" + "(;" * 60_000 + "B[aa]" + ")" * 60_001)] == [[0]]


def test_what_cannot_be_written() -> None:
    with pytest.raises(RecordError, match="not connect_four"):
        dumps(GameRecord("connect_four", np.array([0])))
    with pytest.raises(RecordError, match="SGF has no words for the result"):
        dumps(GameRecord("go_9x9", np.array([0]), returns=np.array([0.5, -0.5])))
    with pytest.raises(ArenaError, match="ply 1"):
        dumps(GameRecord("go_9x9", np.array([0, 0])))


@pytest.mark.parametrize(
    "name", ["go_9x9", "go_9x9:komi=0.5,suicide=true", "othello", "gomoku_9x9", "hex_5x5:swap=true"]
)
def test_every_game_comes_back(name) -> None:
    game, rng, states = games.make(name), np.random.default_rng(3), games.make(name).init(1)
    actions = []
    while not states["terminated"][0] and len(actions) < 200:
        actions.append(int(rng.choice(np.flatnonzero(game.legal_action_mask(states)[0]))))
        game.step(states, actions[-1:])
    record = GameRecord(
        game=game.spec.name,
        moves=np.array(actions),
        returns=np.array([-1, 1]),
        end=EndReason.RESIGNATION,
        end_text="W+R",
        players=("A]nn", "B\\"),
        tags={"Event": "a]\\", "White:Elo": "15:00", "TM": "60", "EV": "not the event"},
        comments=tuple(f"line {ply}\nline :]" if ply % 3 == 0 else "" for ply in range(len(actions) + 1)),
        evaluations=np.where(np.arange(len(actions)) % 2, np.nan, rng.uniform(-1, 1, len(actions))),
    )
    assert loads(dumps(record)) == record
