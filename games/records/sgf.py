"""SGF: Smart Game Format FF[4] (Hollosi, https://www.red-bean.com/sgf), for Go, Othello, Gomoku and Hex.

Read: the main line of each game (the first variation everywhere), stones set up before the first move, comments (C),
evaluations (V, black's point of view) and everything that the root says about the game. One file may hold many games.
The encoding is what CA says, else UTF-8 or else Latin-1. sgfmill reads and writes the tree, this module its meaning.

- Go (GM[1]): KM is the option ``komi``; the option ``ko`` is ``simple`` unless you say otherwise, since records follow
  all kinds of rules: ``read(path, ko="positional")``. Likewise ``komi=7.5`` for servers that write KM in units of
  their own. If HA says n stones and nothing sets them up, n moves of black at the beginning are those stones.
- Othello (GM[2]): points as in Go, ``B[ef]``, or ``B[e6]``; passes may be written or left out.
- Gomoku (GM[4]): points as in Go.
- Hex (GM[11]): cells as players write them, ``B[c4]``, black joins top and bottom; ``swap-pieces`` is the move ``swap``
  and brings the option ``swap=true``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
from sgfmill import sgf_grammar

from games.core import ArenaError, Array, EndReason, Game
from games.diagram import STONES, read_board, read_point, write_board
from games.records.core import GameRecord, Parsed, RecordError, end_of, game_of, game_text, result_text
from games.records.replay import replay
from games.records.sgf_text import COLORS, MainLine, main_lines, parse_game, text_of

_GAMES = {1: ("go", 19), 2: ("othello", 8), 4: ("gomoku", 15), 11: ("hex", 11)}  # by GM: the game and its usual size
_TAGS = {"EV": "Event", "PC": "Site", "DT": "Date", "RO": "Round", "AN": "Annotator", "ON": "Opening"}
_PLAYERS = ("PB", "PW")
# Properties of the root that are fields of the record, the board, or about the file.
_NOT_TAGS = {
    *("B", "W", "C", "V", "N", "AB", "AW", "AE", "PL", "FF", "GM", "SZ", "CA", "AP", "ST", "KM", "RE", "PB", "PW"),
    *("LB", "TR", "SQ", "CR", "MA", "DD", "VW", "TB", "TW", "XTAG", "XGAME"),
}
_ENDS = {"R": EndReason.RESIGNATION, "T": EndReason.FORFEIT, "F": EndReason.FORFEIT}


# ---- reading -----------------------------------------------------------------------------------------------------


def parse(stream: BinaryIO, source: str, **options: object) -> Parsed:
    """The games of ``stream``, in order; ``options`` are the game's, and override those that the record gives."""
    number = 0
    for number, line in enumerate(main_lines(stream), start=1):
        try:
            if isinstance(line, RecordError):
                raise line
            yield _record(line, source, number, options)
        except RecordError as error:
            yield RecordError(error.what, source=source, number=number, ply=error.ply)
        except ArenaError as error:
            yield RecordError(str(error), source=source, number=number)
    if not number:
        yield RecordError("there is no game in it; SGF begins with '(;'", source=source)


def loads(text: str, **options: object) -> GameRecord:
    """The first game of ``text``. Raises ArenaError, saying what is wrong with it."""
    return _record(parse_game(text.encode(errors="replace")), "", 0, options)


def _record(line: MainLine, source: str, number: int, options: dict[str, object]) -> GameRecord:
    family, size, name = _game_name(line, options)
    if family == "go":
        _take_handicap(line)
    game = game_of(name)
    start = _start(game, family, size, line)
    states = game.parse_state(start) if start else game.init(1)
    moves, written = _actions(game, family, size, line, states)
    root = {key: text_of(values[0]) for key, values in line.root.items() if len(values) == 1}
    result = root.get("RE", "").strip()
    returns, end = _result(result)
    tags = {_TAGS.get(key, key): value for key, value in root.items() if key not in _NOT_TAGS and value}
    for pair in line.root.get("XTAG", ()):  # what SGF has no property for, as written below
        key, value = sgf_grammar.parse_compose(pair)
        tags[text_of(key)] = text_of(value or b"")
    return GameRecord(
        game=name,
        moves=np.array(moves, np.int32),
        start=start,
        returns=returns,
        end=end,
        end_text=result,
        players=tuple(root.get(key, "") for key in _PLAYERS),
        tags=tags,
        comments=_comments(line, written),
        evaluations=_evaluations(line, written),
        source=source,
        number=number,
    )


