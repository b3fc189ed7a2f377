"""The last lines of a log are found from its end, and a line that is not whole yet is not read."""

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
    """What is in a file from where its last lines begin."""
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
def test_the_last_lines(content: bytes, count: int, found: bytes) -> None:
    assert tail(content, count) == found


@given(
    st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"x"))),
    st.integers(0, 12),
    st.integers(1, 10),
)
def test_the_last_lines_are_the_same_however_large_the_blocks_are(
    lines: list[bytes], count: int, block: int
) -> None:
    whole = [line + b"\n" for line in lines]
    assert tail(b"".join(whole), count, block) == b"".join(whole[len(whole) - min(count, len(whole)) :])


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = str(tmp_path / "log.jsonl")
    writer = logs.LogWriter(path)
    writer.write("stdout", b"one\ntw")
    writer.write("stderr", "fäil\n".encode())
    writer.write("stdout", b"o\nend")
    writer.close()
    found = [(entry.stream, entry.text) for entry in log_reader.read(path)]
    assert found == [("stdout", "one\n"), ("stderr", "fäil\n"), ("stdout", "two\n"), ("stdout", "end")]
    assert [entry.text for entry in log_reader.read(path, tail=2)] == ["two\n", "end"]


def test_a_line_that_is_not_whole_is_read_when_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    line = b'{"log":"a\\n","stream":"stdout","time":"t"}\n'
    path.write_bytes(line + line[:10])
    with log_reader.LogReader(str(path)) as reader:
        assert len(list(reader.entries())) == 1
        assert list(reader.entries()) == []
        with path.open("ab") as file:
            file.write(line[10:])
        assert [entry.text for entry in reader.entries()] == ["a\n"]


def test_a_torn_line_is_passed_over_and_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    line = b'{"log":"a\\n","stream":"stdout","time":"t"}\n'
    path.write_bytes(line + line[:20] + line + b"\n[]\n" + line)
    assert [entry.text for entry in log_reader.read(str(path))] == ["a\n", "a\n"]


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list(log_reader.read(str(tmp_path / "missing"))) == []


def test_a_line_without_end_is_split_and_does_not_grow_the_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "log.jsonl")
    writer = logs.LogWriter(path)
    writer.write("stdout", b"x" * (3 * logs.MAX_LINE + 5))
    assert [len(entry.text) for entry in log_reader.read(path)] == [logs.MAX_LINE] * 3
    writer.close()
    assert [len(entry.text) for entry in log_reader.read(path)] == [*[logs.MAX_LINE] * 3, 5]
