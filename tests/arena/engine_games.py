"""Whole games of our UCI engine in the hands of python-chess, against random moves or another engine.

By hand: ``python -m tests.arena.engine_games GAMES COMMAND [OTHER COMMAND]``, at 1 s + 0.01 s.
"""

from __future__ import annotations

import collections
import random
import shlex
import sys
import time


def play_with_python_chess(
    command: str, *, games: int, base: float, increment: float, other: str = "", tell: bool = False
) -> collections.Counter[str]:
    """How the engine fared: win, draw, loss, or time. An illegal move raises an error."""
    import chess
    import chess.engine

    results: collections.Counter[str] = collections.Counter()
    rng, least, slowest = random.Random(1), base, 0.0
    commands = [shlex.split(words) for words in (command, other) if words]
    engines = [chess.engine.SimpleEngine.popen_uci(words, timeout=120) for words in commands]
    try:
        for engine in engines:
            engine.ping()
        for number in range(games):
            board, ours, clocks = chess.Board(), number % 2 == 0, {True: base, False: base}
            while not board.is_game_over(claim_draw=True) and min(clocks.values()) >= 0:
                if board.turn != ours and not other:
                    board.push(rng.choice(list(board.legal_moves)))
                    continue
                limit = chess.engine.Limit(
                    white_clock=clocks[True], black_clock=clocks[False], white_inc=increment, black_inc=increment
                )
                started = time.monotonic()
                move = engines[board.turn != ours].play(board, limit, game=number).move
                clocks[board.turn] -= time.monotonic() - started
                if board.turn == ours:
                    least, slowest = min(least, clocks[ours]), max(slowest, time.monotonic() - started)
                if clocks[board.turn] >= 0:
                    clocks[board.turn] += increment
                assert move is not None
                board.push(move)
            outcome = board.outcome(claim_draw=True)
            result = "time" if clocks[ours] < 0 else "other's time" if outcome is None else "draw"
            if result == "draw" and outcome and outcome.winner is not None:
                result = "win" if outcome.winner == ours else "loss"
            results[result] += 1
            if tell:
                plies = f"{board.ply()} plies, {least:.3f} s at least, {slowest:.3f} s at most"
                print(number + 1, dict(results), plies)
    finally:
        for engine in engines:
            engine.quit()
    return results


if __name__ == "__main__":
    count, command, *others = sys.argv[1:]
    print(play_with_python_chess(command, games=int(count), base=1.0, increment=0.01, other="".join(others), tell=True))
