"""The study's arithmetic and its write-up; the runs themselves take hours and are made by hand."""

from __future__ import annotations

import json

import pytest

from arena.config import parse
from games import ArenaError
from scripts import study
from scripts.study import BASE, BASELINE, FACTORS, MEASURES, Options, Run

FAST, SLOW = "a fast one", "a slow one"


def row(arm: str, found: float, repeat: int = 0, processor: str = FAST, minutes: float = 8.0) -> dict:
    facts = {"arm": arm, "flags": [], "seed": 0, "minutes": minutes, "repeat": repeat, "processor": processor}
    return {**facts, "found": dict.fromkeys(MEASURES, found) | {"steps": 1200}}


def test_every_arm_is_a_valid_and_real_change_of_the_base():
    baseline = parse(["connect_four", *BASE])
    for names in FACTORS.values():
        for name, flags in names.items():
            config = parse(["connect_four", *BASE, *flags])
            assert config != baseline, name


def test_arms_are_compared_with_the_base_on_their_processor():
    rows = [
        *(row(BASELINE, found, repeat) for repeat, found in enumerate((0.80, 0.82, 0.84))),
        *(row(BASELINE, found, repeat, SLOW) for repeat, found in enumerate((0.60, 0.64))),
        row("AdamW", 0.80),
        row("AdamW", 0.58, processor=SLOW),
        row("2x32", 0.5),
        row("4x48", 0.9, processor="one on which the base was not run"),
    ]
    base, small, adamw = study.summarise(study.largest_series([*rows, row("AdamW", 0.1, minutes=1.0)]))
    deviation = (16 / 3) ** 0.5  # squares of 4 + 4 and of 4 + 4, three degrees of freedom
    assert (base.name, base.runs, base.steps, base.difference["best"]) == (BASELINE, 5, 1200, pytest.approx(0))
    assert base.error["best"] == pytest.approx(deviation)
    assert (adamw.name, adamw.factor, adamw.runs) == ("AdamW", "learning", 2)
    assert adamw.means["best"] == pytest.approx(69.0)
    assert adamw.difference["best"] == pytest.approx(-3.0)  # of -2 and -4
    assert adamw.error["best"] == pytest.approx(deviation * (1 / 2 + (1 / 3 + 1 / 2) / 2) ** 0.5)
    assert small.difference["eight"] == pytest.approx(-32.0)
    assert small.error["eight"] == pytest.approx(deviation * (1 + 1 / 3) ** 0.5)


def test_chance_has_no_measure_where_the_base_ran_once():
    base, adamw = study.summarise([row(BASELINE, 0.8), row("AdamW", 0.7)])
    assert (base.error["best"], adamw.error["best"]) == (None, None)


def test_the_write_up(tmp_path):
    results = tmp_path / "study.jsonl"
    with pytest.raises(ArenaError, match="no results yet"):
        study.report(results)
    results.write_text(json.dumps(row("AdamW", 0.7)) + "\n")
    with pytest.raises(ArenaError, match="no run of the base of 8 minutes"):
        study.report(results)
    rows = [row("AdamW", 0.7), row(BASELINE, 0.8), row(BASELINE, 0.9, 1)]
    results.write_text("".join(json.dumps(entry) + "\n" for entry in rows))
    study.report(results)
    text = (tmp_path / "study.md").read_text()
    assert "| learning | AdamW | 1 | 1,200 | 70.0 (-15.0 ± 8.7)" in text
    assert f"| {BASELINE} | 2 | 1,200 | 85.0 ± 7.1" in text
    assert "<svg" in (tmp_path / "study.svg").read_text()


def test_the_base_runs_among_the_arms():
    runs = study.planned(Options(seeds=2))
    assert len({run.key for run in runs}) == len(runs)
    places = [number for number, run in enumerate(runs) if run.arm == BASELINE]
    assert places[0] == 0
    assert max(b - a for a, b in zip(places, [*places[1:], len(runs)], strict=True)) == study.ARMS_PER_BASE + 1
    assert {run.arm for run in runs[:6]} > {next(iter(names)) for names in FACTORS.values()}
    few = study.planned(Options(seeds=2, only=("AdamW",)))
    assert [(run.arm, run.seed) for run in few if run.arm != BASELINE] == [("AdamW", 0), ("AdamW", 1)]
    assert [run.arm for run in few] == [BASELINE, "AdamW"] * 2  # few arms need few runs of the base
    with pytest.raises(ArenaError, match="no arm 'Adam'"):
        study.planned(Options(only=("Adam",)))


@pytest.mark.parametrize("cores", [(4,), (0, 1, 2)])
def test_a_run_on_every_core(tmp_path, monkeypatch, cores):
    """All that is missing, each once, and the base again where a core would be left over."""
    seen: list[tuple[Run, int]] = []

    def perform(run, core):
        seen.append((run, core))
        return row(run.arm, 0.5, run.repeat, minutes=run.minutes)

    monkeypatch.setattr(study, "perform", perform)
    monkeypatch.setattr(study.os, "sched_getaffinity", lambda _: set(cores))
    options = Options(only=("AdamW", "2x32"), results=tmp_path / "study.jsonl")
    study.run_all(options)
    wanted = {run.key for run in study.planned(options)}
    keys = [run.key for run, _ in seen]
    assert len(set(keys)) == len(keys)
    assert set(keys) >= wanted
    assert {key[0] for key in set(keys) - wanted} <= {BASELINE}
    assert len(keys) % len(cores) == 0
    assert len(keys) - len(wanted) < len(cores)
    assert {core for _, core in seen} <= set(cores)
    assert len(study.read_results(options.results)) == len(keys)
    study.run_all(options)
    assert len(seen) == len(keys)  # nothing was missing
