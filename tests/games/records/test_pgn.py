"""PGN: what the standard has, what files in the wild have, and what is broken."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import games
from games import EndReason
from games.records import GameRecord, RecordError, replay
from games.records.pgn import dumps, parse

CHESS = "chess:claim_draws=false"
TWO_GAMES = """
[Event "Casual"]
[Site "?"]
[Date "????.??.??"]
[White "Ann \\"A\\" \\\\ Lee"]
[Black "Bö"]
[Result "1-0"]

1. e4 {best by test} e5 2.Bc4 $1 Nc6 ; a comment { to the end of the line
3. Qh5!? ( 3. d3 {quiet (so)} ( 3. c3 ) 3... Nf6 ) 3... Nf6?? 4. Qxf7# 1-0

[Event "Another"]
[Result "1/2-1/2"]

1. d4
% a line for programs [Event "none"]
d5 1/2-1/2
"""


def records(text: str | bytes) -> list[Any]:
    return list(parse(io.BytesIO(text if isinstance(text, bytes) else text.encode()), "x.pgn"))


def only(text: str | bytes) -> GameRecord:
    (record,) = records(text)
    assert isinstance(record, GameRecord), record
    return record


def moves(record: GameRecord) -> list[str]:
    game, states = games.make(record.game), replay(record)
    return [game.action_to_string(states[ply], int(action)) for ply, action in enumerate(record.moves)]


def test_what_the_standard_has() -> None:
    first, second = records(TWO_GAMES)
    assert isinstance(first, GameRecord)
    assert isinstance(second, GameRecord)
    assert first.game == CHESS
    assert moves(first) == ["e4", "e5", "Bc4", "Nc6", "Qh5", "Nf6", "Qxf7#"]
    assert first.players == ('Ann "A" \\ Lee', "Bö")
    assert first.tags == {"Event": "Casual"}
    assert first.comments == ("", "best by test", "", "", "a comment { to the end of the line", "", "", "")
    assert first.returns is not None
    assert first.returns.tolist() == [1, -1]
    assert (first.end, first.number, first.source) == (EndReason.WIN, 1, "x.pgn")
    assert replay(first)["terminated"][-1]
    assert moves(second) == ["d4", "d5"]
    assert (second.end, second.number) == (EndReason.DRAW, 2)


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
@pytest.mark.parametrize(("encoding", "start"), [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("latin-1", b"")])
def test_line_ends_and_encodings(ends, encoding, start) -> None:
    assert records(start + TWO_GAMES.replace("\n", ends).encode(encoding)) == records(TWO_GAMES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("e4 e5 Nf3", "e4 e5 Nf3"),
        ("1 e4 e5 2 Nf3 *", "e4 e5 Nf3"),
        ("1.e4 e5 2.Nf3 Nc6 3.Bc4 Nf6 4.0-0", "e4 e5 Nf3 Nc6 Bc4 Nf6 O-O"),
        ("1. e4 f5 2. e5 d5 3. exd6 e.p. *", "e4 f5 e5 d5 exd6"),
        ("1. ... ", ""),
        ("*", ""),
    ],
)
def test_movetext_without_tags(text, expected) -> None:
    assert [move for record in records(text) for move in moves(record)] == expected.split()


def test_numbers_without_dots_do_not_shift_comments() -> None:
    record = only("1 e4 {a} e5 {[%value 0.5] b} 2 Nf3 {c} *")
    assert record.comments == ("", "a", "b", "c")
    assert record.evaluations is not None
    assert np.flatnonzero(~np.isnan(record.evaluations)).tolist() == [1]


def test_several_games_without_tags() -> None:
    assert [moves(record) for record in records("1. e4 1-0 1. d4 d5 0-1\n\n1. c4 *")] == [["e4"], ["d4", "d5"], ["c4"]]


def test_tags_alone_are_a_game_each() -> None:
    assert [record.tags for record in records('[Event "a"]\n\n[Event "b"]\n[Result "*"]\n\n*')] == [
        {"Event": "a"},
        {"Event": "b"},
    ]


def test_a_comment_may_hold_what_looks_like_a_tag() -> None:
    record = only('[Event "a"]\n\n1. e4 {see\n[Event "b"]\n} e5 *')
    assert record.comments == ("", 'see [Event "b"]', "")


def test_quotes_in_tags() -> None:
    assert only('[Event "the "best" of them"] \n[Site "x"] [Round "2"]\n\n*').tags == {
        "Event": 'the "best" of them',
        "Site": "x",
        "Round": "2",
    }


def test_a_starting_position() -> None:
    fen = "4k3/8/4K3/4P3/8/8/8/8 b - - 0 60"
    record = only(f'[SetUp "1"]\n[FEN "{fen}"]\n\n60... Kf8?? *')
    assert record.start == games.make(CHESS).state_to_string(games.make(CHESS).parse_state(fen)[0])
    assert "60... Kf8 *" in dumps(record)
    assert f'[FEN "{record.start}"]' in dumps(record)


@pytest.mark.parametrize(
    ("text", "what", "ply"),
    [
        ("1. e4 e5 2. Ke3 *", "Ke3 is illegal", 2),
        ("1. e4 e5 2. Xy9 *", "'Xy9' is not a move", 2),
        ("1. e4 {open", "a comment begins that never ends", 1),
        ("1. e4 } e5", "a comment ends that never began", 1),
        ("1. e4 ( 1. d4", "a variation begins that never ends", 1),
        ("1. e4 ) e5", "a variation ends that never began", 1),
        ('[Result "1-0"]\n\n1. e4 0-1', "the moves end with 0-1, but the tag Result says '1-0'", None),
        ('[Result "won"]\n\n1. e4', "'won' is not a result", None),
        ('[SetUp "1"]\n\n1. e4', "there is no tag FEN", None),
        ('[FEN "8/8"]\n\n1. e4', "is not a position of chess", None),
        ('[Variant "Chess960"]\n\n1. e4', "Unknown game 'Chess960'", None),
        ('[Event "a"]\n[Event "b"]\n\n1. e4', "the tag Event stands there twice", None),
    ],
)
def test_a_broken_game_is_one_error_and_the_next_is_read(text, what, ply) -> None:
    error, after = records(f'{text}\n\n[Event "next"]\n\n1. d4 d5 *\n')
    assert isinstance(error, RecordError)
    assert what in str(error)
    assert str(error).startswith("x.pgn, game 1" + (f", ply {ply}:" if ply is not None else ":"))
    assert (error.source, error.number, error.ply) == ("x.pgn", 1, ply)
    assert isinstance(after, GameRecord)
    assert after.number == 2
    assert moves(after) == ["d4", "d5"]


def test_an_open_comment_swallows_one_game_only() -> None:
    one, two = records('[Event "a"]\n\n1. e4 {open\n\n[Event "b"]\n\n1. d4 *')
    assert isinstance(one, RecordError)
    assert isinstance(two, GameRecord)


def test_utf_16_is_named() -> None:
    (error,) = records('[Event "a"]\n\n*'.encode("utf-16"))
    assert isinstance(error, RecordError)
    assert "UTF-16" in str(error)


def test_zero_bytes_between_games_do_no_harm() -> None:
    """A file of real games has two of them after a result."""
    assert [moves(record) for record in records(b'[Event "a"]\n\n1. e4 0-1\0\0\n\n[Event "b"]\n\n1. d4 *')] == [
        ["e4"],
        ["d4"],
    ]


@pytest.mark.parametrize(
    "name",
    ["chess", CHESS, "othello", "connect_four", "tic_tac_toe", "go_9x9:komi=6.5,ko=simple", "hex_5x5:swap=true"],
)
def test_every_game_comes_back(name) -> None:
    game, rng, states = games.make(name), np.random.default_rng(3), games.make(name).init(1)
    actions = []
    while not states["terminated"][0] and len(actions) < 80:
        actions.append(int(rng.choice(np.flatnonzero(game.legal_action_mask(states)[0]))))
        game.step(states, actions[-1:])
    record = GameRecord(
        game=game.spec.name,
        moves=np.array(actions),
        returns=np.array([0.5, -0.5]),
        end=EndReason.FORFEIT,
        end_text="time forfeit",
        players=("Ann", 'B "\\" ö'),
        tags={"Event": "a", "Round": "2", "WhiteElo": "1500"},
        comments=tuple(f"comment {ply}" if ply % 3 == 0 else "" for ply in range(len(actions) + 1)),
        evaluations=np.where(np.arange(len(actions)) % 2, np.nan, rng.uniform(-1, 1, len(actions))),
    )
    assert only(dumps(record)) == record
    assert all(len(line) <= 80 or "{" in line for line in dumps(record).splitlines())


def test_a_game_from_a_position_comes_back() -> None:
    game = games.make("connect_four")
    states = game.init(1)
    for action in (3, 3, 2):
        game.step(states, [action])
    record = GameRecord("connect_four", np.array([2, 4]), start=game.state_to_string(states[0]))
    text = dumps(record)
    assert only(text) == record
    assert "2... 3" in text  # black moves first


def test_an_illegal_move_is_not_written() -> None:
    with pytest.raises(RecordError, match="ply 1: connect_four, ply 1: action 9 is illegal"):
        dumps(GameRecord("connect_four", np.array([0, 9])))
