"""Log rotation: files stay within the limits, and are read as one log, even during a rotation."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite import linux
from pyctr_lite.engine.log import reader as log_reader
from pyctr_lite.engine.log.writer import LogWriter


def files(path: Path) -> list[Path]:
    """Return the files of a log, the oldest first."""
    return sorted(path.parent.glob(path.name + "*"), key=lambda file: int(file.suffix[1:] or 0)
                  if file.suffix != ".jsonl" else 0, reverse=True)  # fmt: skip


def texts(path: Path, tail: int | None = None) -> list[str]:
    return [entry.text for entry in log_reader.read(str(path), tail=tail)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


@pytest.mark.parametrize("plain", [True, False])
def test_the_number_and_the_size_of_files_are_limited(path: Path, plain: bool) -> None:
    writer = LogWriter(str(path), 1000, 3)
    lines = [f"line {number}{'' if plain else ' ☃'}\n" for number in range(200)]
    writer.write("stdout", "".join(lines).encode())  # much more than one file holds, in one chunk
    writer.close()
    assert [file.name for file in files(path)] == ["log.jsonl.2", "log.jsonl.1", "log.jsonl"]
    assert all(0 < file.stat().st_size <= 1000 for file in files(path))
    kept = texts(path)
    assert kept == lines[-len(kept) :]
    assert len(kept) > 20


def test_a_log_of_one_file_starts_over(path: Path) -> None:
    writer = LogWriter(str(path), 300, 1)
    for number in range(50):
        writer.write("stdout", b"%d\n" % number)
    writer.close()
    assert files(path) == [path]
    assert path.stat().st_size <= 300
    assert texts(path)[-1] == "49\n"


def test_without_a_limit_one_file_grows(path: Path) -> None:
    writer = LogWriter(str(path))
    writer.write("stdout", b"x\n" * 5000)
    writer.close()
    assert files(path) == [path]
    assert len(texts(path)) == 5000


def test_a_line_longer_than_a_file_is_kept_whole(path: Path) -> None:
    writer = LogWriter(str(path), 100, 3)
    for line in (b"a" * 500, b"short", b"b" * 600):
        writer.write("stdout", line + b"\n")
    writer.close()
    assert texts(path) == ["a" * 500 + "\n", "short\n", "b" * 600 + "\n"]


def test_a_new_writer_appends_to_the_last_ones_log(path: Path) -> None:
    for number in range(20):  # as after a restart
        writer = LogWriter(str(path), 400, 2)
        writer.write("stdout", b"life %d\n" % number)
        writer.close()
    assert all(file.stat().st_size <= 400 for file in files(path))
    assert texts(path)[-3:] == ["life 17\n", "life 18\n", "life 19\n"]


@given(st.lists(st.integers(0, 30), max_size=25), st.integers(1, 4), st.integers(0, 40))
def test_the_tail_spans_several_files(tmp_path_factory: pytest.TempPathFactory, chunks: list[int],
                                     max_files: int, count: int) -> None:  # fmt: skip
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    writer = LogWriter(str(path), 400, max_files)
    numbers = itertools.count()
    for chunk in chunks:
        writer.write("stdout", b"".join(b"%d\n" % next(numbers) for _ in range(chunk)))
    writer.close()
    kept = texts(path)
    assert texts(path, tail=count) == kept[max(0, len(kept) - count) :]
    assert [int(text) for text in kept] == list(range(sum(chunks) - len(kept), sum(chunks)))


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=40))
def test_a_reader_that_keeps_up_misses_nothing(tmp_path_factory: pytest.TempPathFactory,
                                               steps: list[tuple[int, bool]]) -> None:  # fmt: skip
    """If at most 3 of 5 files are started between two reads, each line is read once, in order."""
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    writer, seen, numbers = LogWriter(str(path), 300, 5), [], itertools.count()
    with log_reader.LogReader(str(path)) as reader:
        for chunk, read in steps:
            writer.write("stdout", b"".join(b"%d\n" % next(numbers) for _ in range(chunk)))
            if read or chunk > 6 or len(list(path.parent.iterdir())) > 3:
                seen += [int(entry.text) for entry in reader.entries()]
        writer.close()
        seen += [int(entry.text) for entry in reader.entries()]
    assert seen == list(range(next(numbers)))


def test_a_reader_that_fell_behind_continues_with_the_oldest_file(path: Path) -> None:
    writer = LogWriter(str(path), 300, 2)
    writer.write("stdout", b"first\n")
    with log_reader.LogReader(str(path)) as reader:
        assert [entry.text for entry in reader.entries()] == ["first\n"]
        writer.write("stdout", b"".join(b"%d\n" % number for number in range(100)))
        rest = [int(entry.text) for entry in reader.entries()]
    writer.close()
    assert rest == sorted(set(rest))
    assert rest[-1] == 99
    assert len(rest) < 100


@pytest.mark.parametrize("max_files", [1, 2])
def test_lines_are_lost_on_a_full_disk_and_kept_once_there_is_space(tmp_path: Path, max_files: int) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    linux.mount("tmpfs", str(disk), "tmpfs", 0, "size=16k,nr_inodes=6")
    try:
        writer = LogWriter(str(disk / "log.jsonl"), 4000, max_files)
        (disk / "ballast").write_bytes(b"x" * (3 if max_files == 1 else 2) * 4096)
        others = [disk / f"inode{number}" for number in range(6)]
        try:
            for other in others:
                other.touch()
        except OSError:
            pass  # now no inode is left either
        for number in range(100):
            writer.write("stdout", b"lost or kept %d\n" % number)
        for path in (disk / "ballast", *others):
            path.unlink(missing_ok=True)
        for number in range(100):
            writer.write("stdout", b"%d\n" % number)
        writer.close()
        kept = [text for text in texts(disk / "log.jsonl") if text[0].isdecimal()]
        assert kept == [f"{number}\n" for number in range(100 - len(kept), 100)]
        assert len(kept) > 10
    finally:
        linux.umount2(str(disk))
