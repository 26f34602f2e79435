"""Files, packages and archives: what is read, what is refused, and what a bomb costs."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from games.records import GameRecord, RecordError, read, write
from games.records.files import MAX_MEMBER_BYTES
from games.records.movelist import dumps

PGN = '[Event "one"]\n\n1. e4 *\n\n[Event "two"]\n\n1. d4 *\n'
SGF = "(;FF[4]GM[1]SZ[9];B[ee])"
LINE = "connect_four | * | 4 4\n"


def tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


MEMBERS = {"a/one.sgf": SGF.encode(), "README": b"[not a game", "a/._one.sgf": b"junk", "../two.PGN": PGN.encode()}


@pytest.mark.parametrize("suffix", [".tar.gz", ".tgz", ".tar", ".zip"])
def test_archives(tmp_path, suffix) -> None:
    path = tmp_path / f"games{suffix}"
    zipped(path, MEMBERS) if suffix == ".zip" else tar(path, MEMBERS, "w" if suffix == ".tar" else "w:gz")
    reader = read(path)
    found = list(reader)
    assert [record.game for record in found] == ["go_9x9:ko=simple", *["chess:claim_draws=false"] * 2]
    assert found[0].source == f"{path}/a/one.sgf"
    assert [record.number for record in found] == [1, 1, 2]
    assert (reader.read, reader.broken) == (3, 0)
    assert list(tmp_path.iterdir()) == [path]  # nothing was unpacked
    assert not (tmp_path.parent / "two.PGN").exists()


@pytest.mark.parametrize(("suffix", "text", "games"), [(".pgn", PGN, 2), (".sgf", SGF, 1), (".moves", LINE, 1)])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_single_files(tmp_path, suffix, text, games, packed) -> None:
    path = tmp_path / f"games{suffix}{packed}"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert len(list(read(str(path)))) == games
    written = tmp_path / f"again{suffix}{packed}"
    assert write(written, read(path)) == games
    assert list(read(written)) == list(read(path))
    assert sorted(tmp_path.iterdir()) == sorted([path, written])


def test_broken_games_are_raised_or_counted(tmp_path) -> None:
    path = tmp_path / "a.pgn"
    path.write_text(f'{PGN}\n[Event "three"]\n\n1. e5 *\n\n{PGN}')
    reader = read(path)
    assert [next(reader).tags["Event"] for _ in range(2)] == ["one", "two"]
    with pytest.raises(RecordError, match=r"a\.pgn, game 3, ply 0: .*e5 is illegal"):
        next(reader)
    assert [record.number for record in reader] == [4, 5]  # and it goes on
    with read(path, errors="skip") as skipping:
        assert [record.number for record in skipping] == [1, 2, 4, 5]
        assert (skipping.read, skipping.broken) == (4, 1)
        assert [problem.number for problem in skipping.problems] == [3]
        assert next(skipping, None) is None
    with pytest.raises(RecordError, match="give 'raise' or 'skip'"):
        read(path, errors="ignore")  # type: ignore[arg-type]


def test_options_are_checked(tmp_path) -> None:
    path = tmp_path / "a.sgf"
    path.write_text(SGF)
    assert next(read(path, ko="positional")).game == "go_9x9"
    with pytest.raises(RecordError, match=r"Unknown option of game 'go_9x9' 'kom'; did you mean 'komi'"):
        next(read(path, kom=3))


def test_closing_early(tmp_path) -> None:
    path = tar(tmp_path / "a.tar.gz", {f"{number}.sgf": SGF.encode() for number in range(50)})
    with read(path) as reader:
        next(reader)
    assert list(reader) == []


@pytest.mark.parametrize("name", ["a.txt", "a.pgn.bz2", "a.gz", "pgn", "a.wtb.zip.7z"])
def test_names_that_say_nothing(tmp_path, name) -> None:
    (tmp_path / name).write_text(PGN)
    with pytest.raises(RecordError, match=r"its name must end in one of \.pgn, "):
        read(tmp_path / name)
    with pytest.raises(RecordError, match=r"its name must end in one of \.pgn, "):
        write(tmp_path / name, [])


def test_missing_and_empty_files(tmp_path) -> None:
    with pytest.raises(RecordError, match="there is no such file"):
        read(tmp_path / "a.pgn")
    (tmp_path / "a.pgn").write_bytes(b"")
    assert list(read(tmp_path / "a.pgn")) == []
    (tmp_path / "a.sgf").write_bytes(b"")
    with pytest.raises(RecordError, match="there is no game in it"):
        next(read(tmp_path / "a.sgf"))
    with pytest.raises(RecordError, match="it holds no file that ends in"):
        next(read(tar(tmp_path / "a.tar.gz", {"README": b"x"})))
    with pytest.raises(RecordError, match="cannot be written"):
        write(tmp_path / "no" / "a.pgn", [])


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip", ".pgn.gz", ".sgf.gz"])
def test_broken_off_files(tmp_path, suffix) -> None:
    """Cut anywhere: what comes before is read, and one error at least says that it broke off."""
    whole = tmp_path / f"whole{suffix}"
    noise = np.random.default_rng(0).integers(97, 122, 3000).astype(np.uint8).tobytes()
    members = {"a.sgf": b"(;FF[4]SZ[9]C[" + noise + b"];B[ee])", "b.sgf": SGF.encode(), "c.sgf": SGF.encode()}
    if suffix == ".zip":
        zipped(whole, members)
    elif suffix == ".tar.gz":
        tar(whole, members)
    else:
        text = b"\n".join(members.values()) if suffix == ".sgf.gz" else PGN.encode() + b"\n{" + noise + b"} 1. e4 *"
        whole.write_bytes(gzip.compress(text))
    data = whole.read_bytes()
    for end in np.linspace(20, len(data) - 9, 40).astype(int):
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(data[:end])
        reader = read(path, errors="skip")
        for record in reader:
            assert len(record.moves) == 1
        assert reader.broken >= 1
        assert all(str(path) in str(problem) or path.stem in str(problem) for problem in reader.problems)


def test_bombs_are_refused_early(tmp_path) -> None:
    zeros = bytes(1 << 20)
    bomb = tmp_path / "a.pgn.gz"
    with gzip.GzipFile(bomb, "wb", compresslevel=1) as file:
        for _ in range(100):
            file.write(zeros)
    reader = read(bomb, errors="skip")
    assert list(reader) == []
    assert reader.broken >= 1
    assert any("unpacks to far more" in str(problem) or "UTF-16" in str(problem) for problem in reader.problems)
    lines = tmp_path / "b.pgn.gz"
    with gzip.GzipFile(lines, "wb", compresslevel=1) as file:
        for _ in range(200):
            file.write((b"{" + b"x" * 1023) * 1024)
    reader = read(lines, errors="skip")
    assert list(reader) == []
    assert any("unpacks to far more" in str(problem) for problem in reader.problems)
    big = tar(tmp_path / "c.tar.gz", {"big.sgf": bytes(MAX_MEMBER_BYTES + 1), "good.sgf": SGF.encode()})
    reader = read(big, errors="skip")
    assert [record.game for record in reader] == ["go_9x9:ko=simple"]  # what comes after is read all the same
    assert "it has 67,108,865 bytes" in str(reader.problems[0])


def test_a_header_of_tar_that_promises_too_much(tmp_path) -> None:
    """tarfile reads a long name whole; ours gives it no more than a member may have."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.truncate(MAX_MEMBER_BYTES + (1 << 24))  # a sparse file, so that there is something to read
    reader = read(path, errors="skip")
    assert list(reader) == []
    assert "unpacks to far more" in str(reader.problems[0])


