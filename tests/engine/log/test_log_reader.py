"""Read a log: the last lines are found from the end, and an unfinished line is left for later."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.engine.log import reader as log_reader
from pyctr_lite.engine.log import writer as logs

if TYPE_CHECKING:
    from pathlib import Path


def tail(content: bytes, count: int, block: int = log_reader._BLOCK) -> bytes:
    """Return the last `count` lines of a file, with the rest of the file after them."""
    fd = os.memfd_create("log")
    before, log_reader._BLOCK = log_reader._BLOCK, block
    try:
        os.write(fd, content)
        return content[log_reader.tail_position(fd, count)[0] :]
    finally:
        log_reader._BLOCK = before
        os.close(fd)


@pytest.mark.parametrize(
    ("content", "count", "found"),
    [
        (b"", 0, b""),
        (b"", 5, b""),
        (b"a\nb\nc\n", 0, b""),
        (b"a\nb\nc\n", 1, b"c\n"),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc\n", 3, b"a\nb\nc\n"),
        (b"a\nb\nc\n", 9, b"a\nb\nc\n"),
        (b"\n\n\n", 2, b"\n\n"),
        (b"a\nb\ntorn", 1, b"b\ntorn"),
        (b"a\nb\ntorn", 0, b"torn"),
        (b"torn", 1, b"torn"),
    ],
)
def test_the_last_lines_are_found(content: bytes, count: int, found: bytes) -> None:
    assert tail(content, count) == found


@given(
    st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"x"))),
    st.integers(0, 12),
    st.integers(1, 10),
)
def test_the_last_lines_do_not_depend_on_the_block_size(lines: list[bytes], count: int, block: int) -> None:
    whole = [line + b"\n" for line in lines]
    assert tail(b"".join(whole), count, block) == b"".join(whole[len(whole) - min(count, len(whole)) :])


def test_written_lines_are_read_back(tmp_path: Path) -> None:
    path = str(tmp_path / "log.jsonl")
    writer = logs.LogWriter(path)
    writer.write("stdout", b"one\ntw")
    writer.write("stderr", "fäil\n".encode())
    writer.write("stdout", b"o\nend")
    writer.close()
    found = [(entry.stream, entry.text) for entry in log_reader.read(path)]
    assert found == [("stdout", "one\n"), ("stderr", "fäil\n"), ("stdout", "two\n"), ("stdout", "end")]
    assert [entry.text for entry in log_reader.read(path, tail=2)] == ["two\n", "end"]


def test_an_unfinished_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    line = b'{"log":"a\\n","stream":"stdout","time":"t"}\n'
    path.write_bytes(line + line[:10])
    with log_reader.LogReader(str(path)) as reader:
        assert len(list(reader.entries())) == 1
        assert list(reader.entries()) == []
        with path.open("ab") as file:
            file.write(line[10:])
        assert [entry.text for entry in reader.entries()] == ["a\n"]


def test_a_torn_line_is_skipped_and_hides_no_other_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    line = b'{"log":"a\\n","stream":"stdout","time":"t"}\n'
    path.write_bytes(line + line[:20] + line + b"\n[]\n" + line)
    assert [entry.text for entry in log_reader.read(str(path))] == ["a\n", "a\n"]


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert list(log_reader.read(str(tmp_path / "missing"))) == []


def test_an_endless_line_is_split_and_is_not_kept_in_memory(tmp_path: Path) -> None:
    path = str(tmp_path / "log.jsonl")
    writer = logs.LogWriter(path)
    writer.write("stdout", b"x" * (3 * logs.MAX_LINE + 5))
    assert [len(entry.text) for entry in log_reader.read(path)] == [logs.MAX_LINE] * 3
    writer.close()
    assert [len(entry.text) for entry in log_reader.read(path)] == [*[logs.MAX_LINE] * 3, 5]