def _game_name(line: MainLine, options: dict[str, object]) -> tuple[str, int, str]:
    """The family, the board's size, and the game as ``game_of`` takes it: XGAME, which we write ourselves, or what the
    other properties say."""
    kind = _number(line, "GM", 1)
    if kind not in _GAMES:
        known = ", ".join(f"{number} ({name})" for number, (name, _) in _GAMES.items())
        raise RecordError(f"GM[{kind}] is none of the games that are read: {known}")
    family, usual = _GAMES[kind]
    columns, _, rows = text_of(line.root.get("SZ", [str(usual).encode()])[0]).strip().partition(":")
    if not re.fullmatch("[0-9]{1,3}", columns, re.ASCII) or (rows or columns) != columns:
        raise RecordError(f"SZ[{columns[:20]}{':' * bool(rows)}{rows[:20]}] is not the size of a square board")
    size = int(columns)
    if family == "othello" and size != usual:
        raise RecordError(f"Othello is played on {usual} × {usual} squares, not {size} × {size}")
    name = family if family == "othello" else f"{family}_{size}x{size}"
    given: dict[str, object] = {}
    if own := text_of(line.root.get("XGAME", [b""])[0]):
        if own.partition(":")[0] != name:
            raise RecordError(f"XGAME[{own[:80]}] is another game than {name}, which GM and SZ name")
        name = own
    elif family == "go":
        given["ko"] = "simple"
        if komi := text_of(line.root.get("KM", [b""])[0]).strip():
            given["komi"] = _real(komi, "KM")
    elif family == "hex" and any(value.lower() == b"swap-pieces" for _, value in line.moves):
        given["swap"] = True
    return family, size, game_text(name, **(given | options))


def _take_handicap(line: MainLine) -> None:
    """Makes stones set up of the handicap's, where black places them by moves of its own."""
    stones = _number(line, "HA", 0)
    colors = [seat for seat, _ in line.moves[: stones + 1]]
    if stones < 2 or line.setup or len(colors) < stones or any(colors[:stones]) or colors[stones:] == [0]:
        return
    line.setup = {point: 0 for _, point in line.moves[:stones]}
    line.moves = line.moves[stones:]
    line.to_play = 1 if line.to_play is None else line.to_play
    line.comments = _later(line.comments, stones)
    line.values = {count - stones: value for count, value in line.values.items() if count > stones}


def _later(comments: dict[int, str], moves: int) -> dict[int, str]:
    """``comments`` when the first ``moves`` moves are none any more."""
    early = "\n".join(text for count, text in sorted(comments.items()) if count <= moves)
    return ({0: early} if early else {}) | {count - moves: text for count, text in comments.items() if count > moves}


def _start(game: Game, family: str, size: int, line: MainLine) -> str:
    """The position of the stones that were set up and who moves first; "" = the game's own start."""
    first = line.moves[0][0] if line.moves else line.to_play
    to_play = line.to_play if line.to_play is not None else 0 if first is None else first
    if not line.setup and to_play == 0:
        return ""
    fresh = game.state_to_string(game.init(1)[0])
    board = read_board(fresh.split()[0], size, size).ravel()
    for point, seat in line.setup.items():
        action = _action(point, family, size)
        if action >= size * size:
            raise RecordError(f"{text_of(point)[:80]!r} is not a point where a stone can be set up")
        board[action] = seat
    text = f"{write_board(board.reshape(size, size))} {STONES[to_play]}"
    if family == "othello":
        text += f" {(int((board >= 0).sum()) + to_play) % 2}"  # the fewest passes that may have been before
    return "" if text == fresh else text


