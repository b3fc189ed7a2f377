"""Mount points in an untrusted root."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_lite import linux
from pyctr_lite.rootfs import init_layer, target, walk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def root_fd(root: Path) -> Iterator[int]:
    with linux.closing(os.open(root, os.O_PATH | os.O_DIRECTORY)) as fd:
        yield fd


def make(root_fd: int, path: str, *, directory: bool = True) -> str:
    """Create a mount point; return its path on the host."""
    opened = len(os.listdir("/proc/self/fd"))
    fd = target.make_mountpoint(root_fd, path, directory=directory)
    try:
        assert stat.S_ISDIR(os.fstat(fd).st_mode) == directory
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
        assert len(os.listdir("/proc/self/fd")) == opened


@pytest.mark.parametrize("directory", [True, False])
@pytest.mark.parametrize(
    ("links", "path", "expected"),
    [
        ({}, "/a/b/c", "a/b/c"),
        ({}, "a//b/./x/../c", "a/b/c"),
        ({}, "/../../a", "a"),
        ({"a": "/x/y"}, "/a", "x/y"),
        ({"a": "/x/y"}, "/a/b/c", "x/y/b/c"),
        ({"a": "x"}, "/a/b", "x/b"),
        ({"a": "../../x"}, "/a/b", "x/b"),
        ({"a": "b", "b": "c", "c": "/d/e"}, "/a/f", "d/e/f"),
        ({"d/a": "x"}, "/d/a/b", "d/x/b"),
        ({"d/a": "../x"}, "/d/a/b", "x/b"),
        ({"d/a": "/"}, "/d/a/b", "b"),
    ],
)
def test_a_mount_point_is_created_at_the_target_of_links_inside_the_root(
    root: Path, root_fd: int, links: dict[str, str], path: str, expected: str, directory: bool
) -> None:
    for link, leads in links.items():
        (root / link).parent.mkdir(exist_ok=True)
        (root / link).symlink_to(leads)
    with linux.umask(0o077):
        assert make(root_fd, path, directory=directory) == str(root / expected)
    assert stat.S_IMODE((root / expected).stat().st_mode) == (0o755 if directory else 0o644)
    assert (root / expected).parent == root or stat.S_IMODE((root / expected).parent.stat().st_mode) == 0o755
    assert make(root_fd, path, directory=directory) == str(root / expected)


@pytest.mark.parametrize("directory", [True, False])
def test_a_loop_of_links_is_refused(root: Path, root_fd: int, directory: bool) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        make(root_fd, "/a/b", directory=directory)


def test_a_mount_point_of_the_wrong_kind_is_refused(root: Path, root_fd: int) -> None:
    (root / "file").touch()
    (root / "directory").mkdir()
    with pytest.raises(NotADirectoryError, match="cannot mount a directory on a file, or below one"):
        make(root_fd, "/file")
    with pytest.raises(NotADirectoryError, match="cannot mount a directory on a file, or below one"):
        make(root_fd, "/file/below")
    with pytest.raises(IsADirectoryError, match="cannot mount a file on a directory"):
        make(root_fd, "/directory", directory=False)


@pytest.mark.parametrize("directory", [True, False])
def test_a_path_may_have_as_many_components_as_the_kernel_accepts(
    root: Path, root_fd: int, directory: bool
) -> None:
    os.close(target.make_mountpoint(root_fd, "/a" * 2047, directory=directory))
    with pytest.raises(OSError, match="too long"):
        target.make_mountpoint(root_fd, "/b" * 10_000, directory=directory)
    walk.remove_tree(str(root))  # pytest's own removal does not reach the bottom


def test_the_init_layer_does_not_hide_an_etc_that_is_a_link(root: Path, root_fd: int, tmp_path: Path) -> None:
    (root / "usr/etc").mkdir(parents=True)
    (root / "etc").symlink_to("usr/etc")
    (tmp_path / "layer").mkdir()
    init_layer.make_init_layer(str(tmp_path / "layer"), root_fd)
    assert sorted(os.listdir(tmp_path / "layer")) == ["dev", "proc", "sys"]


@pytest.mark.parametrize("umask", [0, 0o077])
def test_the_init_layers_etc_has_the_attributes_of_the_images(
    root: Path, root_fd: int, tmp_path: Path, umask: int
) -> None:
    (root / "etc").mkdir()
    os.chown(root / "etc", 5, 6)
    (root / "etc").chmod(0o711)
    os.utime(root / "etc", ns=(1, 2_000_000_000))
    (tmp_path / "layer").mkdir()
    with linux.umask(umask):
        init_layer.make_init_layer(str(tmp_path / "layer"), root_fd)
    found = (tmp_path / "layer/etc").stat()
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid, found.st_mtime_ns) == (0o711, 5, 6, 2_000_000_000)
    for name in ("hosts", "hostname", "resolv.conf"):
        assert stat.S_IMODE((tmp_path / "layer/etc" / name).stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "layer/proc").stat().st_mode) == 0o755
