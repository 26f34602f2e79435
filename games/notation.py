"""How the protocols of engines write games: UCI (chess), USI (shogi) and GTP (Go, Othello, Hex and Gomoku).

UCI: Kahlen, 2006 (https://www.shredderchess.com/chess-features/uci-universal-chess-interface.html). USI: Romstad, 2007
(http://hgm.nubati.net/usi.html). GTP: Farnebäck, draft 2 of version 2, 2002 (https://www.lysator.liu.se/~gunnar/gtp).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from games.core import Array, Game, IllegalActionError, ParseError, UnsupportedError
from games.diagram import STONES, read_board

_GO_LETTERS = "ABCDEFGHJKLMNOPQRST"  # GTP has no column I
_MOST_TRIED = 50_000  # positions, in looking for a way to one


def family(game: Game) -> str:
    """The game without its size and options: ``go`` of ``go_9x9:komi=7``."""
    return re.sub(r"(_\d+x\d+)?(:.*)?$", "", game.spec.name)


# ---- UCI and USI -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LineProtocol:
    """UCI or USI, which is UCI for shogi.

    Attributes:
        name: ``uci`` or ``usi``.
        family: the game that it is for, which is also what engines call the variant.
        position: the word before a position in text.
    """

    name: str
    family: str
    position: str

    def check(self, game: Game) -> None:
        """Raises UnsupportedError where the protocol is not for this game."""
        if family(game) != self.family:
            raise UnsupportedError(
                f"{self.name.upper()} is for {self.family}, not for {game.spec.name}; "
                "engines for Go, Othello, Hex and Gomoku speak GTP."
            )

    def move_text(self, game: Game, state: np.void, action: int) -> str:
        """Such as ``e7e8q`` or ``7g7f``."""
        write = getattr(game, f"move_to_{self.name}", game.action_to_string)
        return write(state, action)

    def parse_move(self, game: Game, state: np.void, text: str) -> int:
        """The inverse of ``move_text``. Raises ParseError or IllegalActionError; ``Nf3`` is no move of UCI."""
        action = game.parse_action(state, text)
        if (written := self.move_text(game, state, action)) != text:
            raise ParseError(f"{game.spec.name}: {text[:40]!r} is not how {self.name.upper()} writes {written}.")
        return action

    def position_text(self, game: Game, state: np.void) -> str:
        """What follows ``position``: the last position that matters to repetition, and the moves since."""
        return f"{self.position} {game.state_to_string(state).partition(' seen ')[0]}"


def without_past(game: Game, states: Array) -> Array:
    """``states`` ``[1]`` as though the game began there, so that draws by repetition and by counting are far again."""
    if hasattr(game, "sfen"):
        return game.parse_state(game.sfen(states[0]))  # type: ignore[attr-defined]  # shogi has it
    bare = states.copy()
    for counts in {"reversible", "repetitions", "clock", "past"} & set(bare.dtype.names or ()):
        bare[counts] = 0
    return game.parse_state(game.state_to_string(bare[0]))


UCI = LineProtocol("uci", "chess", "fen")
USI = LineProtocol("usi", "shogi", "sfen")


# ---- GTP -------------------------------------------------------------------------------------------------------------

GTP_NAMES = {"go": "Go", "othello": "Othello", "hex": "Hex", "gomoku": "Gomoku"}
"""What ``list_games`` and ``set_game`` call the games, where a program knows these commands."""

COLORS = ("b", "w")  # by seat


def check_gtp(game: Game) -> None:
    """Raises UnsupportedError where GTP has no way to write the game."""
    if family(game) not in GTP_NAMES:
        raise UnsupportedError(f"GTP is for {', '.join(GTP_NAMES.values())}, not for {game.spec.name}.")


def board_size(game: Game) -> int:
    """Of GTP's ``boardsize``."""
    return game.spec.observation_shape[1]


def vertex(game: Game, state: np.void, action: int) -> str:
    """A move as GTP writes it: ``D4``, ``pass``. Gomoku's columns lose their I; Othello and Hex keep their own way."""
    text = game.action_to_string(state, action)
    if family(game) == "gomoku":
        return _GO_LETTERS[ord(text[0]) - ord("a")] + text[1:]
    return text if text in ("pass", "swap") else text.upper()


