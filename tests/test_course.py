"""The course does what it says: every cell runs, and the notebook and the page are what its source gives."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import games
from arena.cli import main
from arena.datasets import DATASETS
from arena.datasets import connect_four as eight
from scripts.build_course import SOURCE, build, read_cells
from tests.arena.small_data import random_othello, write_pictures, write_wthor

CELLS = read_cells(SOURCE.read_text(encoding="utf-8"))
TEXT = "\n\n".join(text for kind, text in CELLS if kind == "markdown")
CODE = [text for kind, text in CELLS if kind == "code"]


def test_the_notebook_and_the_page_are_what_the_source_gives() -> None:
    for path, content in build().items():
        assert path.read_text(encoding="utf-8") == content, "run python -m scripts.build_course"


def test_the_notebook_is_one(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(SOURCE.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == CELLS
    assert json.loads(SOURCE.with_suffix(".ipynb").read_text(encoding="utf-8"))["nbformat"] == 4


def test_the_page_has_the_systems_in_their_order() -> None:
    headings = re.findall(r"^## (\d)\. (.+)$", TEXT, re.MULTILINE)
    assert [number for number, _ in headings] == [str(number) for number in range(1, 10)]
    table = [row.split("|")[1].strip() for row in TEXT.split("\n\n")[2].splitlines()[2:]]
    assert len(table) == len(headings)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)", TEXT))))
def test_every_link_resolves(target: str) -> None:
    assert (SOURCE.parent / target).exists()


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`arena ((?:learn|train) [^`]+)`", TEXT))))
def test_every_command_in_the_text_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command)
    assert words[1] in (DATASETS if words[0] == "learn" else games.available())
    if "--init" in words:  # a run that the reader has
        del words[words.index("--init") : words.index("--init") + 2]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([\w.]+)", TEXT))))
def test_every_module_that_it_runs_exists(module: str) -> None:
    assert (SOURCE.parents[1] / f"{module.replace('.', '/')}.py").is_file()


def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In order and in one process, as a notebook runs them; each command for a moment, on small data. Of two sets there
    is none, and their cells say so."""
    data = tmp_path / "data"
    write_wthor(data, random_othello(150, seed=1))
    write_pictures(data / "cifar10.tar.gz", per_class=10, seed=0)
    outcomes = np.repeat(np.array(list(eight.COUNTS), np.int8), list(eight.COUNTS.values()))
    np.savez_compressed(data / "outcomes.npz", outcomes=outcomes)  # the right numbers in no particular order
    monkeypatch.setattr(eight, "OUTCOMES_PATH", data / "outcomes.npz")
    monkeypatch.setattr(eight, "TEST_SHARE", 0.01)  # so that the test at the end of a run takes no time
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ARENA_DATA", str(data))
    monkeypatch.setenv("ARENA_COURSE", "short")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for number, code in enumerate(CODE):
        exec(compile(code, f"course.py, cell {number}", "exec"), namespace)
    out = capsys.readouterr().out
    assert "60965224 parameters" in out
    assert out.count("Skipped: ") == 2
    assert "Skipped: There is no KGS-*.tar.gz" in out
    assert "Skipped: There is no train_catvnoncat.h5" in out
    assert "mean reward of 20 games" in out
    assert "runs/gru begins with" in out
    trained = {path.parent.name for path in (tmp_path / "runs").glob("*/config.toml")}
    named = set(re.findall(r"--run runs/([\w-]+)", "\n".join(CODE)))
    assert named - trained == {"catvnoncat", "go", "go-from-people"}
    assert {"filters.png", "confusion.png", "saliency.png"} <= {
        path.name for path in (tmp_path / "runs" / "cifar10" / "show").iterdir()
    }
    assert (tmp_path / "runs" / "gpt" / "show" / "probe.png").is_file()
