"""Files of `--env-file` and `--label-file`: as Docker reads them, and bounded."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.cli.container import pairs_file
from pyctr_lite.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Pyctr


def read(tmp_path: Path, content: bytes) -> list[str]:
    (tmp_path / "file").write_bytes(content)
    return pairs_file.read(str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("content", "pairs"),
    [
        (b"\xef\xbb\xbfA=1\n", ["A=1"]),
        (b"A=1\r\nB\n", ["A=1", "B"]),
        (b"  # a comment\n\n \n\tA= 1 \n", ["A= 1 "]),
        ("A=one\u2028two\x0bthree\x85\n".encode(), ["A=one\u2028two\x0bthree\x85"]),
        (b"A=" + b"x" * 65000, ["A=" + "x" * 65000]),
        (b"", []),
    ],
)
def test_variables_are_read_from_a_file(tmp_path: Path, content: bytes, pairs: list[str]) -> None:
    assert read(tmp_path, content) == pairs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"=\n", "no variable name on line '='"),
        (b"A=1\n=x\n", "no variable name on line '=x'"),
        (b"A B=1\n", "variable 'A B' contains whitespaces"),
        (b"A\tB\n", "contains whitespaces"),
        (b"A=\xff\n", "invalid utf8 bytes at line 1"),
        (b"A=1\n\xff\n", "invalid utf8 bytes at line 2"),
        (b"A=1\0\n", "contains a NUL"),
        (b"A=" + b"x" * 65536, "bufio.Scanner: token too long"),
        (b"A=1\n" * 3_000_000, "larger than 8 MiB"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(tmp_path, content)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/", "read /: is a directory"),
        ("/nowhere", "open /nowhere: no such file or directory"),
        ("/dev/zero", "token too long"),
        ("/dev/random", "env file (/dev/random)"),
    ],
)
@pytest.mark.parametrize("flag", ["--env-file", "--label-file"])
def test_a_path_that_is_not_a_regular_file_is_refused(pyctr: Pyctr, path: str, message: str, flag: str) -> None:
    done = pyctr("create", flag, path, "busybox")
    assert done.returncode == 1 or done.returncode == 125
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fifo_is_read_to_its_end_and_no_further_than_the_bound(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def write(content: bytes) -> None:
        try:
            fifo.write_bytes(content)
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write, args=(b"A=1\nB=2\n",))
    writer.start()
    assert pairs_file.read(str(fifo)) == ["A=1", "B=2"]
    writer.join()
    writer = threading.Thread(target=write, args=(b"A=1\n" * 4_000_000,))
    writer.start()
    with pytest.raises(InvalidArgument, match="larger than 8 MiB"):
        pairs_file.read(str(fifo))
    writer.join()
