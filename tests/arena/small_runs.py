"""Real presets, shrunken in size only, for tests that train."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from arena.config import TrainConfig, preset
from arena.metrics import Reporter


def small(game: str, run: Path, **changes: object) -> TrainConfig:
    """The game's preset with a tiny network, few games at once and short everything."""
    config = preset(game)
    config = replace(
        config,
        run=run,
        report_seconds=0.5,
        network=replace(config.network, blocks=1, channels=8),
        search=replace(config.search, simulations=8),
        self_play=replace(
            config.self_play,
            slots=16,
            shard_positions=128,
            cache_megabytes=1.0,
            start_simulations=min(config.self_play.start_simulations, 12),
        ),
        replay=replace(config.replay, window_min=300, window_max=1000),
        learner=replace(config.learner, batch_size=32, minimum_positions=200, publish_steps=5),
        judge=replace(
            config.judge, games=2, simulations=4, anchors=("random",), accuracy_simulations=4, accuracy_positions=4
        ),
    )
    return replace(config, **changes)


def synchronous(game: str, run: Path, max_steps: int, **changes: object) -> TrainConfig:
    """A run in one process that is exactly repeatable, and that nobody judges."""
    config = small(game, run, synchronous=True, max_steps=max_steps)
    return replace(config, judge=replace(config.judge, enabled=False), **changes)


class Transcript(Reporter):
    """A reporter that keeps what it is told, on a console that is not a terminal."""

    def __init__(self) -> None:
        self._buffer = StringIO()
        super().__init__("test", Console(file=self._buffer, width=1000, force_terminal=False))

    @property
    def text(self) -> str:
        return self._buffer.getvalue()
