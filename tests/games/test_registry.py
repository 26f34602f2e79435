"""Games by name, and their options as part of it."""

from __future__ import annotations

import pytest

import games


@pytest.mark.parametrize(
    ("asked", "options", "name"),
    [
        ("hex_5x5", {}, "hex_5x5"),
        ("hex_5x5:swap=true", {}, "hex_5x5:swap=true"),
        ("hex_5x5", {"swap": True}, "hex_5x5:swap=true"),
        ("hex_5x5:swap=false", {}, "hex_5x5"),
    ],
)
def test_options_that_differ_are_part_of_the_name(asked: str, options: dict[str, object], name: str) -> None:
    game = games.make(asked, **options)
    assert game.spec.name == name
    assert game.spec.num_actions == 25 + ("swap" in name)
    assert games.make(game.spec.name).spec == game.spec


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("othelo:swap=true", games.UnknownNameError, "did you mean 'othello'"),
        ("hex_5x5:swop=true", games.UnknownNameError, "did you mean 'swap'"),
        ("hex_5x5:", games.UnknownNameError, "Accepted: swap"),
        ("hex_5x5:swap=maybe", games.ArenaError, "'swap' of game 'hex_5x5' must be true or false, not 'maybe'"),
        ("connect_four:komi=7", games.UnknownNameError, "connect_four has no options"),
    ],
)
def test_unknown_options(name: str, error: type[games.ArenaError], message: str) -> None:
    with pytest.raises(error, match=message):
        games.make(name)
