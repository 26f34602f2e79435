"""Makes docs/course.ipynb and docs/course.md from docs/course.py, the one source of the course.

    python -m scripts.build_course

The source is Python with ``# %%`` before each cell (jupytext's percent format). The page has the same cells, the code
as blocks, without what they print; so has the notebook, to be run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jupytext

from agents.files import write_atomically

SOURCE = Path(__file__).resolve().parent.parent / "docs" / "course.py"
_NOTICE = "<!-- Made from course.py by python -m scripts.build_course; edit that. -->"


def read_cells(source: str) -> list[tuple[str, str]]:
    """The cells of a percent source: their kind ("markdown" or "code") and their text."""
    return [(cell.cell_type, cell.source) for cell in jupytext.reads(source, fmt="py:percent").cells]


def as_notebook(cells: list[tuple[str, str]]) -> str:
    """The notebook as JSON, without output; the same cells always give the same text."""
    document: dict[str, Any] = {
        "cells": [_cell(number, kind, text) for number, (kind, text) in enumerate(cells, start=1)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number:02d}", "metadata": {}}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell | {"source": text.splitlines(keepends=True)}


def as_page(cells: list[tuple[str, str]]) -> str:
    """The same as Markdown."""
    parts = [f"```python\n{text}\n```" if kind == "code" else text for kind, text in cells]
    return "\n\n".join([_NOTICE, *parts]) + "\n"


def build(source: Path = SOURCE) -> dict[Path, str]:
    """What the files beside the source must hold."""
    cells = read_cells(source.read_text(encoding="utf-8"))
    return {source.with_suffix(".ipynb"): as_notebook(cells), source.with_suffix(".md"): as_page(cells)}


if __name__ == "__main__":
    for path, content in build().items():
        write_atomically(path, content.encode())
        print(f"Wrote {path}.")
