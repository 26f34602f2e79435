"""Feeds broken text and bytes to everything that reads them, and holds each to its promise.

python -m scripts.fuzz_parsers --inputs 100000 --seed 1
python -m scripts.fuzz_parsers --inputs 1000000 --data ../shared/data --only sgf pgn

The promise: a clear error (an ArenaError), or something valid, which here means: a record replays (or its illegal move
is named) and comes back the same from our move list; a position says the same text again and has legal moves unless the
game is over; a move is legal. And all that without a crash, a hang or more memory than the input is worth.

Inputs are made from whole games and positions: bytes are changed, taken out, put in, doubled, exchanged between inputs,
and the end cut off. Every failure is printed with the seed that makes it again.
"""

from __future__ import annotations

import faulthandler
import gzip
import io
import resource
import sys
import tarfile
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import games
from games import ArenaError, Game
from games.records import FORMATS, GameRecord, read
from games.records import movelist as movelist_format
from games.records import pgn as pgn_format
from games.records import sgf as sgf_format
from games.records import wthor as wthor_format
from games.records.files import open_members
from games.sampling import sample_legal
from scripts.program import start

Array = np.ndarray
SECONDS_ALLOWED = 5.0  # of the processor, for one input
BYTES_ALLOWED = 1 << 30  # by which the process may grow
_SEED_BYTES = {".pgn": 800, ".sgf": 2500, ".wtb": 84}  # of real files: a game or a few
_TOKENS = [
    *(
        b"(",
        b")",
        b"[",
        b"]",
        b"{",
        b"}",
        b";",
        b"\\",
        b'"',
        b"/",
        b"|",
        b":",
        b",",
        b"\0",
        b"\xff",
        b"\r",
        b"\n",
        b" ",
    ),
    *(
        b"(;",
        b"AB[aa:ss]",
        b"SZ[1:2]",
        b"SZ[99999999]",
        b"KM[nan]",
        b"KM[1e999]",
        b"CA[utf-7]",
        b"[]",
        b"[tt]",
        b"GM[4]",
    ),
    *(b"1-0", b"1/2-1/2", b"*", b"$1", b"O-O", b"e8=Q", b"--", b"[FEN ", b'[Variant "othello"]', b"1.", b"99999999999"),
    *(
        b"pass",
        b"swap",
        b"a1",
        b"t19",
        b"P*5e",
        b"7g7f+",
        b"9",
        b"0",
        b"-",
        b"+",
        b"KQkq",
        b"w",
        b"b",
        b" moves ",
        b"2P",
    ),
    *(
        "é".encode(),
        "９".encode(),
        "\u2028".encode(),
        b"\xef\xbb\xbf",
        b'{"tags": {}}',
        b'{"start": ""}',
        b"\x80\xff\xff",
    ),
]


class BrokenPromiseError(AssertionError):
    """A parser that neither refused an input nor made something valid of it."""


@dataclass(frozen=True)
class Options:
    """Feeds mutated inputs to every parser; exit code 1 if one of them breaks its promise."""

    inputs: int = 20_000
    """How many in all."""
    seed: int = 0
    """What they are drawn from."""
    data: Path | None = None
    """A folder of real records to begin with, as well as games played at random."""
    only: tuple[str, ...] = ()
    """Only the parsers whose names begin with one of these; all by default."""


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        name: what it reads.
        seeds: inputs that it accepts.
        accepts: reads an input and tells whether it was accepted; raises BrokenPromiseError, or ArenaError to refuse.
        share: how many inputs it gets for each that another gets.
    """

    name: str
    seeds: tuple[bytes, ...]
    accepts: Callable[[bytes], bool]
    share: float = 1.0


@dataclass
class Outcome:
    """What became of a target's inputs: counts of ``accepted`` and ``refused``, time, and the failures."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


# ---- what must hold --------------------------------------------------------------------------------------------------


def require(kept: object, what: str) -> None:
    """Raises BrokenPromiseError unless ``kept``."""
    if not kept:
        raise BrokenPromiseError(what)


def check_record(record: GameRecord, *, moves_are_checked: bool) -> None:
    """A record that a reader yields can be played again, and our move list brings it back."""
    try:
        line = movelist_format.dumps(record)  # which checks every move
    except ArenaError as error:
        require(not moves_are_checked, f"the reader let an illegal move pass: {error}")
        return
    if (again := movelist_format.loads(line)) != record:
        raise BrokenPromiseError(f"{record} came back from a move list as {again}")