def parse_vertex(game: Game, state: np.void, text: str) -> int:
    """The inverse of ``vertex``; capitals or not. Raises ParseError or IllegalActionError."""
    word = text.strip()
    if family(game) == "gomoku" and word[:1].upper() in _GO_LETTERS:
        word = chr(ord("a") + _GO_LETTERS.find(word[0].upper())) + word[1:] if word else word
    elif family(game) == "gomoku":
        raise ParseError(f"{text[:40]!r} is not a point in GTP, which has no column I.")
    elif family(game) == "hex" and word.lower() == "swap-pieces":
        word = "swap"
    return game.parse_action(state, word)


def plays_to(game: Game, state: np.void) -> list[tuple[int, int]]:
    """Moves (seat, action) that lead from the empty board to ``state``; as they were, where that matters.

    Raises:
        UnsupportedError: no such moves were found.
    """
    if family(game) == "go":
        return _go_plays(game, state)
    if family(game) == "othello":
        return _othello_plays(game, state)
    # Stones never leave the board, so any order does.
    by_seat = [[(seat, int(action)) for action in np.flatnonzero(state["board"] == seat)] for seat in (0, 1)]
    longest = max(map(len, by_seat))
    return [plays[i] for i in range(longest) for plays in by_seat if i < len(plays)]


def _go_plays(game: Game, state: np.void) -> list[tuple[int, int]]:
    """The moves that the text of the position tells, after the stones that were set up."""
    words = game.state_to_string(state).split()
    at = words.index("from") if "from" in words else len(words)
    start = words[at + 1 :] or (words[:2] if at == 2 else [])
    plays, seat = [], 0
    if start:
        cells = read_board(start[0], board_size(game), board_size(game)).ravel()
        plays = [(seat, int(action)) for seat in (0, 1) for action in np.flatnonzero(cells == seat)]
        seat = STONES.index(start[1])
    states = game.init(1)
    for number, word in enumerate(words[3:at]):
        # Points are read on the empty board, where every one of them is legal.
        plays.append(((seat + number) % 2, game.parse_action(states[0], word)))
    return plays


def _othello_plays(game: Game, state: np.void) -> list[tuple[int, int]]:
    """Some moves that lead to these discs with this player to move: depth first, onto squares that are taken."""
    wanted, length = state["discs"], int(state["ply"])
    taken = np.append((wanted[0] | wanted[1]) >> np.arange(64, dtype=np.uint64) & np.uint64(1) == 1, True)
    stack: list[tuple[Array, list[tuple[int, int]]]] = [(game.init(1), [])]
    seen: set[int] = set()
    while stack and len(seen) < _MOST_TRIED:
        states, plays = stack.pop()
        if len(plays) == length:
            if np.array_equal(states["discs"][0], wanted) and states["to_play"][0] == state["to_play"]:
                return plays
            continue
        seat = int(states["to_play"][0])
        actions = np.flatnonzero(game.legal_action_mask(states)[0] & taken)
        children = np.repeat(states, len(actions))
        game.step_unchecked(children, actions)
        for i, key in enumerate(game.hash(children).tolist()):
            if key not in seen:
                seen.add(key)
                stack.append((children[i : i + 1], [*plays, (seat, int(actions[i]))]))
    raise UnsupportedError(
        f"{game.spec.name}: no moves were found that lead to {game.state_to_string(state)}, and GTP can tell an engine "
        "nothing but moves; begin games at their start or a few moves from it."
    )


def chains(game: Game, state: np.void) -> list[list[str]]:
    """The stones of Go's chains, as GTP writes points."""
    size, found = board_size(game), []
    board = read_board(game.state_to_string(state).split()[0], size, size)
    left = {(int(row), int(column)) for row, column in np.argwhere(board >= 0)}
    while left:
        chain = [left.pop()]
        for row, column in chain:  # which grows
            for other in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                if other in left and board[other] == board[row, column]:
                    left.remove(other)
                    chain.append(other)
        found.append([game.action_to_string(state, size * row + column) for row, column in chain])
    return found


def score_text(game: Game, state: np.void) -> str:
    """GTP's ``final_score``: ``B+3.5``, ``W+2``, ``0``. Raises IllegalActionError where it is not known yet."""
    if family(game) == "go":
        return game.result(state)  # type: ignore[attr-defined]  # Go has it
    if family(game) == "othello":
        black, white = (int(count) for count in np.bitwise_count(state["discs"]))
        lead = black - white
    elif not state["terminated"]:
        raise IllegalActionError(f"{game.spec.name}: there is no score before the game is over.")
    else:
        lead = int(game.returns(np.array([state]))[0, 0])
    return f"{'B' if lead > 0 else 'W'}+{abs(lead)}" if lead else "0"
