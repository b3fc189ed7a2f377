"""The tar reader, with archives of Python's tarfile and GNU tar in all formats."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyctr_lite.commit.layer import write_layer
from pyctr_lite.rootfs import layer, tar
from tests.images import archives

Found = tuple[bytes, bytes, bytes, int, int, int, int, bytes]


def read(content: bytes, chunk: int = 1 << 20) -> list[Found]:
    """Read each entry from a stream that returns at most `chunk` bytes at a time."""

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(chunk if size is None or size < 0 else min(size, chunk))

    reader = tar.TarReader(Stream(content))
    return [
        (each.name, each.type, each.linkname, each.mode, each.uid, each.gid, each.mtime, b"".join(reader.data()))
        for each in reader
    ]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1)


@settings(deadline=None, max_examples=60)
@given(
    entries=st.lists(
        st.tuples(
            st.lists(NAMES, min_size=1, max_size=20).map("/".join),
            st.binary(max_size=2000),
            st.integers(0, 0xFFFFFFFE),
            st.integers(-(1 << 33), 1 << 33),
            st.integers(0, 0o7777),
        ),
        max_size=5,
    ),
    format=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    chunk=st.integers(1, 3000),
)
def test_files_written_by_tarfile_are_read_back(
    entries: list[tuple[str, bytes, int, int, int]], format: int, chunk: int
) -> None:
    content = archives.tar(
        *(archives.entry(name, data, uid=uid, mtime=mtime, mode=mode) for name, data, uid, mtime, mode in entries),
        format=format,
    )
    assert read(content, chunk) == [
        (name.encode(), tar.REGULAR, b"", mode, uid, 0, mtime * 10**9, data)
        for name, data, uid, mtime, mode in entries
    ]


@pytest.mark.parametrize("format", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_archives_of_gnu_tar_are_read_in_each_format(tmp_path: Path, format: str) -> None:
    path = "d" * 80 if format == "v7" else "/".join(["d" * 50] * (2 if format == "ustar" else 6))
    (tmp_path / path).mkdir(parents=True)
    (tmp_path / path / "file").write_bytes(b"content" * 1000)
    (tmp_path / path / "link").symlink_to("x" * (90 if format in ("v7", "ustar") else 300))
    (tmp_path / path / "again").hardlink_to(tmp_path / path / "file")
    command = ["tar", f"--format={format}", "--sort=name", "--owner=:5", "--group=:6", "-C", tmp_path, "-c", "."]
    if format in ("v7", "ustar"):
        (tmp_path / path / "again").unlink()  # the hard link's target may be too long for these formats
    found = read(subprocess.run(command, capture_output=True, check=True).stdout)
    by_name = {name.removeprefix(b"./").rstrip(b"/"): rest for name, *rest in found}
    first, *_ = sorted(name for name in by_name if name.endswith((b"/again", b"/file")))
    assert by_name[first][-1] == b"content" * 1000
    assert by_name[f"{path}/link".encode()][:2] == [
        tar.SYMLINK,
        (tmp_path / path / "link").readlink().name.encode(),
    ]
    assert {(uid, gid) for *_, uid, gid, _, _ in found} == {(5, 6)}
    assert by_name[path.encode()][0] == tar.DIRECTORY
    if format not in ("v7", "ustar"):
        assert by_name[f"{path}/file".encode()][:2] == [tar.HARDLINK, f"./{path}/again".encode()]


def test_a_global_pax_header_applies_to_all_entries_and_a_local_one_to_the_next() -> None:
    content = (
        archives.header("g", b"g", b"12 uid=1000\n") + archives.pax("a", {"uid": "7"}) + archives.header("b", b"0")
    )
    assert [(name, uid) for name, _, _, _, uid, *_ in read(content)] == [(b"a", 7), (b"b", 1000)]


@pytest.mark.parametrize("format", ["gnu", "oldgnu", "posix"])
def test_an_incremental_archive_of_gnu_tar_with_a_renamed_directory_is_unpacked(
    tmp_path: Path, format: str
) -> None:
    """The data of its directory entries lists their names, and renamed and deleted files."""
    tree = tmp_path / "tree"
    (tree / "old/below").mkdir(parents=True)
    (tree / "gone").mkdir()
    (tree / "old/file").write_bytes(b"old")
    command = ["tar", f"--format={format}", f"--listed-incremental={tmp_path}/snapshot", "-C", tree, "-c", "."]
    for number, expected in enumerate(
        [{"old", "old/below", "old/file", "gone"}, {"new", "new/below", "new/more"}]
    ):
        done = subprocess.run(command, capture_output=True, check=True)
        for name, unpack in (("ours", layer.apply_layer), ("theirs", _gnu_unpack)):
            target = tmp_path / f"{name}-{number}"
            target.mkdir()
            unpack(io.BytesIO(done.stdout), str(target))
            assert {str(path.relative_to(target)) for path in target.rglob("*")} == expected
        if not number:
            (tree / "old").rename(tree / "new")
            (tree / "new/more").write_bytes(b"new" * 1000)
            (tree / "gone").rmdir()


def _gnu_unpack(content: io.BytesIO, target: str) -> None:
    subprocess.run(["tar", "-C", target, "-x"], input=content.getvalue(), check=True)


XATTRS = {"user.a=b%c": b"=%=", "user.%3D": b"1", "user.%253D=": b"2", "user.plain": b"3"}


@pytest.mark.parametrize("writer", ["GNU tar", "commit"])
def test_xattrs_with_an_equals_sign_in_their_names_are_read_back(tmp_path: Path, writer: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    for name, value in XATTRS.items():
        os.setxattr(source / "file", name, value)
    archive = io.BytesIO()
    if writer == "commit":
        write_layer(str(source), archive)
    else:
        command = ["tar", "--format=posix", "--xattrs", "-C", source, "-c", "file"]
        archive.write(subprocess.run(command, capture_output=True, check=True).stdout)
    archive.seek(0)
    (tmp_path / "target").mkdir()
    layer.apply_layer(archive, str(tmp_path / "target"))
    found = tmp_path / "target/file"
    assert {name: os.getxattr(found, name) for name in os.listxattr(found)} == XATTRS
