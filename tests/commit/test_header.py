"""Header blocks, read back by Python's tarfile."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.commit import header

NAMES = st.binary(min_size=1, max_size=400).filter(
    lambda name: not {0, 10} & set(name) and name.strip(b"/") == name
)


def read(blocks: bytes) -> tarfile.TarInfo:
    with tarfile.open(
        fileobj=io.BytesIO(blocks + bytes(1024)), encoding="utf-8", errors="surrogateescape"
    ) as archive:
        entry = archive.next()
    assert entry is not None
    return entry


@given(
    name=NAMES,
    linkname=NAMES,
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 2),
    gid=st.integers(0, 2**32 - 2),
    mtime=st.integers(-(2**40), 2**40),
)
def test_header_values_are_read_back(
    name: bytes, linkname: bytes, mode: int, uid: int, gid: int, mtime: int
) -> None:
    blocks = header.entry_header(name, header.SYMLINK, mode=mode, uid=uid, gid=gid, mtime=mtime, linkname=linkname)
    entry = read(blocks)
    assert entry.name.encode(errors="surrogateescape") == name
    assert entry.linkname.encode(errors="surrogateescape") == linkname
    assert (entry.mode, entry.uid, entry.gid, entry.mtime) == (mode, uid, gid, mtime)


@pytest.mark.parametrize("size", [0, 1, 0o77777777777, 0o100000000000, 2**60])
def test_sizes_are_read_back(size: int) -> None:
    blocks = header.entry_header(b"file", header.REGULAR, mode=0o644, size=size)
    entry = tarfile.TarInfo.frombuf(blocks[-512:], "utf-8", "surrogateescape")
    pax = dict(line.split(b" ", 1)[1].split(b"=", 1) for line in blocks[512:-512].rstrip(b"\0").splitlines())
    assert int(pax.get(b"size", entry.size)) == size


@given(st.binary(max_size=300))
def test_xattr_values_are_read_back(value: bytes) -> None:
    blocks = header.entry_header(b"file", header.REGULAR, mode=0o644, xattrs={"user.x": value})
    record = blocks[512 : 512 + int(read_size(blocks))]
    length, _, rest = record.partition(b" ")
    assert int(length) == len(record)
    assert rest == b"SCHILY.xattr.user.x=" + value + b"\n"


def read_size(block: bytes) -> int:
    return int(block[124:135], 8)


def test_values_that_fit_need_no_pax_record() -> None:
    assert len(header.entry_header(b"a" * 100, header.REGULAR, mode=0o644, uid=0o7777777)) == 512
    assert len(header.entry_header(b"a" * 101, header.REGULAR, mode=0o644)) == 3 * 512
    assert len(header.entry_header(b"a", header.REGULAR, mode=0o644, uid=0o10000000)) == 3 * 512


def test_a_device_has_its_numbers() -> None:
    entry = read(header.entry_header(b"null", header.CHARACTER, mode=0o666, device=(1, 3)))
    assert (entry.ischr(), entry.devmajor, entry.devminor) == (True, 1, 3)