def reads_records(module_name: str, *, moves_are_checked: bool) -> Callable[[bytes], bool]:
    """The check of one format's reader."""
    parse = FORMATS[module_name].parse

    def accepts(data: bytes) -> bool:
        accepted = False
        for item in parse(io.BytesIO(data), "fuzz"):
            if isinstance(item, GameRecord):
                check_record(item, moves_are_checked=moves_are_checked)
                accepted = True
            else:
                require(str(item).startswith("fuzz"), f"an error that names no file: {item}")
        return accepted

    return accepts


def reads_files(suffix: str, folder: Path) -> Callable[[bytes], bool]:
    """The check of ``games.records.read`` on a file with that ending."""
    path = folder / f"fuzz{suffix}"

    def accepts(data: bytes) -> bool:
        path.write_bytes(data)
        reader = read(path, errors="skip")
        for record in reader:
            check_record(record, moves_are_checked=False)
        return reader.read > 0

    return accepts


def reads_states(game: Game) -> Callable[[bytes], bool]:
    """The check of ``game.parse_state``."""

    def accepts(data: bytes) -> bool:
        states = game.parse_state(data.decode("utf-8", "replace"))
        require(states.shape == (1,) and states.dtype == game.dtype, "that is not one state")
        text = game.state_to_string(states[0])
        require(game.state_to_string(game.parse_state(text)[0]) == text, f"{text!r} does not come back")
        mask = game.legal_action_mask(states)
        over = bool(states["terminated"][0])
        require(mask.any() != over, f"{text!r}: terminated is {over}, with {int(mask.sum())} legal moves")
        require(np.isfinite(game.observe(states)).all(), f"{text!r}: planes are not finite")
        require(bool(game.returns(states).any()) <= over, f"{text!r}: a result, but the game goes on")
        game.render(states[0])
        if not over:
            game.step(states, sample_legal(mask, np.random.default_rng(len(data))))
        return True

    return accepts


def reads_actions(game: Game, states: Array) -> Callable[[bytes], bool]:
    """The check of ``game.parse_action``; the first byte says in which of ``states``, so there are 256 at most."""

    def accepts(data: bytes) -> bool:
        state = states[(data[0] if data else 0) % len(states)]
        action = game.parse_action(state, data[1:].decode("utf-8", "replace"))
        mask = game.legal_action_mask(np.array([state], dtype=game.dtype))[0]
        require(
            0 <= action < len(mask) and mask[action], f"action {action} is illegal in {game.state_to_string(state)!r}"
        )
        text = game.action_to_string(state, action)
        require(game.parse_action(state, text) == action, f"{text!r} does not come back")
        return True

    return accepts


# ---- what to begin with ----------------------------------------------------------------------------------------------


def random_record(game: Game, rng: np.random.Generator, most: int = 24) -> GameRecord:
    """A game of random moves, with all that a record may say."""
    states, moves = game.init(1), []
    while not states["terminated"][0] and len(moves) < most:
        moves.append(int(sample_legal(game.legal_action_mask(states), rng)[0]))
        game.step(states, moves[-1:])
    seats = game.spec.num_players
    return GameRecord(
        game=game.spec.name,
        moves=np.array(moves, np.int32),
        returns=game.returns(states)[0] if states["terminated"][0] else None,
        players=("Ann", "Bö")[:seats],
        tags={"Event": "fuzz", "Date": "2001"},
        comments=("begin", *("" if ply % 7 else f"move {ply}" for ply in range(len(moves)))),
        evaluations=np.round(rng.uniform(-1, 1, len(moves)), 2),
    )


def random_states(game: Game, rng: np.random.Generator, count: int) -> Array:
    """Positions from random games of different lengths, the start and an end among them: ``[count]``."""
    found = [game.init(1)]
    while len(found) < count:
        states = game.init(1)
        for _ in range(int(rng.integers(1, 1 + min(120, game.spec.max_plies)))):
            if not states["terminated"][0]:
                game.step(states, sample_legal(game.legal_action_mask(states), rng))
        found.append(states)
    return np.concatenate(found)