def _actions(game: Game, family: str, size: int, line: MainLine, start: Array) -> tuple[list[int], list[int]]:
    """The actions, and how many of them there are after 0, 1, 2, … written moves: where a colour moves twice running,
    the other passes if it must (Othello)."""
    actions: list[int] = []
    written = [0]
    states = start.copy() if family == "othello" else None
    seat = int(start["to_play"][0])
    for mover, value in line.moves:
        if family == "hex" and value.lower() in (b"resign", b"forfeit"):
            break
        try:
            action = _action(value, family, size)
            if states is not None:
                if mover != seat and game.legal_action_mask(states)[0, size * size]:
                    game.step(states, [size * size])
                    actions.append(size * size)
                    seat = int(states["to_play"][0])
                game.step(states, [action])
            if mover != seat:
                raise RecordError(f"{COLORS[mover]} moves, but it is {COLORS[seat]}'s turn")
        except ArenaError as error:
            raise RecordError(getattr(error, "what", str(error)), ply=len(actions)) from error
        actions.append(action)
        written.append(len(actions))
        seat = 1 - seat
    return actions, written


def _action(value: bytes, family: str, size: int) -> int:
    """The action of a move or point as the family's records write it."""
    if (known := _points(family, size).get(value)) is not None:
        return known
    text = value.decode("latin-1")
    if family == "hex":
        if text.lower() == "swap-pieces":
            return size * size
        point = read_point(text)
        column, row = (point[0], point[1] - 1) if point else (size, size)
    elif family in ("go", "othello") and text in ("", "tt"):
        return size * size
    elif family == "othello" and (point := read_point(text)):
        column, row = point[0], point[1] - 1
    else:
        column, row = (ord(letter) - ord("a") for letter in text) if len(text) == 2 else (size, size)
    if not (0 <= column < size and 0 <= row < size):
        raise RecordError(f"{text[:80]!r} is not a point of {family} on {size} × {size}, as SGF writes it")
    return size * row + column


@functools.lru_cache(maxsize=64)
def _points(family: str, size: int) -> dict[bytes, int]:
    """The actions of the cells as ``_point`` writes them."""
    return {_point(action, family, size).encode(): action for action in range(size * size)}


def _result(text: str) -> tuple[Array | None, EndReason | None]:
    """What RE says: the returns by seat, and how the game ended."""
    if text in ("0", "Draw", "Jigo"):
        return np.zeros(2, np.float32), EndReason.DRAW
    if not (won := re.fullmatch(r"([BW])\+(.*)", text, re.IGNORECASE | re.DOTALL)):
        return None, None  # nothing, Void, ?, or words of its own, which remain as ``end_text``
    returns = np.array([1, -1], np.float32) * (1 if won[1].upper() == "B" else -1)
    return returns, _ENDS.get(won[2].strip().upper()[:1], end_of(returns))


def _comments(line: MainLine, written: list[int]) -> tuple[str, ...]:
    if not line.comments:
        return ()
    comments = [""] * (written[-1] + 1)
    for count, text in line.comments.items():
        ply = written[min(count, len(written) - 1)]
        comments[ply] = f"{comments[ply]}\n{text}".strip("\n")
    return tuple(comments)


def _evaluations(line: MainLine, written: list[int]) -> Array | None:
    """float32 ``[T]``: V, where it is a number from -1 to 1, for the player of the move; others count points."""
    values = np.full(written[-1], np.nan, np.float32)
    for count, text in line.values.items():
        is_number = re.fullmatch(rb"\s*[+-]?\d*\.?\d+([eE]-?\d+)?\s*", text[:40])
        if is_number and 0 < count < len(written) and abs(value := float(text[:40])) <= 1:
            values[written[count] - 1] = value if line.moves[count - 1][0] == 0 else -value
    return None if np.isnan(values).all() else values


def _number(line: MainLine, key: str, default: int) -> int:
    text = text_of(line.root.get(key, [b""])[0]).strip()
    if text and not re.fullmatch("[0-9]{1,6}", text, re.ASCII):
        raise RecordError(f"{key}[{text[:80]}] is not a number")
    return int(text or default)


def _real(text: str, key: str) -> float:
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text[:40], re.ASCII):
        raise RecordError(f"{key}[{text[:80]}] is not a number")
    return float(text[:40])


# ---- writing -----------------------------------------------------------------------------------------------------


def to_bytes(records: Iterable[GameRecord]) -> Iterator[bytes]:
    """The records as an SGF collection, one piece of it per game."""
    for record in records:
        yield dumps(record).encode()


