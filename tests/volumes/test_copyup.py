"""tmpcopyup: a tmpfs gets a copy of what it covers, whatever the image's author and other containers do."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_lite import linux
from pyctr_lite.volumes import copyup, fill
from tests.runtime.bundles import Box


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """Yield a new tmpfs of 1 MiB."""
    (tmp_path / "tmpfs").mkdir()
    linux.mount("tmpfs", f"{tmp_path}/tmpfs", "tmpfs", 0, "size=1m")
    try:
        yield tmp_path / "tmpfs"
    finally:
        linux.umount2(f"{tmp_path}/tmpfs", linux.MNT_DETACH)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source/sub/deep").mkdir(parents=True)
    (tmp_path / "source/sub/file").write_text("text")
    return tmp_path / "source"


def copy(source: Path, mounted: Path) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY
    with linux.closing(os.open(source, flags)) as source_fd, linux.closing(os.open(mounted, flags)) as mounted_fd:
        copyup.copy_up(source_fd, mounted_fd)


def test_a_copy_has_all_kinds_of_files_with_their_attributes(source: Path, mounted: Path) -> None:
    (source / "link").symlink_to("/etc/passwd")
    os.link(source / "sub/file", source / "sub/deep/again")
    os.mknod(source / "null", stat.S_IFCHR | 0o644, os.makedev(1, 3))
    os.mkfifo(source / "fifo")
    (source / ".links").write_text("the image's own")
    for path, mode in ((source, 0o1711), (source / "sub", 0o2750), (source / "sub/file", 0o4755)):
        os.chown(path, 7, 8)
        path.chmod(mode)
    os.setxattr(
        source / "sub/file", "security.capability", bytes.fromhex("0100000202000000000000000000000000000000")
    )
    os.utime(source / "sub/deep", ns=(1, 2))
    copy(source, mounted)
    assert (
        subprocess.run(["diff", "-r", "--no-dereference", source / "sub", mounted / "sub"], check=False).returncode
        == 0
    )
    assert sorted(os.listdir(mounted)) == [".links", "fifo", "link", "null", "sub"]
    assert os.readlink(mounted / "link") == "/etc/passwd"
    for name in ("", "sub", "sub/file", "sub/deep", "null", "fifo", "link"):
        ours, theirs = (mounted / name).lstat(), (source / name).lstat()
        for field in ("st_mode", "st_uid", "st_gid", "st_rdev", "st_size", "st_mtime_ns")[: 4 if not name else 6]:
            if field != "st_size" or stat.S_ISREG(theirs.st_mode):
                assert getattr(ours, field) == getattr(theirs, field), (name, field)
    assert (mounted / "sub/file").stat().st_ino == (mounted / "sub/deep/again").stat().st_ino
    assert os.getxattr(mounted / "sub/file", "security.capability")


def test_a_copy_that_is_too_large_is_a_clear_error(source: Path, mounted: Path) -> None:
    (source / "large").write_bytes(os.urandom(2 << 20))
    with pytest.raises(OSError, match="the tmpfs is too small for the image's files") as caught:
        copy(source, mounted)
    assert caught.value.errno == errno.ENOSPC


def test_a_directory_swapped_for_a_link_is_not_followed(
    source: Path, mounted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another container that shares the directory swaps a name after it was listed."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    listed = fill.Copier.copy_files

    def swap(self: fill.Copier, source_fd: int, copy_fd: int) -> list[str]:
        names = listed(self, source_fd, copy_fd)
        if "sub" in names:
            (source / "sub").rename(tmp_path / "aside")
            (source / "sub").symlink_to(tmp_path / "secret")
        return names

    monkeypatch.setattr(fill.Copier, "copy_files", swap)
    copy(source, mounted)
    assert not list(mounted.rglob("key"))


def test_a_directory_moved_out_while_it_is_copied_ends_the_copy(
    source: Path, mounted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`..` of a directory that was moved leads elsewhere: the way back is not by `..`."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/key").write_text("secret")
    (source / "zz").write_text("last")
    listed = fill.Copier.copy_files

    def swap(self: fill.Copier, source_fd: int, copy_fd: int) -> list[str]:
        names = listed(self, source_fd, copy_fd)
        if "deep" in names:
            (source / "sub").rename(tmp_path / "outside/sub")
        return names

    monkeypatch.setattr(fill.Copier, "copy_files", swap)
    copy(source, mounted)
    assert not list(mounted.rglob("key"))
    assert (mounted / "sub/deep").is_dir()


def test_a_file_swapped_for_a_fifo_does_not_block(source: Path, mounted: Path) -> None:
    os.mkfifo(source / "fifo")
    status = (source / "sub/file").lstat()
    with (
        linux.closing(os.open(source, os.O_RDONLY)) as source_fd,
        linux.closing(os.open(mounted, os.O_RDONLY)) as mounted_fd,
        pytest.raises(OSError, match="another file has taken its name"),
    ):
        fill.copy_file(source_fd, "fifo", status, mounted_fd, "copy")


@pytest.mark.parametrize("user", [False, True])
def test_a_container_starts_with_the_images_files_in_its_tmpfs(box: Box, user: bool) -> None:
    (box.rootfs / "filled/sub").mkdir(parents=True)
    (box.rootfs / "filled/sub/file").write_text("text")
    os.mknod(box.rootfs / "filled/device", stat.S_IFCHR, os.makedev(1, 3))
    (box.rootfs / "filled/sub").chmod(0o777)
    (box.rootfs / "out").symlink_to("../../../../../filled")  # resolved inside the root
    if user:
        box.linux["namespaces"].append({"type": "user"})
        maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        box.linux.update(uidMappings=maps, gidMappings=maps)
        subprocess.run(["chown", "-R", "-h", "100000:100000", box.rootfs], check=True)
    mount = {"destination": "/out", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "size=1m", "ro"]}
    box.config["mounts"].append(mount)
    script = "cat /filled/sub/file; stat -c ' %a %u' /filled/sub; ls /filled; touch /filled/x 2>&1 | cut -d: -f3"
    devices = "" if user else "device\n"
    assert box.shell(script) == f"text 777 0\n{devices}sub\n Read-only file system\n"
    assert not (box.rootfs / "filled/x").exists()
    mount["type"] = "devpts"
    assert "tmpcopyup is only for a tmpfs" in box.fails("true")["message"]