def test_links_and_devices_in_a_tar_are_passed_over(tmp_path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo("link.sgf")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    with pytest.raises(RecordError, match="it holds no file"):
        next(read(path))


def test_compression_that_takes_memory_is_refused(tmp_path) -> None:
    reader = read(zipped(tmp_path / "a.zip", {"a.pgn": PGN.encode()}, zipfile.ZIP_LZMA), errors="skip")
    assert list(reader) == []
    assert "other than deflate" in str(reader.problems[0])


def test_a_file_is_written_whole_or_not_at_all(tmp_path) -> None:
    path = tmp_path / "a.pgn"
    path.write_text("before")

    def records():
        yield GameRecord("connect_four", np.array([3]))
        yield GameRecord("connect_four", np.array([99]))

    with pytest.raises(RecordError, match="ply 0"):
        write(path, records())
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_reading_holds_one_game_at_a_time(tmp_path) -> None:
    """Three thousand games come one by one: the reader goes no further than it is asked to."""
    path = tmp_path / "a.moves"
    line = dumps(GameRecord("connect_four", np.array([3, 3, 3])))
    path.write_text(f"{line}\n" * 3_000)
    with read(path) as reader:
        for _ in range(3):
            next(reader)
        assert reader.read == 3
    assert sum(1 for _ in read(path)) == 3_000


def test_names_in_capitals(tmp_path) -> None:
    (tmp_path / "A.PGN.GZ").write_bytes(gzip.compress(PGN.encode()))
    (tmp_path / "B.pgn").write_bytes(gzip.compress(PGN.encode()))  # what it is, not what it is called
    tar(tmp_path / "C.TGZ", {"A.SGF": SGF.encode()})
    assert [sum(1 for _ in read(path)) for path in sorted(tmp_path.iterdir())] == [2, 2, 1]


def test_a_member_without_a_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.pgn": PGN.encode(), "b.pgn": PGN.encode()})
    path.write_bytes(path.read_bytes().replace(b"a.pgn", b"\0.pgn"))
    reader = read(path, errors="skip")
    assert {record.source for record in reader} == {f"{path}/b.pgn"}
