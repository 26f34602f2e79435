"""An engine that misbehaves as told: ``fake_engine.py PROTOCOL STAGE DEED [STARTS FILE]``.

It speaks ``uci`` (chess, moves by python-chess), ``usi`` (hello only) or ``gtp`` (Go, it always passes), until
``STAGE`` (the word that it is told: ``uci``, ``go``, ``genmove``, …), where it does ``DEED``. With ``STARTS``, the
numbers of its starts such as ``1+3``, counted in ``FILE``, it only does so in those.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

DEEDS = ("hang", "die", "flood", "line", "utf16", "deaf", "illegal", "nonsense", "resign", "slow")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def misbehave(deed: str, protocol: str) -> bool:
    """Does it; returns whether that was all the answer there is."""
    if deed == "hang":
        time.sleep(1000)
    elif deed == "die":
        sys.stderr.write("out of memory, as far as I can tell\n")
        sys.exit(3)
    elif deed == "flood":
        while True:
            say("info string " + 1000 * "x")
    elif deed == "line":
        while True:
            sys.stdout.write(100_000 * "x")
    elif deed == "utf16":
        sys.stdout.buffer.write("uciok readyok = bestmove e2e4\n".encode("utf-16"))
        sys.stdout.buffer.flush()
        time.sleep(1000)
    elif deed == "deaf":  # it neither reads nor leaves
        os.close(0)
        time.sleep(1000)
    elif deed in ("illegal", "nonsense", "resign"):
        word = {"illegal": ("e2e5", "A99"), "nonsense": ("Möwe", "Möwe"), "resign": ("resign", "resign")}[deed]
        say(f"bestmove {word[0]}" if protocol == "uci" else f"= {word[1]}\n")
    elif deed == "slow":
        time.sleep(0.6)
        return False
    return True


def main() -> None:
    protocol, stage, deed, *rest = sys.argv[1:]
    if rest:
        starts, file = rest[0].split("+"), Path(rest[1])
        number = len(file.read_text()) + 1 if file.exists() else 1
        file.write_text(number * ".")
        if str(number) not in starts:
            stage = "never"
    if stage == "child":  # something that would outlive a careless end
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        Path(deed).write_text(f"{os.getpid()} {child.pid}")
        stage, deed = "quit", "hang"
    position = "position startpos"
    for line in iter(sys.stdin.readline, ""):
        words = line.split()
        if not words:
            continue
        if words[0] == stage and misbehave(deed, protocol):
            continue
        if words[0] == "quit":
            break
        if protocol in ("uci", "usi"):
            position = line if words[0] == "position" else position
            answer_uci(words[0], position)
        else:
            commands = "boardsize clear_board play genmove komi set_random_seed time_settings time_left"
            answers = {"protocol_version": "2", "list_commands": commands.replace(" ", "\n"), "genmove": "pass"}
            say(f"= {answers.get(words[0], '')}\n")
    if stage == "quit":
        time.sleep(1000)


def answer_uci(word: str, position: str) -> None:
    if word == "uci":
        say(
            "id name Fäke\noption name Hash type spin default 16 min 1 max 64\n"
            "option name Style type combo default Wild"
        )
        say("option name Skill Level type combo default high var very low var high\noption name Wipe type button")
        say("option name UCI_LimitStrength type check default false\noption name UCI_Elo type spin min 500 max 2000")
        say("uciok")
    elif word == "usi":
        say("id name Fäke\nusiok")
    elif word == "isready":
        say("readyok")
    elif word == "go":
        import chess

        _, _, rest = position.partition("fen ")
        fen, _, moves = rest.partition(" moves ")
        board = chess.Board(fen.strip())
        for move in moves.split():
            board.push_uci(move)
        say("info depth 1 score cp 25 pv\ninfo depth 1 score lowerbound cp\ninfo multipv 2 score cp -900")
        say(f"bestmove {next(iter(board.legal_moves)).uci()} ponder")


if __name__ == "__main__":
    main()
