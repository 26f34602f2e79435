"""Broken text and bytes: thousands here, a million by hand (``python -m scripts.fuzz_parsers --inputs 1000000``)."""

from __future__ import annotations

import time

import numpy as np
import pytest

import games
from scripts import fuzz_parsers
from scripts.fuzz_parsers import Options, Outcome, Target, fuzz, mutate, reads_states, run


def test_thousands_of_broken_inputs() -> None:
    outcomes = run(Options(inputs=2000, seed=5))
    assert sum(outcome.counts.total() for outcome in outcomes.values()) == pytest.approx(2000, abs=40)
    assert [line for outcome in outcomes.values() for line in outcome.failures] == []
    kinds = ("pgn", "sgf", "wtb", "moves", "file.zip", "state chess", "action go_9x9")
    assert all(outcomes[kind].counts["refused"] for kind in kinds)
    assert all(outcomes[kind].counts["accepted"] for kind in ("pgn", "sgf", "wtb", "moves", "file.zip"))


def test_a_bad_parser_is_found_out(monkeypatch) -> None:
    def crashes(data: bytes) -> bool:
        return data.index(b"x") > 0

    def hangs(data: bytes) -> bool:
        started = time.process_time()
        while time.process_time() < started + 0.02:
            pass
        return True

    game = games.make("connect_four")
    truth = game.parse_state
    monkeypatch.setattr(game, "parse_state", lambda text: truth(text.replace("o", "x", 1)))
    monkeypatch.setattr(fuzz_parsers, "SECONDS_ALLOWED", 0.01)
    for accepts, seed, what in (
        (crashes, b"abc", "ValueError: subsection not found"),
        (hangs, b"abc", "it took 0.0 s"),
    ):
        fuzz(Target("bad", (seed,), accepts), 20, 0, outcome := Outcome())
        assert outcome.failures
        assert outcome.failures[0].startswith("bad, seed 0, input 0: ")
        assert what in outcome.failures[0]
    states = game.init(1)
    game.step(states, [3])
    game.step(states, [3])
    with pytest.raises(games.ArenaError):  # two stones of x: no position, so the changed text is refused, not taken
        reads_states(game)(game.state_to_string(states[0]).encode())


def test_mutations_are_repeatable_and_change_something() -> None:
    seeds = (b"hello", b"world")
    made = [mutate(seeds, np.random.default_rng([1, number])) for number in range(200)]
    assert made == [mutate(seeds, np.random.default_rng([1, number])) for number in range(200)]
    assert sum(data not in seeds for data in made) > 150


@pytest.mark.parametrize(("name", "move"), [("connect_four", "4"), ("tic_tac_toe", "5")])
def test_odd_spaces_around_a_move(name, move) -> None:
    """``str.strip`` knows more of them than ``int`` does."""
    game = games.make(name)
    assert game.parse_action(game.init(1)[0], f"\x1c{move}\x1d ") == int(move) - 1