def dumps(record: GameRecord) -> str:
    """One game as SGF.

    Raises:
        RecordError: the game is none of those that are written, or a move is illegal.
    """
    base = record.game.partition(":")[0]
    family, _, sizes = base.partition("_")
    kind = next((kind for kind, (name, _) in _GAMES.items() if name == family), None)
    if kind is None:
        raise record.error(f"SGF here holds {', '.join(name for name, _ in _GAMES.values())}, not {record.game}")
    size = int(sizes.partition("x")[0] or _GAMES[kind][1])
    game, states = game_of(record.game), replay(record)
    tree = sgf_grammar.Coarse_game_tree()
    tree.sequence = [_root(record, game, kind, size, states)]
    for ply, action in enumerate(record.moves.tolist()):
        seat = int(states["to_play"][ply])
        node = {COLORS[seat]: [_point(action, family, size)]}
        if record.evaluations is not None and not np.isnan(value := record.evaluations[ply]):
            node["V"] = [str(value if seat == 0 else -value)]
        if record.comments and record.comments[ply + 1]:
            node["C"] = [record.comments[ply + 1]]
        tree.sequence.append(_raw(node))
    return sgf_grammar.serialise_game_tree(tree).decode()


def _root(record: GameRecord, game: Game, kind: int, size: int, states: Array) -> dict[str, list[bytes]]:
    """The properties of the root: the game, the stones that are there, and all that the record says about it."""
    root: dict[str, list[str]] = {
        "FF": ["4"],
        "GM": [str(kind)],
        "SZ": [str(size)],
        "CA": ["UTF-8"],
        "XGAME": [record.game],
    }
    if isinstance(komi := getattr(game, "komi", None), float):
        root["KM"] = [f"{komi:g}"]
    root |= {key: [name] for key, name in zip(_PLAYERS, record.players, strict=True) if name}
    if result := _result_text(record, game, states[-1]):
        root["RE"] = [result]
    names = {name: key for key, name in _TAGS.items()}
    others: list[bytes] = []
    for name, value in record.tags.items():
        key = names.get(name, name)
        if re.fullmatch("[A-Z]{1,64}", key, re.ASCII) and key not in {*_NOT_TAGS, *root} and key not in _TAGS.values():
            root[key] = [value]
        else:
            others.append(sgf_grammar.compose(_escaped(name), _escaped(value)))
    if record.comments and record.comments[0]:
        root["C"] = [record.comments[0]]
    if record.start:
        family = _GAMES[kind][0]
        board = read_board(game.state_to_string(states[0]).split()[0], size, size).ravel()
        for key, seat in (("AB", 0), ("AW", 1)):
            if points := [_point(int(cell), family, size) for cell in np.flatnonzero(board == seat)]:
                root[key] = points
        root["PL"] = [COLORS[int(states["to_play"][0])]]
    return _raw(root) | ({"XTAG": others} if others else {})


def _result_text(record: GameRecord, game: Game, last: np.void) -> str:
    """RE: the record's own words where they say its result, else what the result and the end come to."""
    said, _ = _result(record.end_text)
    returns = record.returns
    if returns is None:
        return record.end_text if said is None else ""
    if said is not None and np.array_equal(said, returns):
        return record.end_text
    if not returns.any():
        return "Draw"
    if abs(float(returns[0])) != 1:
        raise record.error(f"SGF has no words for the result {result_text(returns)}")
    ends = {EndReason.RESIGNATION: "R", EndReason.FORFEIT: "F"}
    color = COLORS[int(returns[0] < 0)]
    if record.end is EndReason.WIN and last["terminated"] and hasattr(game, "result"):
        return score if (score := game.result(last))[:1] == color else f"{color}+"  # type: ignore[attr-defined]
    return f"{color}+{ends.get(record.end or EndReason.ONGOING, '')}"


def _point(action: int, family: str, size: int) -> str:
    """The inverse of ``_action``."""
    row, column = divmod(action, size)
    if family == "hex":
        return "swap-pieces" if row == size else f"{chr(ord('a') + column)}{row + 1}"
    return "" if row == size else chr(ord("a") + column) + chr(ord("a") + row)


def _raw(node: dict[str, list[str]]) -> dict[str, list[bytes]]:
    return {key: [_escaped(value) for value in values] for key, values in node.items()}


def _escaped(text: str) -> bytes:
    return sgf_grammar.escape_text(text.encode(errors="replace"))
