"""What is seen while a tournament is played: games, score, Elo and the time that is left."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

import agents
from arena import standings
from arena.standings import console_for, play_with_progress
from arena.tournament import Settings, Tournament

SPECS = ("solver", "random")


def play(directory: Path, console: Console, specs: tuple[str, ...], *, resume: bool = False) -> bool:
    settings = Settings("tic_tac_toe", specs, games=20)
    one = (Tournament.resume if resume else Tournament.create)(directory, settings)
    return play_with_progress(one, [agents.make(spec, one.game) for spec in specs], console, slots=3)


def test_a_terminal_has_a_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standings, "_SECONDS_BETWEEN", {True: 0.0, False: 0.0})
    screen = io.StringIO()
    assert play(tmp_path, Console(file=screen, force_terminal=True, width=120), SPECS)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert re.search(r"\d+/20 +\d+\.\d%, [+-]\d+ ± \d+ Elo.*left \d:\d\d:\d\d", text)


def test_elsewhere_there_is_a_line_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standings, "_SECONDS_BETWEEN", {True: 0.0, False: 0.0})
    for specs, resume, total in ((SPECS, False, 20), ((*SPECS, "solver:ties=first"), True, 60)):
        screen = io.StringIO()
        assert play(tmp_path, console_for(screen), specs, resume=resume)
        lines = screen.getvalue().splitlines()
        assert len(lines) > 5
        for line in lines:
            assert re.fullmatch(rf"\d+ of {total} games; .*[+-]\d+ ± \d+ Elo; \d:\d\d:\d\d left", line), line
        assert lines[-1].startswith(f"{total} of {total} games")
        assert lines[-1].endswith("0:00:00 left")


def test_ctrl_c_ends_it_in_peace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(standings, "_SECONDS_BETWEEN", {True: 0.0, False: 0.0})
    monkeypatch.setattr(standings, "summary", interrupt)
    assert not play(tmp_path, console_for(io.StringIO()), SPECS)
    assert 0 < len(Tournament.load(tmp_path).records) < 20
