"""The study's arithmetic and its write-up; the runs themselves take hours and are made by hand."""

from __future__ import annotations

import json

import pytest

from arena.config import parse
from games import ArenaError
from scripts import study
from scripts.study import BASELINE, FACTORS, MEASURES, Options


def row(arm: str, seed: int, found: float, preset: float, minutes: float = 8.0) -> dict:
    facts = {"arm": arm, "flags": [], "seed": seed, "minutes": minutes}
    return {**facts, "found": dict.fromkeys(MEASURES, found), "preset": dict.fromkeys(MEASURES, preset)}


def test_every_arm_is_a_valid_and_real_change_of_the_preset():
    baseline = parse(["connect_four"])
    for names in FACTORS.values():
        for name, flags in names.items():
            config = parse(["connect_four", *flags])
            assert config != baseline, name


def test_differences_are_those_of_pairs():
    rows = [row("AdamW", 0, 0.78, 0.80), row("AdamW", 1, 0.86, 0.90), row("2x32", 0, 0.5, 0.6)]
    small, adamw = study.summarise(study.largest_series([*rows, row("AdamW", 0, 0.50, 0.1, minutes=1.0)]))
    assert (adamw.name, adamw.factor, adamw.pairs) == ("AdamW", "learning", 2)
    assert adamw.means["best"] == pytest.approx(82.0)
    assert adamw.difference["best"] == pytest.approx(-3.0)
    assert adamw.error["best"] == pytest.approx(1.0)  # of -2 and -4
    assert (small.difference["eight"], small.error["eight"]) == (pytest.approx(-10.0), None)


def test_the_write_up_and_what_is_still_to_run(tmp_path):
    results = tmp_path / "study.jsonl"
    with pytest.raises(ArenaError, match="no results yet"):
        study.report(results)
    results.write_text("".join(json.dumps(row("AdamW", seed, 0.7, 0.8 + seed / 10)) + "\n" for seed in (0, 1)))
    study.report(results)
    text = (tmp_path / "study.md").read_text()
    assert "| learning | AdamW | 2 | 70.0 (-15.0 ± 5.0)" in text
    assert f"| {BASELINE} | 2 | 85.0 ± 7.1" in text
    assert "<svg" in (tmp_path / "study.svg").read_text()
    runs = list(study.planned(Options(seeds=2, only=("AdamW",))))
    assert [(run.arm, run.seed) for run in runs] == [("AdamW", 0), ("AdamW", 1)]
    with pytest.raises(ArenaError, match="no arm 'Adam'"):
        list(study.planned(Options(only=("Adam",))))


@pytest.mark.parametrize(("cores", "pairs"), [((4,), [(4,)]), ((0, 1, 2, 3, 4), [(0, 1), (2, 3)])])
def test_an_arm_and_the_preset_run_side_by_side(tmp_path, monkeypatch, cores, pairs):
    """Every arm once, on a pair of cores that nothing else has; on a single core one after the other."""
    seen = []

    def train_and_measure(run, flags, core):
        seen.append((run.arm, flags, core))
        return dict.fromkeys(MEASURES, 0.5 + 0.1 * bool(flags))

    monkeypatch.setattr(study, "train_and_measure", train_and_measure)
    monkeypatch.setattr(study.os, "sched_getaffinity", lambda _: set(cores))
    options = Options(only=("AdamW", "2x32"), seeds=1, results=tmp_path / "study.jsonl")
    study.run_all(options)
    for name in ("AdamW", "2x32"):
        arm, preset = sorted((entry for entry in seen if entry[0] == name), key=lambda entry: not entry[1])
        assert arm[1]
        assert not preset[1]
        assert (arm[2], preset[2]) in [pair * (3 - len(pair)) for pair in pairs]
    rows = study.read_results(options.results)
    assert [round(row["found"]["best"] - row["preset"]["best"], 3) for row in rows] == [0.1, 0.1]
    study.run_all(options)
    assert len(seen) == 4  # nothing was missing
