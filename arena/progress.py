"""What one report of a training run says: numbers for the files, and the same as a person reads them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from agents.search import SearchStats
from arena.self_play import SelfPlayStats

if TYPE_CHECKING:
    from arena.train import Training

_SUMMED = ("seconds", "games", "positions", "plies", "first_player_wins", "draws", "truncated")
_SUMMED += ("resigned", "played_on", "resigned_wrongly")


class Tally:
    """Adds up what workers report between two reports of the run."""

    def __init__(self) -> None:
        self._parts: list[SelfPlayStats] = []

    def add(self, stats: SelfPlayStats) -> None:
        """Counts one more portion."""
        self._parts.append(stats)

    def take(self) -> SelfPlayStats:
        """The sums since the last call."""
        parts, self._parts = self._parts, []
        search = SearchStats()
        for part in parts:
            for name, value in vars(part.search).items():
                setattr(search, name, getattr(search, name) + value)
        sums = {name: sum(getattr(part, name) for part in parts) for name in _SUMMED}
        return SelfPlayStats(search=search, **sums)


def train_record(training: Training, interval: float, memory: int) -> dict[str, Any]:
    """The numbers of one report, and a fresh start for those that are counted from report to report.

    Args:
        training: the session.
        interval: seconds since the last report; rates are per second of it and the driver's shares are of it.
        memory: bytes that all processes of the run hold.
    """
    tally, losses, shares = training.tally.take(), training.learner.losses(), training.stopwatch.take()
    search, replay = tally.search, training.replay
    deaths = 0 if training.pool is None else training.pool.deaths
    record: dict[str, Any] = {
        "seconds": training.seconds,
        "progress": training.progress,
        "positions": replay.total_positions,
        "window": replay.num_positions,
        "different_share": _ratio(replay.num_different, replay.num_positions),
        "samples": training.samples,
        "shards": training.num_shards,
        "games_per_second": tally.games / interval,
        "positions_per_second": tally.positions / interval,
        "simulations_per_second": search.simulations / interval,
        "evaluations_per_second": search.evaluations / interval,
        "evaluated_share": _ratio(search.evaluations, search.simulations),
        "cache_share": _ratio(search.cache_hits, search.simulations),
        "duplicate_share": _ratio(search.duplicates, search.simulations),
        "terminal_share": _ratio(search.terminals, search.simulations),
        "network_share": _ratio(search.seconds_network, tally.seconds),
        "batch": _ratio(search.evaluations, search.batches),
        "length": _ratio(tally.plies, tally.games),
        "first_player_share": _ratio(tally.first_player_wins, tally.games),
        "draw_share": _ratio(tally.draws, tally.games),
        "truncated_share": _ratio(tally.truncated, tally.games),
        "resigned_share": _ratio(tally.resigned, tally.games),
        "resigned_wrongly_share": _ratio(tally.resigned_wrongly, tally.played_on),
        "steps_per_second": losses.steps / interval,
        "policy_loss": losses.policy,
        "value_loss": losses.value,
        "target_entropy": losses.target_entropy,
        "policy_entropy": losses.policy_entropy,
        "gradient_norm": losses.gradient_norm,
        "learning_rate": training.learner.learning_rate(training.progress),
        "worker_deaths": deaths,
        "memory_gb": memory / 2**30,
    }
    return record | {f"driver_{name}_share": spent / interval for name, spent in shares.items()}


def columns(step: int, record: dict[str, Any]) -> dict[str, str]:
    """The record as a person reads it."""
    minutes, seconds = divmod(int(record["seconds"]), 60)
    shown = {
        "time": f"{minutes}:{seconds:02d} ({record['progress']:.0%})",
        "step": f"{step} ({record['steps_per_second']:.1f}/s)",
        "positions": f"{record['positions']} ({record['positions_per_second']:.0f}/s)",
        "different": _percent(record["different_share"]),
        "games/s": f"{record['games_per_second']:.1f}",
        "simulations/s": f"{record['simulations_per_second']:.0f}",
        "evaluations/s": f"{record['evaluations_per_second']:.0f}",
        "cached": _percent(record["cache_share"]),
        "network": _percent(record["network_share"]),
        "length": _number(record["length"], ".1f"),
        "draws": _percent(record["draw_share"]),
        "policy loss": _number(record["policy_loss"], ".3f"),
        "value loss": _number(record["value_loss"], ".3f"),
        "entropy": _number(record["policy_entropy"], ".2f"),
        "lr": f"{record['learning_rate']:.1e}",
        "memory": f"{record['memory_gb']:.2f} GB",
    }
    if record["resigned_share"] > 0:  # not where it is NaN, since no game has ended
        wrong = _percent(record["resigned_wrongly_share"])
        shown["resigned"] = f"{_percent(record['resigned_share'])} ({wrong} wrongly)"
    if record["worker_deaths"]:
        shown["workers replaced"] = str(record["worker_deaths"])
    return shown


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _percent(share: float) -> str:
    return _number(share, ".0%")


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)
