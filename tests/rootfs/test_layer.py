"""Unpacked layers: entries, whiteouts in overlayfs's form, and all attributes."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pyctr_lite import linux
from pyctr_lite.rootfs import layer
from tests.images.archives import directory, entry, hardlink, header, pax, symlink, tar
from tests.rootfs.layer_overlay import overlay


def apply(content: bytes, target: Path, *lowers: Path) -> Path:
    target.mkdir(exist_ok=True)
    layer.apply_layer(io.BytesIO(content), str(target), [str(lower) for lower in lowers])
    return target


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return "trusted.overlay.opaque" in os.listxattr(path)


# --- entries and their attributes -------------------------------------------------------------------------


def test_hard_links_work_across_more_directories_than_stay_open(tmp_path: Path) -> None:
    files = [entry(f"many/{number}/file", b"%d" % number) for number in range(600)]
    links = [hardlink(f"many/{number}/link", f"many/{(number * 7 + 300) % 600}/file") for number in range(600)]
    root = apply(tar(*files, *links), tmp_path / "layer")
    assert all(
        (root / f"many/{number}/link").read_text() == str((number * 7 + 300) % 600) for number in range(600)
    )


def test_every_kind_of_entry_becomes_that_kind_of_inode(tmp_path: Path) -> None:
    root = apply(
        tar(
            directory("d", mode=0o1777),
            entry("d/file", b"content"),
            symlink("d/link", "/etc/passwd"),
            hardlink("d/again", "d/file"),
            entry("fifo", type=tarfile.FIFOTYPE, mode=0o640),
            entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
            entry("disk", type=tarfile.BLKTYPE, devmajor=8, devminor=1),
        ),
        tmp_path / "layer",
    )
    assert names(root) == ["d", "d/again", "d/file", "d/link", "disk", "fifo", "null"]
    assert (root / "d/file").read_bytes() == b"content"
    assert (root / "d/again").stat().st_ino == (root / "d/file").stat().st_ino
    assert os.readlink(root / "d/link") == "/etc/passwd"
    assert stat.S_ISFIFO((root / "fifo").stat().st_mode)
    assert (root / "null").stat().st_rdev == os.makedev(1, 3)
    assert stat.S_ISBLK((root / "disk").stat().st_mode)
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o1777
    assert stat.S_IMODE((root / "null").stat().st_mode) == 0o666


def test_owner_mode_and_times_come_from_the_archive_despite_the_umask(tmp_path: Path) -> None:
    content = tar(
        directory("d", mode=0o2775, uid=7, gid=8, mtime=1_000_000),
        entry("d/sudo", b"x", mode=0o6755, uid=12, gid=4294967294, mtime=1234567890.125),
        entry("d/link", type=tarfile.SYMTYPE, linkname="gone", uid=3, gid=4, mtime=99),
    )
    with linux.umask(0o077):
        root = apply(content, tmp_path / "layer")
    status = (root / "d/sudo").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12, 4294967294, 0o6755)
    assert status.st_mtime_ns == 1234567890_125000000
    assert (root / "d").stat().st_mtime == 1_000_000
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o2775
    link = (root / "d/link").lstat()
    assert (link.st_uid, link.st_gid, link.st_mtime) == (3, 4, 99)


def test_times_keep_their_nanoseconds_and_may_be_far_in_the_past_or_future(tmp_path: Path) -> None:
    content = pax("fine", {"mtime": "1234567890.123456789"}) + pax("old", {"mtime": "-5.5"})
    content += pax("ahead", {"mtime": "4102444800"}) + pax("absurd", {"mtime": "9" * 60})
    root = apply(content, tmp_path / "layer")
    assert (root / "fine").stat().st_mtime_ns == 1234567890_123456789
    assert (root / "old").stat().st_mtime_ns == -5_500_000_000
    assert (root / "ahead").stat().st_mtime == 4102444800
    assert (root / "absurd").stat().st_mtime > 4102444800


def test_xattrs_are_set_on_files_directories_and_links_except_overlayfss_own(tmp_path: Path) -> None:
    capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    redirect = {"SCHILY.xattr.trusted.overlay.redirect": "/../../etc", "SCHILY.xattr.trusted.overlay.metacopy": ""}
    root = apply(
        tar(
            entry("f", b"x", uid=5, pax_headers={"SCHILY.xattr.security.capability": capability, **redirect}),
            directory("d", pax_headers={"SCHILY.xattr.user.colour": "red", **redirect}),
            entry("l", type=tarfile.SYMTYPE, linkname="f", pax_headers={"SCHILY.xattr.trusted.mark": "1"}),
        ),
        tmp_path / "layer",
    )
    assert os.getxattr(root / "f", "security.capability") == capability.encode("latin-1")
    assert os.listxattr(root / "f") == ["security.capability"]
    assert os.getxattr(root / "d", "user.colour") == b"red"
    assert os.listxattr(root / "d") == ["user.colour"]
    assert os.getxattr(root / "l", "trusted.mark", follow_symlinks=False) == b"1"


def test_names_that_are_not_utf8_are_kept_byte_by_byte(tmp_path: Path) -> None:
    root = apply(tar(directory("caf\udce9"), entry("caf\udce9/\udcff\udcfe", b"x")), tmp_path / "layer")
    assert os.listdir(os.fsencode(root / "caf\udce9")) == [b"\xff\xfe"]
    shutil.rmtree(root)


def test_the_later_of_two_entries_with_the_same_name_wins(tmp_path: Path) -> None:
    root = apply(
        tar(
            entry("a", b"first", uid=1),
            entry("a", b"second", uid=2),
            directory("d"),
            entry("d/kept", b"1"),
            directory("d", mode=0o700),
            directory("e"),
            entry("e/gone", b"1"),
            entry("e", b"now a file"),
            symlink("f", "d"),
            directory("f"),
            entry("f/x", b"1"),
        ),
        tmp_path / "layer",
    )
    assert ((root / "a").read_bytes(), (root / "a").stat().st_uid) == (b"second", 2)
    assert (root / "d/kept").exists()
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o700
    assert (root / "e").read_bytes() == b"now a file"
    assert not (root / "f").is_symlink()
    assert not (root / "d/x").exists()


def test_replacing_one_name_of_a_hard_link_leaves_the_other(tmp_path: Path) -> None:
    root = apply(tar(entry("a", b"old"), hardlink("b", "a"), entry("b", b"new")), tmp_path / "layer")
    assert ((root / "a").read_bytes(), (root / "b").read_bytes()) == (b"old", b"new")


def test_an_unlisted_parent_has_the_attributes_of_the_layers_below(tmp_path: Path) -> None:
    acl = {"SCHILY.xattr.user.colour": "red", "SCHILY.xattr.trusted.overlay.opaque": "y"}
    lower = apply(
        tar(directory("tmp", mode=0o1777, mtime=5, pax_headers=acl), directory("own", uid=7, gid=8, mode=0o710)),
        tmp_path / "lower",
    )
    os.setxattr(lower / "tmp", "trusted.overlay.opaque", b"y")
    upper = apply(tar(entry("tmp/x"), entry("own/a/b"), entry("new/x")), tmp_path / "upper", lower)
    assert stat.S_IMODE((upper / "tmp").stat().st_mode) == 0o1777
    assert ((upper / "tmp").stat().st_mtime, os.listxattr(upper / "tmp")) == (5, ["user.colour"])
    assert ((upper / "own").stat().st_uid, stat.S_IMODE((upper / "own").stat().st_mode)) == (7, 0o710)
    assert stat.S_IMODE((upper / "new").stat().st_mode) == 0o755


def test_an_unlisted_root_has_the_attributes_of_the_layer_below(tmp_path: Path) -> None:
    lower = apply(tar(directory("./", mode=0o711, uid=5)), tmp_path / "lower")
    upper = apply(tar(entry("x")), tmp_path / "upper", lower)
    assert (upper.stat().st_uid, stat.S_IMODE(upper.stat().st_mode)) == (5, 0o711)
    other = apply(tar(directory("./", mode=0o755, uid=6)), tmp_path / "other", lower)
    assert (other.stat().st_uid, stat.S_IMODE(other.stat().st_mode)) == (6, 0o755)


@pytest.mark.parametrize(
    "format", ["gnu", "--posix --sparse-version=0.0", "--posix --sparse-version=0.1", "--posix"]
)
def test_sparse_files_of_gnu_tar_keep_their_holes(tmp_path: Path, format: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with open(source / "sparse", "wb") as file:
        for number in range(30):
            file.seek(number * 300_000)
            file.write(b"data %d" % number)
        file.truncate(10_000_000)
    (source / "empty").touch()
    os.truncate(source / "empty", 5_000_000)
    options = ["--format=gnu"] if format == "gnu" else format.split()
    done = subprocess.run(["tar", *options, "-S", "-C", source, "-c", "."], capture_output=True, check=True)
    root = apply(done.stdout, tmp_path / "layer")
    for name in ("sparse", "empty"):
        assert (root / name).read_bytes() == (source / name).read_bytes()
        assert (root / name).stat().st_blocks < 1000
    assert len(done.stdout) < 1_000_000


def test_a_file_of_zeros_uses_no_space(tmp_path: Path) -> None:
    content = b"begin" + bytes(5 << 20) + b"end"
    root = apply(tar(entry("zeros", bytes(9 << 20)), entry("some", content)), tmp_path / "layer")
    assert ((root / "zeros").stat().st_size, (root / "zeros").stat().st_blocks) == (9 << 20, 0)
    assert (root / "some").read_bytes() == content


# --- whiteouts ---------------------------------------------------------------------------------------------


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    return apply(
        tar(
            directory("d"), entry("d/a", b"lower"), entry("d/b", b"lower"), directory("d/sub"), entry("d/sub/x"),
            entry("top"),
        ),
        tmp_path / "lower",
    )  # fmt: skip


def test_a_whiteout_hides_a_name_of_the_layers_below(lower: Path, tmp_path: Path) -> None:
    upper = apply(tar(entry("d/.wh.a"), entry("d/.wh.sub"), entry(".wh.top")), tmp_path / "upper", lower)
    assert is_whiteout(upper / "d/a")
    assert not (upper / "d/.wh.a").exists()
    with overlay(tmp_path, [lower, upper]) as merged:
        assert names(merged) == ["d", "d/b"]
    with overlay(tmp_path, [lower]) as merged:
        assert names(merged) == ["d", "d/a", "d/b", "d/sub", "d/sub/x", "top"]


@pytest.mark.parametrize("marker_first", [True, False])
def test_an_opaque_directory_hides_only_the_layers_below(lower: Path, tmp_path: Path, marker_first: bool) -> None:
    marker, file = entry("d/.wh..wh..opq"), entry("d/new", b"upper")
    entries = [marker, file] if marker_first else [file, marker]
    upper = apply(tar(directory("d"), *entries), tmp_path / "upper", lower)
    assert is_opaque(upper / "d")
    with overlay(tmp_path, [lower, upper]) as merged:
        assert names(merged) == ["d", "d/new", "top"]


@pytest.mark.parametrize("marker_first", [True, False])
def test_a_whiteout_never_hides_files_of_its_own_layer(lower: Path, tmp_path: Path, marker_first: bool) -> None:
    marker = [entry("d/.wh.a"), entry("d/.wh.sub")]
    own = [entry("d/a", b"upper"), directory("d/sub"), entry("d/sub/new")]
    upper = apply(tar(*(marker + own if marker_first else own + marker)), tmp_path / "upper", lower)
    with overlay(tmp_path, [lower, upper]) as merged:
        assert names(merged) == ["d", "d/a", "d/b", "d/sub", "d/sub/new", "top"]
        assert (merged / "d/a").read_bytes() == b"upper"


def test_entries_below_a_hidden_name_are_in_a_new_directory(lower: Path, tmp_path: Path) -> None:
    upper = apply(tar(entry(".wh.d"), entry("d/new")), tmp_path / "upper", lower)
    with overlay(tmp_path, [lower, upper]) as merged:
        assert names(merged) == ["d", "d/new", "top"]


def test_an_opaque_root_hides_all_layers_below(lower: Path, tmp_path: Path) -> None:
    upper = apply(tar(entry(".wh..wh..opq"), directory("d"), entry("d/new")), tmp_path / "upper", lower)
    with overlay(tmp_path, [lower, upper]) as merged:
        assert names(merged) == ["d", "d/new"]


def test_a_whiteout_does_not_change_its_directory(tmp_path: Path) -> None:
    lower = apply(tar(directory("tmp", mode=0o1777), entry("tmp/x"), entry("tmp/y")), tmp_path / "lower")
    upper = apply(tar(entry("tmp/.wh.x")), tmp_path / "upper", lower)
    with overlay(tmp_path, [lower, upper]) as merged:
        assert names(merged) == ["tmp", "tmp/y"]
        assert stat.S_IMODE((merged / "tmp").stat().st_mode) == 0o1777


def test_bookkeeping_of_aufs_is_not_unpacked(tmp_path: Path) -> None:
    upper = apply(tar(directory(".wh..wh.plnk"), entry(".wh..wh.aufs"), entry("x")), tmp_path / "upper")
    assert names(upper) == ["x"]


# --- links stay inside -------------------------------------------------------------------------------------


def test_a_link_in_a_path_is_followed_inside_the_layer(tmp_path: Path) -> None:
    root = apply(
        tar(directory("usr"), directory("usr/lib"), symlink("lib", "usr/lib"), symlink("abs", "/usr/lib"),
            entry("lib/a", b"1"), entry("abs/b", b"2")),
        tmp_path / "layer",
    )  # fmt: skip
    assert names(root) == ["abs", "lib", "usr", "usr/lib", "usr/lib/a", "usr/lib/b"]


def test_a_replaced_link_is_no_longer_followed(tmp_path: Path) -> None:
    root = apply(
        tar(
            directory("one"),
            directory("two"),
            symlink("l", "one"),
            entry("l/a"),
            symlink("l", "two"),
            entry("l/b"),
        ),
        tmp_path / "layer",
    )
    assert names(root) == ["l", "one", "one/a", "two", "two/b"]


def test_an_empty_archive_and_one_without_end_blocks_are_layers(tmp_path: Path) -> None:
    assert names(apply(tar(), tmp_path / "empty")) == []
    assert names(apply(header("f", b"0", b"x"), tmp_path / "endless")) == ["f"]


def test_the_stream_is_read_to_its_end_for_its_digest(tmp_path: Path) -> None:
    stream: Any = io.BytesIO(tar(entry("f")) + b"what follows" * 10000)
    layer.apply_layer(stream, str(tmp_path))
    assert stream.read() == b""


# --- bookkeeping of aufs in old layers ---------------------------------------------------------------------------


_CAPABILITY = b"\1\0\0\2\0\x20\0\0" + bytes(12)  # cap_net_raw+ep (linux/capability.h, vfs_cap_data)


@pytest.mark.parametrize("top", ["", "./", "/"])
def test_pseudo_links_of_aufs_become_hard_links_and_are_removed(tmp_path: Path, top: str) -> None:
    """Docker on aufs wrote a file under `/.wh..wh.plnk`, and all its names as links to that."""
    plnk = f"{top}.wh..wh.plnk"
    root = apply(
        tar(
            directory("bin", mtime=5),
            directory(f"{top}.wh..wh.aufs"),
            directory(plnk, mode=0o700),
            directory(f"{top}.wh..wh.orph"),
            entry(f"{top}.wh..wh.orph/left", b"x"),
            entry(f"{plnk}/12.34", b"shell", mode=0o4755, uid=7, mtime=9),
            entry(f"{plnk}/56.78", type=tarfile.FIFOTYPE),
            hardlink("bin/sh", f"{plnk}/12.34"),
            hardlink("bin/ash", f"{plnk}/12.34"),
            hardlink("fifo", f"{plnk}/56.78"),
            directory(".", mtime=3),
        ),
        tmp_path / "layer",
    )
    assert names(root) == ["bin", "bin/ash", "bin/sh", "fifo"]
    status = (root / "bin/sh").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_mtime, status.st_nlink) == (0o4755, 7, 9, 2)
    assert status.st_ino == (root / "bin/ash").stat().st_ino
    assert (root / "bin/sh").read_bytes() == b"shell"
    assert ((root / "bin").stat().st_mtime, root.stat().st_mtime) == (5, 3)


def test_a_link_cannot_lead_to_pseudo_links_of_aufs(tmp_path: Path) -> None:
    root = apply(
        tar(
            symlink("l", ".wh..wh.plnk"),
            entry(".wh..wh.plnk/1.1", b"x"),
            entry("l/2.2", b"y"),
            hardlink("a", "l/1.1"),
            entry(".wh..wh.plnk/d/../3.3", b"z"),
            hardlink("b", ".wh..wh.plnk/3.3"),
        ),
        tmp_path / "layer",
    )
    assert names(root) == ["a", "b", "l"]


def test_a_hard_link_has_the_attributes_of_its_file(tmp_path: Path) -> None:
    """Docker sets them again for each link, so that a capability in a single entry is enough."""
    capability = {"SCHILY.xattr.security.capability": _CAPABILITY.decode("latin-1")}
    for number, (first, second) in enumerate([(capability, {}), ({}, capability), (capability, capability)]):
        link = entry("b", type=tarfile.LNKTYPE, linkname="a", pax_headers=second)
        root = apply(tar(entry("a", b"x", pax_headers=first), link), tmp_path / f"layer-{number}")
        assert os.getxattr(root / "a", "security.capability") == _CAPABILITY
        assert (root / "a").stat().st_nlink == 2


def test_directories_have_the_archives_times_in_any_order_of_entries(tmp_path: Path) -> None:
    root = apply(
        tar(
            entry("a/b/early", b"x"),
            directory("a", mtime=1),
            directory("a/b", mtime=2),
            entry("a/b/c/d", b"x"),
            directory("other", mtime=4),
            entry("other/x", b"x"),
            entry("a/b/late", b"x"),
            symlink("to-b", "a/b"),
            entry("to-b/later", b"x"),
            directory("a/b/c", mtime=3),
            entry("a/b/c/d", b"again"),
            entry("a/b/c/.wh.gone"),
            directory("a/e", mtime=6),
            entry("a/e", b"now a file"),
            directory("", mtime=5),
        ),
        tmp_path / "layer",
    )
    times = {name: (root / name).stat().st_mtime for name in ("a", "a/b", "a/b/c", "other", ".")}
    assert times == {"a": 1, "a/b": 2, "a/b/c": 3, "other": 4, ".": 5}
