"""The page about a tournament: what is on it, that it needs nothing else, and that strangers cannot write on it."""

from __future__ import annotations

import dataclasses
import html.parser
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import agents
import games
from arena import report, report_page
from arena.records import MatchRecord
from arena.results import to_json_line
from arena.sprt import Sprt
from arena.tournament import RESULTS, SETTINGS, Settings, Tournament
from games import ArenaError

SPECS = ("random", "solver", "solver:ties=first")


def played(directory: Path, settings: Settings) -> Tournament:
    one = Tournament.create(directory, settings)
    one.play([agents.make(spec, one.game) for spec in settings.agents])
    return one


@pytest.fixture(scope="module")
def tournament(tmp_path_factory: pytest.TempPathFactory) -> Tournament:
    return played(tmp_path_factory.mktemp("one"), Settings("tic_tac_toe", SPECS, games=6))


class Page(html.parser.HTMLParser):
    """Tags, attributes and text of a page; complains about tags that are not closed."""

    VOID = ("meta", "br", "hr", "img", "input", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []
        self.cells: list[str] = []
        self.data = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._open and self._open[-1] == "td":
            self.cells[-1] += data
        if self._open and self._open[-1] == "script" and data.lstrip().startswith('{"agents"'):
            self.data += data


def test_the_page_is_whole_and_needs_nothing_else(tournament: Tournament) -> None:
    path = report.write_report(tournament, {"random": 100.0})
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert path.name == "report.html"
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|\bsrc=|\bhref=|@import|url\(", text)
    assert not {"link", "img", "iframe"} & set(page.tags)
    said = " ".join(page.texts)
    for words in ("tic_tac_toe: round-robin of 3 agents", "The first move is worth", "Openings", "Lengths of games"):
        assert words in said
    ratings = tournament.ratings({"random": 100.0})
    for row, name in enumerate(SPECS):
        place = page.cells.index(name)
        assert page.cells[place + 1] == f"{ratings.elo[row]:+.0f}"
    assert page.tags.count("svg") == 2
    assert page.cells.count("–") == 3  # the diagonal of the crosstable


def test_every_game_is_there_move_by_move(tournament: Tournament) -> None:
    game = games.make("tic_tac_toe")
    data = json.loads(Page(report.render(tournament)).data)
    assert data["agents"] == list(SPECS)
    shown = {(SPECS[entry["first"]], SPECS[entry["second"]], entry["number"]): entry for entry in data["games"]}
    assert len(shown) == len(tournament.records) == 18
    for fixture, record in tournament.records.items():
        entry = shown[fixture.first, fixture.second, fixture.number]
        states = game.init(1)
        texts = [game.render(states[0])]
        for move in record.moves:
            game.step(states, [move])
            texts.append(game.render(states[0]))
        assert unfold(entry["boards"]) == texts
        assert entry["opening"] == len(record.opening)
        assert entry["result"] == {1.0: "1-0", 0.5: "½-½", 0.0: "0-1"}[record.points_of(fixture.first)]
        assert len(entry["moves"]) == len(entry["values"]) == len(record.moves)


def unfold(steps: list) -> list[str]:
    """What the page's script does."""
    texts: list[str] = []
    for step in steps:
        if isinstance(step, str):
            texts.append(step)
            continue
        marks = list(texts[-1])
        for place, text in zip(step[::2], step[1::2], strict=True):
            marks[place : place + len(text)] = text
        texts.append("".join(marks))
    return texts


@pytest.mark.parametrize(
    ("before", "after"), [("abc", "abc"), ("abc", "xbz"), ("abc", "abcd"), ("", ""), ("a♟c", "♟ac"), ("aaaa", "abba")]
)
def test_changes_lead_from_board_to_board(before: str, after: str) -> None:
    assert unfold([before, report._changes(before, after)]) == [before, after]


NASTY = "</script><img src=x onerror=alert(1)>\"'&amp;<!--"


def test_strangers_cannot_write_on_the_page(tmp_path: Path) -> None:
    settings = Settings("tic_tac_toe", (NASTY, "b"), games=2, book=NASTY, balance_by=NASTY)
    moves = (4, 0, 2, 6, 3, 5, 1, 7, 8)
    record = MatchRecord((NASTY, "b"), 0, "", (), moves, (None,) * 9, (0.0, 0.0), NASTY, NASTY, 0)
    swapped = dataclasses.replace(record, agents=("b", NASTY))
    (tmp_path / SETTINGS).write_text(settings.to_json())
    (tmp_path / RESULTS).write_text(to_json_line(record) + to_json_line(swapped))
    text = report.render(Tournament.load(tmp_path))
    page = Page(text)
    assert "img" not in page.tags
    assert page.tags.count("script") == 2
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<!--" not in text
    data = json.loads(page.data)
    assert data["agents"][0] == NASTY
    assert NASTY in data["games"][0]["end"]
    assert NASTY in page.cells


def test_a_sequential_test_shows_its_course(tmp_path: Path) -> None:
    settings = Settings("tic_tac_toe", SPECS[:2], format="sprt", games=400, sprt=Sprt(0, 80))
    page = Page(report.render(played(tmp_path, settings)))
    assert "The sequential test" in page.texts
    assert "polyline" in page.tags
    assert any("accepted: random is worth 0" in text for text in page.texts)


def test_games_that_the_rules_do_not_allow_are_named(tmp_path: Path) -> None:
    for moves in ((4, 4), (99,)):
        record = MatchRecord(("random", "solver"), 3, "", (), moves, (None,) * len(moves), (0.0, 0.0), "draw", "", 0)
        (tmp_path / SETTINGS).write_text(Settings("tic_tac_toe", SPECS, games=8).to_json())
        (tmp_path / RESULTS).write_text(to_json_line(record))
        with pytest.raises(ArenaError, match="Game 3 of random and solver cannot be shown"):
            report.render(Tournament.load(tmp_path))


def test_ticks_are_round_numbers() -> None:
    for low, high in ((-173.0, 212.0), (0.0, 1.0), (-3.2, 3.1), (1000.0, 4321.0)):
        ticks = report._ticks(low, high)
        assert 3 <= len(ticks) <= 9
        assert low <= ticks[0]
        assert ticks[-1] <= high
        step = ticks[1] - ticks[0]
        assert np.isclose(step / 10 ** np.floor(np.log10(step)), [1, 2, 5]).any()


DOM = """
const nodes = {};
function node(tag) {
  return { tag, children: [], dataset: {}, attributes: {}, value: "", rows: [],
    append(...parts) { this.children.push(...parts); this.rows = this.children; },
    replaceChildren() { this.children = []; this.rows = []; },
    setAttribute(name, value) { this.attributes[name] = value; },
    removeAttribute(name) { delete this.attributes[name]; },
    querySelectorAll() { return this.children.filter(child => child.tag === "button"); }, scrollIntoView() {} };
}
const at_id = id => nodes[id] = nodes[id] || node(id);
const document = { getElementById: at_id, createElement: node, addEventListener() {} };
const location = { hash: "" };
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node runs the page's script")
def test_the_script_steps_through_games(tournament: Tournament) -> None:
    data = Page(report.render(tournament)).data
    check = """
      const seen = data.games.map((one, i) => {
        open_game(i); const first = ply; at("end").onclick(); at("back").onclick(); const before = ply;
        at("start").onclick(); return [first, before, boards, at("moves").children.length / 2];
      });
      open_game(0); show(boards.length - 1);
      const text = at("board").children.map(part => part.textContent === undefined ? part : part.textContent).join("");
      const stones = at("board").children.filter(part => part.className && part.className.startsWith("stone")).length;
      at("who").value = "0"; list();
      console.log(JSON.stringify({ seen, text, stones, said: at("said").textContent, listed: at("list").rows.length }));
    """
    script = f"{DOM}\ndocument.getElementById('data').textContent = {json.dumps(data)};\n{report_page.SCRIPT}\n{check}"
    done = subprocess.run(["node", "-"], input=script, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found, parsed = json.loads(done.stdout), json.loads(data)
    for entry, (first, before, boards, buttons) in zip(parsed["games"], found["seen"], strict=True):
        assert boards == unfold(entry["boards"])
        assert (first, before, buttons) == (entry["opening"], len(entry["moves"]) - 1, len(entry["moves"]))
    first = parsed["games"][0]
    assert found["stones"] == len(first["moves"])
    assert re.sub(r"[\[\] ]", "", found["text"]).strip() == re.sub(r"[\[\] ]", "", unfold(first["boards"])[-1]).strip()
    assert first["result"] in found["said"]
    assert found["listed"] == 12