def game_names() -> list[str]:
    """Of every game the smallest board and the default one."""
    names: dict[str, None] = {}
    for default, sizes in games.families().items():
        names |= dict.fromkeys([min(sizes, key=lambda name: games.make(name).spec.num_actions), default])
    return list(names)


def real_seeds(folder: Path | None, suffix: str, count: int) -> list[bytes]:
    """The first bytes of up to ``count`` real files, or members of archives, that end in ``suffix``."""
    found: list[bytes] = []
    for path in sorted(folder.rglob("*")) if folder else []:
        if path.is_file() and (path.suffix in (suffix, ".zip") or path.name.endswith((f"{suffix}.gz", ".tar.gz"))):
            for name, stream in islice(open_members(path), 5):
                if name.endswith(suffix) and not isinstance(stream, ArenaError) and len(found) < count:
                    data = stream.read(_SEED_BYTES[suffix])
                    found += [data] if suffix != ".sgf" or len(data) < _SEED_BYTES[suffix] else []
    return found


def make_targets(options: Options, folder: Path) -> list[Target]:
    """Every parser there is, with its seeds."""
    rng = np.random.default_rng(options.seed)
    made = {name: games.make(name) for name in game_names()}
    variants = ("go_9x9:komi=6.5,ko=simple", "hex_5x5:swap=true", "chess:claim_draws=false")
    playable = {**made, **{name: games.make(name) for name in variants if name.partition(":")[0] in made}}
    every = [random_record(game, rng) for game in playable.values() for _ in range(3)]
    boards = [record for record in every if record.game.partition("_")[0] in ("go", "othello", "gomoku", "hex")]
    pgn = [pgn_format.dumps(record).encode() for record in every]
    sgf = [sgf_format.dumps(record).encode() for record in boards]
    moves = [movelist_format.dumps(record).encode() for record in every]
    (folder / "seed").mkdir()
    othello = [random_record(games.make("othello"), rng, most) for most in (20, 120)]
    scored = [replace(record, returns=np.array([1, -1]), tags={"BlackDiscs": "40"}) for record in othello]
    wtb = wthor_format.to_bytes(scored, folder / "seed" / "seed.wtb")[folder / "seed" / "seed.wtb"]
    targets = [
        Target("pgn", (*pgn, *real_seeds(options.data, ".pgn", 5)), reads_records(".pgn", moves_are_checked=True)),
        Target("sgf", (*sgf, *real_seeds(options.data, ".sgf", 20)), reads_records(".sgf", moves_are_checked=False)),
        Target("wtb", (wtb, *real_seeds(options.data, ".wtb", 5)), reads_records(".wtb", moves_are_checked=True)),
        Target("moves", tuple(moves), reads_records(".moves", moves_are_checked=True)),
        *(
            Target(f"file{suffix}", (data,), reads_files(suffix, folder), 0.2)
            for suffix, data in _packed(sgf[0], pgn[0])
        ),
    ]
    for name, game in made.items():
        states = random_states(game, rng, 12)
        texts = tuple(game.state_to_string(state).encode() for state in states)
        words = tuple(
            bytes([row]) + game.action_to_string(state, int(action)).encode()
            for row, state in enumerate(states)
            for action in np.flatnonzero(game.legal_action_mask(states[row : row + 1])[0])[:4]
        )
        targets.append(Target(f"state {name}", texts, reads_states(game)))
        targets.append(Target(f"action {name}", words, reads_actions(game, states)))
    return [target for target in targets if not options.only or target.name.startswith(options.only)]


def _packed(sgf: bytes, pgn: bytes) -> list[tuple[str, bytes]]:
    """A file in every kind of package, by its ending."""
    tar, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        for name in ("a.sgf", "b.sgf"):
            info = tarfile.TarInfo(name)
            info.size = len(sgf)
            archive.addfile(info, io.BytesIO(sgf))
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.pgn", pgn)
        archive.writestr("b.sgf", sgf)
    plain_tar = gzip.decompress(tar.getvalue())
    return [
        (".pgn.gz", gzip.compress(pgn)),
        (".zip", zipped.getvalue()),
        (".tar.gz", tar.getvalue()),
        (".tar", plain_tar),
    ]


# ---- mutation --------------------------------------------------------------------------------------------------------


