"""docs/add_a_game.md does what it says: its one file is a game, plays by the rules, and trains."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import games
from arena.config import preset
from games import registry

DOCUMENT = Path(__file__).parents[1] / "docs" / "add_a_game.md"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (source,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "breakthrough.py").write_text(source, encoding="utf-8")
    monkeypatch.setenv("ARENA_GAMES", str(tmp_path))
    registry._game_classes.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    registry._game_classes.cache_clear()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("name", ["breakthrough_6x6", "breakthrough_8x8"])
def test_keeps_the_contract(name: str) -> None:
    assert name in games.available()
    games.check_game(games.make(name))
    assert preset(name).game == name


@pytest.mark.usefixtures("elsewhere")
def test_plays_as_openspiel_does() -> None:
    pyspiel = pytest.importorskip("pyspiel")
    game, oracle = games.make("breakthrough_8x8"), pyspiel.load_game("breakthrough")
    rng = np.random.default_rng(0)

    def theirs(move: str) -> str:  # there the first player starts at the top
        return "".join(str(9 - int(x)) if x.isdigit() else x for x in move)

    for _ in range(50):
        state, other = game.init(1), oracle.new_initial_state()
        while not state["terminated"][0]:
            legal = np.flatnonzero(game.legal_action_mask(state)[0])
            moves = {theirs(game.action_to_string(state[0], int(action))): int(action) for action in legal}
            others = {other.action_to_string(action).rstrip("*"): action for action in other.legal_actions()}
            assert sorted(moves) == sorted(others)
            move = str(rng.choice(sorted(moves)))
            game.step(state, [moves[move]])
            other.apply_action(others[move])
        assert other.is_terminal()
        assert game.returns(state)[0].tolist() == other.returns()


def test_a_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARENA_GAMES", "no/such/folder")
    registry._game_classes.cache_clear()
    with pytest.raises(games.ArenaError, match="no/such/folder"):
        games.available()
    monkeypatch.undo()
    registry._game_classes.cache_clear()
