"""Decompression of gzip, by either library: every form of a gzip file, read in pieces of any size."""

from __future__ import annotations

import gzip
import io
import os
import sys

import pytest

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.images import compression

FIRST, LAST = os.urandom(300_000), b"text " * 100_000
MEMBERS = gzip.compress(FIRST) + bytes(70_000) + gzip.compress(b"") + gzip.compress(LAST)
NAMED = io.BytesIO()
with gzip.GzipFile("name", "wb", fileobj=NAMED) as file:
    file.write(FIRST)


@pytest.fixture(params=["isal", "zlib"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use ISA-L, or zlib as on a machine without it."""
    if request.param == "isal":
        pytest.importorskip("isal")
    else:
        monkeypatch.setitem(sys.modules, "isal", None)


def read(content: bytes, size: int = 1 << 20) -> bytes:
    found = b""
    with compression.open_decompressed(io.BytesIO(content)) as plain:
        while data := plain.read(size):
            assert len(data) <= size
            found += data
    return found


@pytest.mark.parametrize("size", [1000, 65536, 1 << 20])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (MEMBERS, FIRST + LAST),
        (MEMBERS + b"\0\0\0", FIRST + LAST),
        (NAMED.getvalue(), FIRST),
        (gzip.compress(b""), b""),
        (gzip.compress(LAST, 1) * 3, LAST * 3),
    ],
    ids=["members", "padding", "name", "empty", "three"],
)
def test_every_form_of_a_gzip_file_is_read(content: bytes, expected: bytes, size: int) -> None:
    assert read(content, size) == expected


@pytest.mark.parametrize(
    "content",
    [
        MEMBERS[:200_000],
        MEMBERS[:-1],
        MEMBERS[:-6] + bytes(6),
        MEMBERS + b"garbage",
        MEMBERS[:1000] + b"\xff" * 50 + MEMBERS[1050:],
        b"\x1f\x8b\x08",
    ],
    ids=["cut", "cut checksum", "wrong checksum", "garbage", "damage", "header"],
)
def test_a_damaged_gzip_file_is_refused(content: bytes) -> None:
    with pytest.raises(BrokenArchive, match="damaged gzip data"):
        read(content)
