"""A tournament as one page for a browser: ratings, results, plots, and every game on a board."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from agents.files import write_atomically
from arena.formats import SequentialTest
from arena.ratings import RatingTable
from arena.records import MatchRecord
from arena.report_page import PAGE, SCRIPT, STYLE
from arena.standings import crosstable_rows, rating_rows, remarks
from arena.tournament import Tournament
from arena.transcripts import transcript_path, write_transcript
from games import ArenaError, Game

REPORT = "report.html"

_WIDTH, _MARGIN, _ROW = 720, 40, 26  # of plots, in pixels


def write_report(tournament: Tournament, anchors: Mapping[str, float] | None = None) -> Path:
    """Writes ``report.html`` into the tournament's directory, and the games beside it; returns the page's path.

    Raises:
        ArenaError: a game that the rules do not allow, or a directory that cannot be written.
    """
    path = tournament.directory / REPORT
    write_atomically(path, render(tournament, anchors).encode())
    write_transcript(tournament)
    return path


def render(tournament: Tournament, anchors: Mapping[str, float] | None = None) -> str:
    """The page as text."""
    settings, ratings = tournament.settings, tournament.ratings(anchors)
    order = np.argsort(-ratings.elo, kind="stable")
    places = [str(place + 1) for place in range(len(order))]
    records = sorted(tournament.counted, key=lambda record: (record.number, record.agents))
    names = list(settings.agents)
    headings = ("", "agent", "Elo", "±", "games", "wins", "draws", "losses", "score", "LOS")
    sections = [
        "<h2>Ratings</h2>",
        _table(headings, rating_rows(ratings, order)),
        "".join(f"<p>{escape(line)}</p>" for line in remarks(tournament, ratings)),
        _rating_plot(ratings, order),
        "<h2>Points of the row against the column / games</h2>",
        _table(("", "agent", *places), crosstable_rows(ratings, order)),
        "<h2>The first move</h2>",
        _table(("agent", "score moving first", "score moving second"), _by_seat(ratings, order), name_column=0),
    ]
    if isinstance(tournament.format, SequentialTest):
        sections += ["<h2>The sequential test</h2>", _test_plot(tournament.format, tournament)]
    sections += [
        "<h2>Lengths of games</h2>",
        _histogram([len(record.moves) for record in records], "plies"),
        "<h2>Openings</h2>",
        '<div class="scroll">',
        _table(
            ("opening", "begins with", "games", "first mover's score", "draws"),
            _by_opening(tournament.game, records),
            name_column=1,
        ),
        "</div>",
    ]
    title = f"{settings.game}: {settings.format} of {len(names)} agents"
    data = {"agents": names, "games": [_game_data(tournament.game, record, names) for record in records]}
    return PAGE.substitute(
        title=escape(title),
        about=escape(_about(tournament)),
        style=STYLE,
        script=SCRIPT,
        sections="\n".join(sections),
        data=_json(data),
    )


def _about(tournament: Tournament) -> str:
    settings = tournament.settings
    openings = f"openings from {settings.book}" if settings.book else "random openings"
    if settings.balance_by:
        openings += f" that {settings.balance_by} finds balanced within {settings.balance:g}"
    played = f"{len(tournament.counted)} games; {settings.games} at most for every two agents; seed {settings.seed}"
    adjudicated = f"; adjudicated by {settings.adjudication}" if settings.adjudication else ""
    beside = f"The games are in {transcript_path(tournament).name} beside this page, too."
    return f"{played}; {openings}, each played from both seats{adjudicated}. {beside}"


def _json(data: object) -> str:
    """JSON that may stand inside a script element: no ``<`` begins anything there."""
    return json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")


# ---- tables ----------------------------------------------------------------------------------------------------------


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], name_column: int = 1) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        kinds = (' class="name"' if column == name_column else "" for column in range(len(cells)))
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))

    body = "".join(f"<tr>{row(cells, 'td')}</tr>\n" for cells in rows)
    return (
        f'<div class="wide"><table><thead><tr>{row(headings, "th")}</tr></thead><tbody>\n{body}</tbody></table></div>'
    )


def _by_seat(ratings: RatingTable, order: np.ndarray) -> list[list[str]]:
    points, played = ratings.counts @ np.array([1.0, 0.5, 0.0]), ratings.counts.sum(axis=2)

    def score(won: float, of: float) -> str:
        return f"{won:g}/{of:g} ({won / of:.1%})" if of else "–"

    rows = [
        [
            ratings.names[row],
            score(points[row].sum(), played[row].sum()),
            score(played[:, row].sum() - points[:, row].sum(), played[:, row].sum()),
        ]
        for row in order
    ]
    return [*rows, ["everybody", score(points.sum(), played.sum()), score((played - points).sum(), played.sum())]]


def _by_opening(game: Game, records: Sequence[MatchRecord]) -> list[list[str]]:
    groups: dict[tuple[str, tuple[int, ...]], list[MatchRecord]] = {}
    for record in records:
        groups.setdefault((record.start, record.opening), []).append(record)
    rows = []
    for (start, opening), members in groups.items():
        states = game.parse_state(start) if start else game.init(1)
        words = [start] if start else []
        for move in opening:
            words.append(game.action_to_string(states[0], move))
            game.step(states, [move])
        mover = int(states["to_play"][0])
        points = sum(record.points_of(record.agents[mover]) for record in members)
        draws = sum(not any(record.returns) for record in members)
        numbers = sorted({record.number for record in members})
        shown = f"{numbers[0]}" + (f" (and {len(numbers) - 1} more)" if len(numbers) > 1 else "")
        score = f"{points:g} ({points / len(members):.0%})"
        rows.append([shown, " ".join(words) or "the start", str(len(members)), score, str(draws)])
    return rows


# ---- plots -----------------------------------------------------------------------------------------------------------


def _svg(height: float, parts: Iterable[str], label: str) -> str:
    size = f'width="{_WIDTH}" height="{height:g}" viewBox="0 0 {_WIDTH} {height:g}"'
    return f'<svg role="img" aria-label="{escape(label)}" {size}>{"".join(parts)}</svg>'


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "axis") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _ticks(low: float, high: float) -> np.ndarray:
    """Some four to eight round numbers from ``low`` to ``high``."""
    step = 10.0 ** np.floor(np.log10(max(high - low, 1e-9) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 8)
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step


def _rating_plot(ratings: RatingTable, order: np.ndarray) -> str:
    """Each agent's Elo and its interval."""
    interval = np.minimum(ratings.interval, 2000.0)  # one that means nothing must not hide the others
    low, high = float((ratings.elo - interval).min()) - 10, float((ratings.elo + interval).max()) + 10
    left, right = 240, _WIDTH - 15

    def x(elo: float) -> float:
        return left + (elo - low) / (high - low) * (right - left)

    bottom = _ROW * len(order) + 10
    parts = [
        part
        for tick in _ticks(low, high).tolist()
        for part in (_line(x(tick), 5, x(tick), bottom), _text(x(tick), bottom + 16, f"{tick:+.0f}", "middle"))
    ]
    for place, row in enumerate(order.tolist()):
        y, name = 5 + _ROW * (place + 0.5), ratings.names[row]
        elo, error = float(ratings.elo[row]), float(interval[row])
        parts.append(_text(left - 10, y + 4, name if len(name) <= 36 else f"{name[:17]}…{name[-18:]}", "end"))
        parts.append(_line(x(elo - error), y, x(elo + error), y, "mark"))
        parts.append(f'<circle class="mark" cx="{x(elo):.1f}" cy="{y:.1f}" r="4"/>')
    return _svg(bottom + 24, parts, "Elo with 95 % intervals")


