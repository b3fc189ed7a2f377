"""The layer of an upper directory, unpacked by tar, umoci, skopeo and pyctr_lite."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyctr_lite.commit import content, layer
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import layer as unpacking
from pyctr_lite.rootfs import walk
from tests.commit.container import Container, tree

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYTHING = r"""
    mkdir -p dir/sub "with space" $'\xff\xfe' deep
    echo content > dir/file; ln dir/file dir/sub/again; ln dir/file another
    ln -s ../dir/file dir/link; ln dir/link dir/link-again; chown -h 3:4 dir/link
    mkfifo -m 640 fifo; mknod -m 666 null c 1 3; mknod -m 600 loop b 7 70000
    echo setuid > setuid; chown 12:34 setuid; chmod 4755 setuid
    echo owned > owned; chown 3000000:4294967294 owned
    chmod 1777 "with space"; echo x > $'\xff\xfe/caf\xe9'; echo y > 'naïve 🐧'
    setfattr -n user.colour -v 0x00ff0a3d20 dir/file; setfattr -n user.a -v b dir
    setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 owned
    setfattr -h -n trusted.mark -v 1 dir/link
    truncate -s 40M sparse; echo middle | dd of=sparse bs=1M seek=20 conv=notrunc status=none; truncate -s 3M hole
    long=$(printf 'n%.0s' {1..200}); echo long > $long; ln -s $long$long to-long
    mkdir -p deep/$long/$long; echo x > deep/$long/$long/$long
    : > empty; head -c 3000000 /dev/zero | tr '\0' 'a' > big
    touch -d @-5 old; touch -d @9000000000 future; touch -d @1000000000.987654321 parts
    find . -mindepth 1 -depth -name 'd*' -exec touch -h -d @1500000000 {} +
