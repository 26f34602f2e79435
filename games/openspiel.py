"""How OpenSpiel (https://github.com/google-deepmind/open_spiel) names our games and numbers their actions.

The rules are the same in every legal move, with one exception: in Go, OpenSpiel allows a move that repeats a position,
and ends the game there. Nothing here imports OpenSpiel before it must.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from games.core import Array, Game, UnsupportedError
from games.notation import board_size, family

_NAMES = {
    "chess": "chess",
    "connect_four": "connect_four",
    "go": "go(board_size={size},komi={komi},max_game_length={plies})",
    "gomoku": "gomoku(size={size})",
    "hex": "hex(board_size={size},swap={swap})",
    "othello": "othello",
    "shogi": "shogi",
    "tic_tac_toe": "tic_tac_toe",
}
_SAME_RULES = {"komi", "ko", "swap", "planes", "history"}
"""Options under which it is still the same game there, or that change nothing but what a network sees."""


def their_name(game: Game) -> str:
    """What ``pyspiel.load_game`` takes. Raises UnsupportedError where OpenSpiel does not play this."""
    name, options = family(game), game.spec.name.partition(":")[2]
    other = {option.partition("=")[0] for option in options.split(",") if option} - _SAME_RULES
    if name not in _NAMES or other:
        raise UnsupportedError(f"OpenSpiel does not play {game.spec.name}; it plays {', '.join(sorted(_NAMES))}.")
    facts = {"komi": getattr(game, "komi", 0.0), "swap": getattr(game, "swap", False), "plies": game.spec.max_plies}
    return _NAMES[name].format(size=board_size(game), **facts)


def their_numbers(game: Game, states: Array, other: Any) -> Array:
    """int64 ``[A]``: OpenSpiel's number of each of our actions that is legal in ``states`` ``[1]``, which ``other`` is
    there; -1 elsewhere."""
    numbers, name = np.full(game.spec.num_actions, -1, np.int64), family(game)
    legal = np.flatnonzero(game.legal_action_mask(states)[0])
    if name == "go":  # whose rows are counted from the bottom
        size = board_size(game)
        numbers[legal] = np.append(np.arange(size * size).reshape(size, size)[::-1], size * size)[legal]
    elif name in ("chess", "shogi"):
        ours, theirs = (_uci_words if name == "chess" else _usi_words)(game, states[0], legal, other)
        numbers[legal] = [theirs.get(word, -1) for word in ours]
    else:
        numbers[legal] = legal
    return numbers


def _uci_words(game: Any, state: np.void, legal: Array, other: Any) -> tuple[list[str], dict[str, int]]:
    """Our legal moves and theirs in UCI."""
    import pyspiel

    board = other.board()
    theirs = {pyspiel.chess.action_to_move(action, board).to_lan(): action for action in other.legal_actions()}
    return [game.move_to_uci(state, int(action)) for action in legal], theirs


def _usi_words(game: Any, state: np.void, legal: Array, other: Any) -> tuple[list[str], dict[str, int]]:
    """Our legal moves and theirs in USI."""
    theirs = {other.action_to_string(action): action for action in other.legal_actions()}
    return [game.action_to_string(state, int(action)) for action in legal], theirs