def _test_plot(test: SequentialTest, tournament: Tournament) -> str:
    """The log-likelihood ratio after each pair, between the two bounds."""
    curve = np.concatenate([[0.0], test.llr_curve(tournament.points)])
    curve = curve[:: max(1, len(curve) // 2000)] if len(curve) > 4000 else curve
    low, high = min(test.sprt.lower, curve.min()) - 0.3, max(test.sprt.upper, curve.max()) + 0.3
    height = 240

    def y(llr: float) -> float:
        return 10 + (high - llr) / (high - low) * (height - 40)

    bounds = {test.sprt.lower: "elo0", 0.0: "", test.sprt.upper: "elo1"}
    parts = [
        part
        for llr, words in bounds.items()
        for part in (
            _line(_MARGIN, y(llr), _WIDTH - 50, y(llr)),
            _text(_MARGIN - 6, y(llr) + 4, f"{llr:.2f}", "end"),
            _text(_WIDTH - 46, y(llr) + 4, words),
        )
    ]
    across = np.linspace(_MARGIN, _WIDTH - 50, len(curve))
    points = " ".join(f"{a:.1f},{y(llr):.1f}" for a, llr in zip(across, curve.tolist(), strict=True))
    parts.append(f'<polyline class="line" points="{points}"/>')
    parts.append(_text(_WIDTH / 2, height - 6, "pairs of games", "middle"))
    return _svg(height, parts, "Log-likelihood ratio of the sequential test")


def _histogram(values: Sequence[int], unit: str) -> str:
    """How often each length came, in some 40 bars at most."""
    low, high = min(values), max(values) + 1
    width = max(1, -(-(high - low) // 40))
    edges = np.arange(low, high + width, width)
    counts, _ = np.histogram(values, edges)
    height, bar = 160, (_WIDTH - 2 * _MARGIN) / len(counts)
    parts = []
    for place, count in enumerate(counts.tolist()):
        tall = count / counts.max() * (height - 50)
        x = _MARGIN + place * bar
        box = f'x="{x:.1f}" y="{height - 30 - tall:.1f}" width="{max(bar - 1, 1):.1f}" height="{tall:.1f}"'
        first, last = int(edges[place]), int(edges[place + 1]) - 1
        span = f"{first}" if first == last else f"{first}–{last}"
        parts.append(f'<rect class="mark" {box}><title>{count} games of {span} {unit}</title></rect>')
        if place % max(1, len(counts) // 8) == 0:
            parts.append(_text(x, height - 14, str(first)))
    parts.append(_text(_MARGIN, 14, f"at most {counts.max()} games"))
    return _svg(height, parts, f"Lengths of games in {unit}")


# ---- games -----------------------------------------------------------------------------------------------------------


def _game_data(game: Game, record: MatchRecord, names: Sequence[str]) -> dict[str, Any]:
    """What the page needs to step through a game: what changed on the board, ply by ply."""
    boards, moves = [], []
    try:
        states = game.parse_state(record.start) if record.start else game.init(1)
        boards.append(game.render(states[0]))
        for move in record.moves:
            if not 0 <= move < game.spec.num_actions:
                raise ArenaError(f"{move} is no action of {game.spec.name}.")
            moves.append(game.action_to_string(states[0], move))
            game.step(states, [move])
            boards.append(game.render(states[0]))
    except ArenaError as error:
        raise ArenaError(f"Game {record.number} of {' and '.join(record.agents)} cannot be shown: {error}") from None
    result = {1.0: "1-0", 0.5: "½-½", 0.0: "0-1"}[record.points_of(record.agents[0])]
    return {
        "first": names.index(record.agents[0]),
        "second": names.index(record.agents[1]),
        "number": record.number,
        "result": result,
        "end": f"{record.end_reason}: {record.note}" if record.note else record.end_reason,
        "opening": len(record.opening),
        "moves": moves,
        "values": record.values,
        "boards": [boards[0], *(_changes(before, after) for before, after in itertools.pairwise(boards))],
    }


def _changes(before: str, after: str) -> str | list[int | str]:
    """``[place, text, place, text, …]`` that turns ``before`` into ``after``; ``after`` where that is no longer."""
    if len(before) != len(after):
        return after
    changes: list[int | str] = []
    place = 0
    while place < len(after):
        start = place
        while place < len(after) and before[place] != after[place]:
            place += 1
        if place > start:
            changes += [start, after[start:place]]
        place += 1
    return changes
