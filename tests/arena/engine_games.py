"""Whole games of our engines in the hands of others: python-chess (UCI), and a simple controller (GTP).

By hand, at 1 s + 0.01 s, against random moves or another engine; or on 9 × 9 points, 2 s for each game:

    python -m tests.arena.engine_games uci GAMES COMMAND [OTHER COMMAND]
    python -m tests.arena.engine_games gtp GAMES COMMAND OTHER COMMAND
"""

from __future__ import annotations

import collections
import random
import shlex
import sys
import time

from agents.engines.process import EngineProcess


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


def play_with_gtp(
    command: str, other: str, *, games: int, size: int, seconds: int, tell: bool = False
) -> collections.Counter[str]:
    """How the engine fared in Go against ``other``, which also keeps the score: win, loss, time or illegal."""
    engines = [EngineProcess(words) for words in (command, other)]
    results: collections.Counter[str] = collections.Counter()

    def ask(engine: EngineProcess, words: str) -> tuple[str, bool]:
        """The answer, and whether it is a good one."""
        engine.send(words)
        line = ""
        while line[:1] not in ("=", "?"):
            line = engine.receive(time.monotonic() + 120, words)
        while engine.receive(time.monotonic() + 120, words):
            pass
        return line[1:].strip(), line[0] == "="

    for engine in engines:
        assert ask(engine, f"boardsize {size}")[1]
    least = float(seconds)
    for number in range(games):
        for engine in engines:
            assert all(ask(engine, words)[1] for words in ("clear_board", "komi 7.5", f"time_settings {seconds} 0 0"))
        clocks, passes, ply, result = [float(seconds)] * 2, 0, 0, ""
        for ply in range(2 * size**2):
            color, mover = "bw"[ply % 2], (ply + number) % 2
            ask(engines[mover], f"time_left {color} {int(clocks[mover])} 0")
            started = time.monotonic()
            move, _ = ask(engines[mover], f"genmove {color}")
            clocks[mover] -= time.monotonic() - started
            least = min(least, clocks[0])
            passes = passes + 1 if move.lower() == "pass" else 0
            if move.lower() == "resign" or clocks[mover] < 0:
                result = ("time" if clocks[mover] < 0 else "loss") if mover == 0 else "win"
            elif not ask(engines[1 - mover], f"play {color} {move}")[1]:
                result = "illegal" if mover == 0 else "other's illegal move"
            if result or passes == 2:
                break
        if not result:
            winner = ask(engines[1], "final_score")[0][:1].lower()
            result = "win" if winner == "bw"[number % 2] else "loss"
        results[result] += 1
        if tell:
            print(number + 1, dict(results), f"{ply + 1} plies, {least:.1f} s at least", flush=True)
    for engine in engines:
        engine.close()
    return results


if __name__ == "__main__":
    protocol, count, command, *others = sys.argv[1:]
    if protocol == "uci":
        play_with_python_chess(command, games=int(count), base=1.0, increment=0.01, other="".join(others), tell=True)
    else:
        play_with_gtp(command, others[0], games=int(count), size=9, seconds=2, tell=True)
