"""Write a log: any bytes in a line are preserved or replaced, and plain lines are fast."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pyctr_lite.engine.log.writer import MAX_LINE, LogWriter


def written(path: Path, *chunks: bytes) -> list[str]:
    writer = LogWriter(str(path))
    for chunk in chunks:
        writer.write("stdout", chunk)
    writer.close()
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert {entry["stream"] for entry in entries} <= {"stdout"}
    return [entry["log"] for entry in entries]


@pytest.mark.parametrize(
    "text",
    [
        "plain\nlines\n\nof text\n",
        'quotes " and \\ back\\nslashes\n',
        "tabs\tand\x1b[1mcolours\x00\n",
        "na\u00efve \u2603 \U0001f600\n",
        "one",
        "a\n" * 1000,
    ],
)
def test_text_is_read_back_unchanged(tmp_path: Path, text: str) -> None:
    assert "".join(written(tmp_path / "log", text.encode())) == text
    assert written(tmp_path / "again", *(bytes([byte]) for byte in text.encode())) == text.splitlines(
        keepends=True
    )


def test_a_line_without_an_end_is_split(tmp_path: Path) -> None:
    lines = written(tmp_path / "log", b"x" * (MAX_LINE * 2 + 5) + b"\n")
    assert [len(line) for line in lines] == [MAX_LINE, MAX_LINE, 6]


def test_bytes_that_are_not_utf_8_are_replaced(tmp_path: Path) -> None:
    assert written(tmp_path / "log", b"a\xffb\n") == ["a\ufffdb\n"]


def test_short_lines_are_written_faster_than_a_program_prints_them(tmp_path: Path, slowness: float) -> None:
    writer = LogWriter(str(tmp_path / "log"))
    chunk = b"y\n" * 16384
    began = time.process_time()
    for _ in range(64):
        writer.write("stdout", chunk)
    writer.close()
    assert time.process_time() - began < 1.0 * slowness  # 2 MB; line by line it took 2.5 s
