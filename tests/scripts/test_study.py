"""The study's arithmetic and its write-up; the runs themselves take hours and are made by hand."""

from __future__ import annotations

import json

import pytest

from arena.config import parse
from games import ArenaError
from scripts import study
from scripts.study import BASELINE, FACTORS, MEASURES, Options


def row(arm: str, seed: int, shift: float, minutes: float = 8.0) -> dict:
    return {"arm": arm, "flags": [], "seed": seed, "minutes": minutes, "steps": 10, **dict.fromkeys(MEASURES, shift)}


def test_every_arm_is_a_valid_and_real_change_of_the_preset():
    baseline = parse(["connect_four"])
    for names in FACTORS.values():
        for name, flags in names.items():
            config = parse(["connect_four", *flags])
            assert (config == baseline) == (name == BASELINE), name


def test_differences_are_paired_by_seed():
    rows = [row(BASELINE, 0, 0.80), row(BASELINE, 1, 0.90), row("AdamW", 0, 0.78), row("AdamW", 1, 0.86)]
    rows.append(row("AdamW", 2, 0.10))  # there is no such seed of the baseline
    rows.append(row("AdamW", 0, 0.50, minutes=1.0))  # another length of run
    baseline, arm = study.summarise(rows)
    assert (baseline.name, arm.name, arm.factor, arm.seeds) == (BASELINE, "AdamW", "learning", 3)
    assert arm.means["best"] == pytest.approx(58.0)
    assert arm.difference["best"] == pytest.approx(-3.0)
    assert arm.error["best"] == pytest.approx(1.0)  # of -2 and -4
    assert baseline.difference["best"] == 0


def test_the_write_up_and_what_is_still_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "DOCS", tmp_path)
    results = tmp_path / "study.jsonl"
    with pytest.raises(ArenaError, match="no results yet"):
        study.report(results)
    results.write_text("".join(json.dumps(row(arm, 0, s)) + "\n" for arm, s in ((BASELINE, 0.8), ("AdamW", 0.7))))
    study.report(results)
    assert "| learning | AdamW | 1 | 70.0 (-10.0)" in (tmp_path / "study.md").read_text()
    assert "<svg" in (tmp_path / "study.svg").read_text()
    runs = list(study.planned(Options(seeds=2, only=("AdamW",))))
    assert [(run.arm, run.seed) for run in runs] == [(BASELINE, 0), ("AdamW", 0), (BASELINE, 1), ("AdamW", 1)]
    with pytest.raises(ArenaError, match="no arm 'Adam'"):
        list(study.planned(Options(only=("Adam",))))