"""


@pytest.fixture
def base(tmp_path: Path) -> Container:
    (tmp_path / "empty").mkdir()
    first = Container(tmp_path / "base", [str(tmp_path / "empty")])
    first.run("mkdir -p etc/ssl/deep bin; echo root > etc/passwd; touch etc/ssl/cert etc/ssl/deep/x bin/sh")
    return first.next(tmp_path / "container")


def packed(container: Container, **options: int) -> bytes:
    output = io.BytesIO()
    digest = layer.write_layer(container.upper, output, **options)
    assert digest.diff_id == "sha256:" + hashlib.sha256(output.getvalue()).hexdigest()
    assert digest.size == len(output.getvalue())
    return output.getvalue()


def entries(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as opened:
        return {entry.name: entry for entry in opened}


def unpacked(archive: bytes, directory: Path) -> Path:
    directory.mkdir(parents=True)
    unpacking.apply_layer(io.BytesIO(archive), str(directory))
    return directory


def test_an_unpacked_layer_equals_the_packed_tree(base: Container, tmp_path: Path) -> None:
    base.run(EVERYTHING)
    assert tree(unpacked(packed(base), tmp_path / "tree/out")) == tree(base.upper)


def test_an_unpacked_layer_has_the_packed_deletions(base: Container, tmp_path: Path) -> None:
    base.run("rm etc/passwd; rm -r etc/ssl; mkdir etc/ssl; echo key > etc/ssl/key; rm -r bin; mkdir new")
    out = unpacked(packed(base), tmp_path / "tree/out")
    whiteouts = ["bin", "etc/passwd"]
    for directory in (out, Path(base.upper)):
        assert all((directory / name).stat().st_rdev == 0 for name in whiteouts)
        assert os.getxattr(directory / "etc/ssl", "trusted.overlay.opaque") == b"y"
    seen = Container(tmp_path / "seen", [str(out), *base.lowers])
    seen.run(f"find . -mindepth 1 | sort > {tmp_path}/found")
    assert (tmp_path / "found").read_text().split() == ["./etc", "./etc/ssl", "./etc/ssl/key", "./new"]


def test_a_deleted_file_becomes_a_whiteout(base: Container) -> None:
    found = entries(packed(base.run("rm etc/passwd")))
    assert sorted(found) == ["etc", "etc/.wh.passwd"]
    marker = found["etc/.wh.passwd"]
    assert (marker.isreg(), marker.size, marker.mtime, marker.mode) == (True, 0, 0, 0o600)


def test_a_device_that_is_not_a_whiteout_stays_a_device(base: Container) -> None:
    found = entries(packed(base.run("mknod zero c 1 5")))
    assert sorted(found) == ["zero"]
    assert found["zero"].ischr()


def test_a_replaced_directory_is_opaque_before_its_entries(base: Container) -> None:
    found = entries(packed(base.run("rm -r etc/ssl; mkdir etc/ssl; touch etc/ssl/-first")))
    assert list(found) == ["etc", "etc/ssl", "etc/ssl/.wh..wh..opq", "etc/ssl/-first"]
    assert list(entries(packed(base.run("touch etc/-first"))))[:2] == ["etc", "etc/-first"]


def test_names_are_sorted_by_their_bytes(base: Container) -> None:
    names = list(entries(packed(base.run(r"mkdir b; touch b/x a Z $'\xff' 'é' b.c"))))
    assert names == ["Z", "a", "b", "b/x", "b.c", "é", "\udcff"]


def test_xattrs_are_packed_except_overlayfss_own(base: Container) -> None:
    base.run("mkdir dir; setfattr -n user.colour -v red dir; setfattr -n trusted.own -v x dir")
    os.setxattr(base.upper + "/dir", "trusted.overlay.origin", b"x")
    os.setxattr(base.upper + "/dir", "trusted.overlay.opaque", b"n")
    records = {key for key in entries(packed(base))["dir"].pax_headers if key.startswith("SCHILY")}
    assert records == {"SCHILY.xattr.user.colour", "SCHILY.xattr.trusted.own"}


def test_an_empty_upper_is_an_empty_archive(base: Container) -> None:
    assert packed(base.run("true")) == bytes(1024)


def test_sockets_are_skipped(base: Container) -> None:
    def change() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
        Path("file").touch()

    assert list(entries(packed(base.run(change)))) == ["file"]


def test_a_file_named_like_a_whiteout_is_refused(base: Container) -> None:
    base.run("echo x > etc/passwd; touch etc/.whatever")
    packed(base)
    Path(base.upper, "etc/.wh.passwd").touch()
    with pytest.raises(InvalidArgument, match=r"^/etc/\.wh\.passwd: "):
        packed(base)


def test_equal_changes_have_equal_digests(base: Container, tmp_path: Path) -> None:
    other = Container(tmp_path / "other", base.lowers)
    change = "rm etc/passwd; mkdir b a; echo x > a/2; echo y > a/1; ln a/1 b/1"
    stop_clocks = "; find . ! -path ./etc/ssl/deep/x -exec touch -h -d @1700000000 {} +"
    assert packed(base.run(change + stop_clocks)) == packed(other.run(change.replace("b a", "a b") + stop_clocks))
    other.run("chmod 600 a/1")
    assert packed(base) != packed(other)


def test_source_date_epoch_is_the_latest_time(base: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    base.run("touch -d @1000 old; touch -d @2000 new")
    assert [entry.mtime for entry in entries(packed(base)).values()] == [2000, 1000]
    assert [entry.mtime for entry in entries(packed(base, source_date_epoch=1500)).values()] == [1500, 1000]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "500")
    assert [entry.mtime for entry in entries(packed(base)).values()] == [500, 500]


def test_a_file_that_changes_meanwhile_does_not_break_the_archive(
    base: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    base.run("head -c 2000 /dev/zero | tr '\\0' a > shrinks; echo after > z")
    read_xattrs = content.read_xattrs

    def then_shrink(file: int | str) -> dict[str, bytes]:
        os.truncate(base.upper + "/shrinks", 10)
        return read_xattrs(file)

    monkeypatch.setattr(content, "read_xattrs", then_shrink)
    archive = packed(base)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        contents = {entry.name: opened.extractfile(entry).read() for entry in opened}  # type: ignore[union-attr]
    assert contents == {"shrinks": b"a" * 10 + bytes(1990), "z": b"after\n"}


def test_a_file_that_is_deleted_meanwhile_is_skipped(base: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    base.run("touch a b c; ln -s b link; mkdir dir")
    listdir = os.listdir

    def then_remove(directory: int) -> list[str]:
        names = listdir(directory)
        for name in ("b", "link"):
            Path(base.upper, name).unlink(missing_ok=True)
        shutil.rmtree(base.upper + "/dir", ignore_errors=True)
        return names

    monkeypatch.setattr(os, "listdir", then_remove)
    archive = packed(base)
    monkeypatch.undo()
    assert list(entries(archive)) == ["a", "c"]


def test_a_link_that_replaces_a_directory_meanwhile_is_not_followed(
    base: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    base.run("mkdir dir")
    opened = os.open

    def after_a_swap(path: bytes, flags: int, **options: int) -> int:
        if path == b"dir" and flags & os.O_DIRECTORY:
            os.rmdir(base.upper + "/dir")
            os.symlink("/etc", base.upper + "/dir")
        return opened(path, flags, **options)

    monkeypatch.setattr(os, "open", after_a_swap)
    archive = packed(base)
    monkeypatch.undo()
    assert os.path.islink(base.upper + "/dir")
    assert list(entries(archive)) == []


@settings(max_examples=15, deadline=None)
@given(
    st.dictionaries(
        st.binary(min_size=1, max_size=20).filter(
            lambda name: not {0, 47} & set(name) and name not in (b".", b"..")
        ),
        st.tuples(st.integers(0, 0o7777), st.lists(st.binary(max_size=600), max_size=4), st.integers(0, 10**6)),
        max_size=6,
    )
)
def test_files_with_any_content_are_unpacked_again(files: dict[bytes, tuple[int, list[bytes], int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        upper, out = f"{directory}/upper", f"{directory}/out"
        os.mkdir(upper)
        os.mkdir(out)
        for name, (mode, pieces, hole) in files.items():
            if name.startswith(b".wh."):
                continue
            with open(os.fsencode(upper) + b"/" + name, "wb") as file:
                for piece in pieces:
                    file.seek(hole, os.SEEK_CUR)
                    file.write(piece)
                os.fchmod(file.fileno(), mode)
                os.utime(file.fileno(), (hole, hole * 9000))
        archive = io.BytesIO()
        layer.write_layer(upper, archive)
        archive.seek(0)
        unpacking.apply_layer(archive, out)
        assert tree(out) == tree(upper)


def test_holes_are_not_read(base: Container) -> None:
    base.run("truncate -s 300M hole")
    reads = 0

    class Output:
        size = 0

        def write(self, data: bytes) -> None:
            self.size += len(data)

    real = os.pread

    def counted(*arguments: int) -> bytes:
        nonlocal reads
        reads += 1
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", counted)
        assert layer.write_layer(base.upper, Output()).size == (300 << 20) + 1536
    assert reads == 0


def test_gnu_tar_unpacks_the_same_tree(base: Container, tmp_path: Path) -> None:
    base.run(EVERYTHING)
    (tmp_path / "layer.tar").write_bytes(packed(base))
    (tmp_path / "tree/out").mkdir(parents=True)
    command = ["tar", "-xpf", tmp_path / "layer.tar", "-C", tmp_path / "tree/out", "--numeric-owner", "--xattrs"]
    done = subprocess.run(
        [*command, "--xattrs-include=*", "--exclude=.wh..wh..opq"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "tree/out") == tree(base.upper)


def image_layout(directory: Path, archive: bytes) -> Path:
    """Create an OCI image layout with one image, `test`, of one layer."""

    def add(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (directory / "blobs/sha256" / digest).write_bytes(content)
        return {
            "mediaType": f"application/vnd.oci.image.{kind}",
            "digest": f"sha256:{digest}",
            "size": len(content),
        }

    (directory / "blobs/sha256").mkdir(parents=True)
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    blob = add(archive, "layer.v1.tar")
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [blob["digest"]]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": add(json.dumps(config).encode(), "config.v1+json"),
        "layers": [blob],
    }
    index = add(json.dumps(manifest).encode(), "manifest.v1+json")
    index["annotations"] = {"org.opencontainers.image.ref.name": "test"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [index]}))
    return directory


def test_umoci_unpacks_the_same_tree(base: Container, tmp_path: Path, needs: Callable[[str], str]) -> None:
    base.run(EVERYTHING)
    layout = image_layout(tmp_path / "layout", packed(base))
    bundle = tmp_path / "tree/bundle"
    bundle.parent.mkdir()
    done = subprocess.run(
        [needs("umoci"), "unpack", "--image", f"{layout}:test", bundle], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert tree(bundle / "rootfs") == tree(base.upper)
    shutil.rmtree(bundle)


def test_skopeo_accepts_the_layer(base: Container, tmp_path: Path, needs: Callable[[str], str]) -> None:
    layout = image_layout(tmp_path / "layout", packed(base.run(EVERYTHING)))
    copy = [needs("skopeo"), "copy", "--insecure-policy", "-q", f"oci:{layout}:test", f"dir:{tmp_path}/copy"]
    assert subprocess.run(copy, capture_output=True, text=True).returncode == 0
    damaged = next((layout / "blobs/sha256").glob("*"), None)
    assert damaged is not None
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert subprocess.run([*copy[:-1], f"dir:{tmp_path}/again"], capture_output=True).returncode != 0


def test_explain_reports_whiteouts_and_the_digest(base: Container) -> None:
    base.run("rm etc/passwd")
    reader, writer = os.pipe()
    try:
        explain.start(writer)
        packed(base)
        explain.stop()
        steps = os.read(reader, 1 << 16).decode()
        assert 'whiteout "etc/.wh.passwd"' in steps
        assert "sha256:" in steps
        assert all(line.startswith("[5 commit]") for line in steps.splitlines())
        packed(base)
        os.set_blocking(reader, False)
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)
    finally:
        explain.stop()
        os.close(reader)
        os.close(writer)


def test_a_hard_link_repeats_the_xattrs_of_its_file(base: Container) -> None:
    """Unpacking sets the link's owner, and chown(2) clears the file's capabilities (docker load)."""
    base.run("echo x > a; setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 a; ln a b")
    found = entries(packed(base))
    assert found["b"].islnk()
    key = "SCHILY.xattr.security.capability"
    assert found["b"].pax_headers[key] == found["a"].pax_headers[key] != ""


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("truncate -s 9G hole", "/hole: a sparse file of 9663676416 bytes"),
        ("for i in 1 2 3; do truncate -s 3G hole$i; done", "/hole3: a sparse file of 3221225472 bytes"),
    ],
)
def test_holes_that_exceed_the_limit_of_zeros_are_refused(base: Container, script: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{message}"):
        layer.write_layer(base.run(script).upper, Nowhere())


class Nowhere:
    """An output that discards its data."""

    def write(self, data: bytes) -> None:
        pass


def test_a_path_too_long_for_a_header_is_refused(base: Container) -> None:
    fd = os.open(base.run("true").upper, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d" * 250, dir_fd=fd)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    with pytest.raises(InvalidArgument, match=r"a path of \d+ bytes is too long for an archive"):
        layer.write_layer(base.upper, Nowhere())
    walk.remove_tree(base.upper)