def mutate(seeds: tuple[bytes, ...], rng: np.random.Generator) -> bytes:
    """One of ``seeds`` after one or a few changes."""
    data = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(int(rng.choice([1, 1, 1, 2, 6]))):
        at = int(rng.integers(len(data) + 1))
        length = int(rng.choice([1, 1, 1, 2, 8, 40]))
        kind = int(rng.integers(12))
        if kind == 0 and at < len(data):
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1 and at < len(data):
            data[at] = int(rng.integers(256))
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = rng.bytes(length)
        elif kind == 4:
            data[at:at] = data[at : at + length] * int(rng.choice([1, 2, 50]))
        elif kind == 5:
            other = seeds[rng.integers(len(seeds))]
            start = int(rng.integers(len(other) + 1))
            data[at : at + length] = other[start : start + length]
        elif kind == 6:
            del data[at:]
        elif kind < 10 and at < len(data):  # what may be there, but elsewhere
            data[at] = data[rng.integers(len(data))]
        else:
            data[at : at + int(rng.integers(2)) * length] = _TOKENS[rng.integers(len(_TOKENS))]
    return bytes(data)


def fuzz(target: Target, inputs: int, seed: int, outcome: Outcome) -> None:
    """Feeds ``inputs`` mutated inputs to one parser."""
    for number in range(inputs):
        if number % 100 == 0:  # if even the check of the time is not reached, this ends it and says where
            faulthandler.dump_traceback_later(100 * SECONDS_ALLOWED + 60, exit=True)
        data = mutate(target.seeds, np.random.default_rng([seed, number]))
        started = time.process_time()
        try:
            outcome.counts["accepted" if target.accepts(data) else "refused"] += 1
        except ArenaError as error:
            outcome.counts["refused"] += 1
            if not str(error).strip():
                outcome.failures.append(f"{target.name}, seed {seed}, input {number}: an error without words")
        except Exception as error:  # noqa: BLE001  # any other is what we are looking for
            what = f"{type(error).__name__}: {error}"
            outcome.failures.append(f"{target.name}, seed {seed}, input {number}: {what[:500]}; {data[:200]!r}")
        seconds = time.process_time() - started
        outcome.slowest, outcome.seconds = max(outcome.slowest, seconds), outcome.seconds + seconds
        if seconds > SECONDS_ALLOWED:
            outcome.failures.append(
                f"{target.name}, seed {seed}, input {number}: it took {seconds:.1f} s; {data[:200]!r}"
            )
    faulthandler.cancel_dump_traceback_later()


def run(options: Options) -> dict[str, Outcome]:
    """Fuzzes every target, prints a table and the failures, and returns what became of each."""
    console = Console()
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory() as name:
        targets = make_targets(options, Path(name))
        if not targets:
            raise ArenaError(f"No parser's name begins with one of {', '.join(options.only)}.")
        for target in targets:  # compile, and see that the seeds themselves are accepted
            for seed in target.seeds:
                require(target.accepts(seed), f"{target.name} refuses its own seed {seed[:200]!r}")
        before, per_share = _peak_bytes(), options.inputs / sum(target.share for target in targets)
        for target in track(targets, "parsers", console=console, disable=not console.is_terminal):
            outcome = outcomes.setdefault(target.name, Outcome())
            fuzz(target, max(1, round(per_share * target.share)), options.seed, outcome)
        grown = _peak_bytes() - before
    table = Table("parser", "accepted", "refused", "seconds", "slowest", "failures")
    for name, outcome in outcomes.items():
        counts = (f"{outcome.counts[kind]:,}" for kind in ("accepted", "refused"))
        table.add_row(
            name, *counts, f"{outcome.seconds:.1f}", f"{1000 * outcome.slowest:.0f} ms", str(len(outcome.failures))
        )
    console.print(table)
    total = sum(sum(outcome.counts.values()) + len(outcome.failures) for outcome in outcomes.values())
    console.print(f"{total:,} inputs; the process grew by {grown / 2**20:.0f} MiB")
    if grown > BYTES_ALLOWED:
        outcomes["memory"] = Outcome(failures=[f"the process grew by {grown / 2**20:.0f} MiB"])
    for outcome in outcomes.values():
        for line in outcome.failures[:20]:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    return outcomes


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    start(lambda options: any(outcome.failures for outcome in run(options).values()), Options)
