"""Tournaments on disk: settings, resuming, growing, and what a kill leaves behind."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import agents
from arena import tournament
from arena.adjudication import Adjudication
from arena.formats import SequentialTest
from arena.records import MatchRecord
from arena.results import ResultsError, fixture_of, read_records, to_json_line
from arena.sprt import Sprt
from arena.standings import console_for, print_standings, summary
from arena.tournament import Settings, Tournament, TournamentError, newest
from games import ArenaError

SPECS = ("random", "solver", "solver:ties=first")
SETTINGS = Settings("tic_tac_toe", SPECS, games=8)


def play(one: Tournament, *, slots: int = 16, stop_after: int = 10**9) -> Tournament:
    """Plays a tournament, perhaps only until so many games are over, as Ctrl-C would."""

    def on_games(finished: list[MatchRecord]) -> None:
        if len(one.records) >= stop_after:
            raise KeyboardInterrupt

    players = [agents.make(spec, one.game) for spec in one.settings.agents]
    try:
        one.play(players, slots=slots, on_games=on_games)
    except KeyboardInterrupt:
        assert stop_after < 10**9
    return one


def table(one: Tournament) -> str:
    screen = io.StringIO()
    print_standings(one, console_for(screen))
    return screen.getvalue()


def test_games_are_on_disk_before_anybody_hears_of_them(tmp_path: Path) -> None:
    one = Tournament.create(tmp_path / "one", SETTINGS)
    assert not (tmp_path / "one").exists()
    heard: list[MatchRecord] = []

    def on_games(finished: list[MatchRecord]) -> None:
        heard.extend(finished)
        assert read_records(tmp_path / "one" / tournament.RESULTS) == heard

    one.play([agents.make(spec, one.game) for spec in SPECS], slots=5, on_games=on_games)
    assert len(heard) == len(set(map(fixture_of, heard))) == 24
    loaded = Tournament.load(tmp_path / "one")
    assert loaded.records == one.records
    assert loaded.settings == SETTINGS
    assert table(loaded) == table(one)


@pytest.mark.parametrize("format_name", ["round-robin", "gauntlet", "swiss", "sprt"])
def test_stopping_and_resuming_changes_nothing(format_name: tournament.FormatName, tmp_path: Path) -> None:
    settings = dataclasses.replace(
        SETTINGS,
        format=format_name,
        agents=SPECS[:2] if format_name == "sprt" else SPECS,
        games=2000 if format_name == "sprt" else 12,
        rounds=2,
        sprt=Sprt(0, 60) if format_name == "sprt" else None,
    )
    whole = play(Tournament.create(tmp_path / "whole", settings), slots=40)
    parts = play(Tournament.create(tmp_path / "parts", settings), slots=3, stop_after=5)
    for stop, slots in ((9, 1), (10**9, 7)):
        played = parts.records
        parts = play(Tournament.resume(tmp_path / "parts", settings), slots=slots, stop_after=stop)
        assert parts.records.items() >= played.items()
    assert [*map(fixture_of, parts.counted)] == [*map(fixture_of, whole.counted)]
    assert parts.counted == whole.counted
    assert table(parts) == table(whole)
    if isinstance(parts.format, SequentialTest):
        assert parts.format.verdict(parts.points) == "elo0"
    else:
        assert parts.records == whole.records
    lines = (tmp_path / "parts" / tournament.RESULTS).read_text().splitlines()
    assert len(lines) == len(set(lines)) == len(parts.records)


def test_another_agent_plays_only_what_is_missing(tmp_path: Path) -> None:
    before = play(Tournament.create(tmp_path, dataclasses.replace(SETTINGS, agents=SPECS[:2]))).records
    grown = play(Tournament.resume(tmp_path, SETTINGS))
    assert grown.records.items() > before.items()
    assert len(grown.records) == 24
    whole = play(Tournament.create(tmp_path / "whole", SETTINGS))
    assert grown.records == whole.records
    more = play(Tournament.resume(tmp_path, dataclasses.replace(SETTINGS, games=10)))
    assert more.records.items() > grown.records.items()
    assert len(more.records) == 30


def test_a_finished_tournament_resumed_plays_nothing(tmp_path: Path) -> None:
    play(Tournament.create(tmp_path, SETTINGS))
    before = (tmp_path / tournament.RESULTS).read_bytes()
    play(Tournament.resume(tmp_path, SETTINGS))
    assert (tmp_path / tournament.RESULTS).read_bytes() == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"game": "connect_four"}, "game tic_tac_toe, not connect_four"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"games": 6}, "games 8, not 6"),
        ({"agents": SPECS[:2]}, "agents random, solver, solver:ties=first, not random, solver; agents are added"),
        ({"agents": (SPECS[1], SPECS[0], SPECS[2])}, "agents are added at the end"),
        ({"format": "gauntlet"}, "format round-robin, not gauntlet"),
        ({"opening_plies": (3, 3)}, "opening-plies none, not 3, 3"),
        ({"adjudication": Adjudication(max_plies=5)}, "adjudication none, not Adjudication"),
    ],
)
def test_resuming_by_other_settings_is_refused(change: dict, says: str, tmp_path: Path) -> None:
    play(Tournament.create(tmp_path, SETTINGS), stop_after=3)
    before = (tmp_path / tournament.RESULTS).read_bytes()
    with pytest.raises(TournamentError, match=says):
        Tournament.resume(tmp_path, dataclasses.replace(SETTINGS, **change))
    assert (tmp_path / tournament.RESULTS).read_bytes() == before


def test_a_swiss_tournament_does_not_grow(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, format="swiss", games=2, rounds=2)
    play(Tournament.create(tmp_path, settings))
    for change in ({"agents": (*SPECS, "mcts")}, {"games": 4}):
        with pytest.raises(TournamentError, match="was played with"):
            Tournament.resume(tmp_path, dataclasses.replace(settings, **change))


def test_resuming_with_another_book_is_refused(tmp_path: Path) -> None:
    book = tmp_path / "book.moves"
    book.write_text("tic_tac_toe | * | 1 2\ntic_tac_toe | * | 5 1\n")
    settings = dataclasses.replace(SETTINGS, book=str(book))
    play(Tournament.create(tmp_path / "one", settings), stop_after=9)
    book.write_text("tic_tac_toe | * | 1 3\ntic_tac_toe | * | 5 1\n")
    with pytest.raises(TournamentError, match="another opening than it would get now"):
        Tournament.resume(tmp_path / "one", settings)


def test_a_line_that_was_cut_off_is_a_game_to_be_played(tmp_path: Path) -> None:
    whole = play(Tournament.create(tmp_path / "whole", SETTINGS))
    path = tmp_path / "whole" / tournament.RESULTS
    content = path.read_bytes()
    for cut in (1, 30, len(content.splitlines()[-1]), len(content.splitlines()[-1]) + 1):
        path.write_bytes(content[:-cut])
        assert len(Tournament.load(tmp_path / "whole").records) == 23
        again = play(Tournament.resume(tmp_path / "whole", SETTINGS))
        assert again.records == whole.records
        assert path.read_bytes() == content


def test_a_tournament_is_never_overwritten(tmp_path: Path) -> None:
    play(Tournament.create(tmp_path / "one", SETTINGS))
    with pytest.raises(TournamentError, match=r"holds a tournament already; give another --out, or --resume"):
        Tournament.create(tmp_path / "one", SETTINGS)
    (tmp_path / "file").touch()
    with pytest.raises(ArenaError, match="file"):
        play(Tournament.create(tmp_path / "file" / "below", SETTINGS))
    with pytest.raises(TournamentError, match="holds no tournament"):
        Tournament.load(tmp_path / "nowhere")
    with pytest.raises(TournamentError, match="loaded to be looked at"):
        play(Tournament.load(tmp_path / "one"))


def test_two_processes_do_not_play_the_same_tournament(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    one = Tournament.create(tmp_path, SETTINGS)

    def on_games(finished: list[MatchRecord]) -> None:
        with pytest.raises(TournamentError, match="Another process"):
            play(Tournament.resume(tmp_path, SETTINGS))

    one.play([agents.make(spec, one.game) for spec in SPECS], slots=30, on_games=on_games)


def test_the_newest_tournament_is_found(tmp_path: Path) -> None:
    with pytest.raises(TournamentError, match="There is no tournament of tic_tac_toe"):
        newest(tmp_path, "tic_tac_toe")
    for name in ("tic_tac_toe-1", "tic_tac_toe-2", "connect_four-3", "tic_tac_toe-4"):
        (tmp_path / name).mkdir()
        if name[-1] != "4":
            (tmp_path / name / tournament.SETTINGS).touch()
        time.sleep(0.02)
    assert newest(tmp_path, "tic_tac_toe").name == "tic_tac_toe-2"


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        dataclasses.replace(SETTINGS, format="sprt", agents=SPECS[:2], sprt=Sprt(-5, 5, 0.1, 0.2, "logistic")),
        dataclasses.replace(SETTINGS, adjudication=Adjudication(resign_plies=4), opening_plies=(1, 3), balance=0.5),
        dataclasses.replace(SETTINGS, agents=("net:runs/é,simulations=4", 'a "quoted" one')),
    ],
)
def test_settings_are_read_back_as_they_were_written(settings: Settings) -> None:
    assert Settings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        SETTINGS.to_json().replace('"games": 8', '"games": "8"'),
        SETTINGS.to_json().replace('"round-robin"', '"knockout"'),
        SETTINGS.to_json().replace('"agents": [', '"agents": [1, '),
        SETTINGS.to_json().replace('"sprt": null', '"sprt": {"elo0": 9, "elo1": 1}'),
        SETTINGS.to_json().replace('"adjudication": null', '"adjudication": {"nonsense": 1}'),
        SETTINGS.to_json().replace('"opening_plies": null', '"opening_plies": 3'),
        SETTINGS.to_json().replace('"tic_tac_toe"', '"nonsense"'),
    ],
)
def test_damaged_settings_are_named(text: str, tmp_path: Path) -> None:
    (tmp_path / tournament.SETTINGS).write_text(text)
    with pytest.raises(ArenaError) as error:
        Tournament.load(tmp_path)
    assert "\n" not in str(error.value)


RECORD = MatchRecord(("a", "b"), 0, "", (), (1,), (None,), (1.0, -1.0), "win", "", 0)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "{}",
        "null",
        '{"number": 1}',
        "\udc80",
        "[" * 100_000,
        to_json_line(RECORD).strip().replace("1.0, -1.0", '1.0, "x"'),
        to_json_line(dataclasses.replace(RECORD, agents=("a",))).strip(),
        to_json_line(dataclasses.replace(RECORD, values=())).strip(),
    ],
)
def test_damaged_results_name_the_line(line: str, tmp_path: Path) -> None:
    path = tmp_path / "games.jsonl"
    path.write_text(to_json_line(RECORD) + line + "\n", encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ResultsError, match="line 2") as error:
        read_records(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_games_of_another_tournament_are_refused(tmp_path: Path) -> None:
    play(Tournament.create(tmp_path, SETTINGS))
    path = tmp_path / tournament.RESULTS
    content = path.read_text()
    path.write_text(content + content.splitlines()[0] + "\n")
    with pytest.raises(TournamentError, match="line 25: this game is not of this tournament, or there twice"):
        Tournament.load(tmp_path)
    path.write_text(content + to_json_line(RECORD))
    with pytest.raises(TournamentError, match="line 25"):
        Tournament.load(tmp_path)
    with pytest.raises(ResultsError, match="cannot be read"):
        read_records(tmp_path / "none.jsonl")


def test_standings_show_everybody_strongest_first(tmp_path: Path) -> None:
    one = play(Tournament.create(tmp_path, dataclasses.replace(SETTINGS, games=20)))
    screen = io.StringIO()
    ratings = print_standings(one, console_for(screen), {"random": 50.0})
    text = screen.getvalue()
    assert ratings.elo[0] == pytest.approx(50.0)
    assert "random = 50" in text
    assert "The first move is worth" in text
    assert max(map(len, text[: text.index("The first move")].splitlines())) <= 160
    ratings_part = text[: text.index("Points of the row")]
    assert ratings_part.index("solver") < ratings_part.index("random ", ratings_part.index("agent"))
    assert "leads" in summary(one)


def test_standings_of_two_count_pairs(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, agents=SPECS[:2], format="sprt", games=400, sprt=Sprt(0, 80))
    one = play(Tournament.create(tmp_path, settings), slots=64)
    text = table(one)
    assert "accepted: random is worth 0 normalized Elo against solver, not 80" in text
    counts = text[text.index("Pairs of random") :].split("): ")[1].split(";")[0].split(", ")
    assert sum(map(int, counts)) == len(one.counted) // 2
    assert int(counts[4]) == 0  # nobody beats perfect play from both seats
    assert "LLR" in summary(one)
    assert len(one.records) >= len(one.counted)


# ---- kill -9 ---------------------------------------------------------------------------------------------------------

COMMAND = (sys.executable, "-m", "arena.cli", "tournament", "tic_tac_toe", "--agents", *SPECS, "--seed", "3")


def finish(out: Path, words: tuple[str, ...], kills: int) -> tuple[str, dict]:
    """Plays a tournament by the command line, killing it so many times on the way; the table and the games."""
    path, lines, output = out / tournament.RESULTS, 0, ""
    for attempt in range(kills + 1):
        resume = ("--resume",) if attempt else ()
        command = (*COMMAND, *words, "--in-flight", str(5 + attempt % 4), "--out", str(out), *resume)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if attempt < kills:
            wanted = lines + 7 + 11 * (attempt % 5)
            while process.poll() is None and count_lines(path) < wanted:
                time.sleep(0.003)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
            assert count_lines(path) >= lines, "finished games were lost"
            lines = count_lines(path)
        else:
            output, errors = process.communicate()
            assert (process.returncode, errors) == (0, "")
    written = path.read_text().splitlines()
    assert len(written) == len(set(written))
    entries = {(*entry["agents"], entry["number"]): entry for entry in map(json.loads, written)}
    assert len(entries) == len(written), "a game was played twice"
    return output[output.index("Elo (") : output.index("Games: ")], entries


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.study)])
def test_a_tournament_that_was_killed_is_the_one_that_was_not(kills: int, tmp_path: Path) -> None:
    words = ("--games", str(40 + 20 * kills))
    whole = finish(tmp_path / "whole", words, kills=0)
    assert finish(tmp_path / "killed", words, kills=kills) == whole
