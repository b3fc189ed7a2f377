"""The initial content of a volume."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.rootfs import walk
from pyctr_lite.volumes import fill
from pyctr_lite.volumes.store import Volume, VolumeStore
from tests.rootfs.test_walk import dig
from tests.volumes.private import in_mount_namespace


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return VolumeStore(str(tmp_path)).create("data")


def fill_from(data_directory: str, rootfs: Path, path: str) -> bool:
    with linux.closing(os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as root_fd:
        return fill.fill_volume(data_directory, root_fd, path)


def contents(directory: Path | str) -> dict[str, bytes]:
    """Return the contents of the regular files by name."""
    found = {path.name: path for path in Path(directory).rglob("*") if path.is_file() and not path.is_symlink()}
    return {name: path.read_bytes() for name, path in found.items()}


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root file system with one of each kind of file in /srv."""
    srv = tmp_path / "rootfs/srv"
    (srv / "sub").mkdir(parents=True)
    (srv / "file").write_text("content")
    (srv / "setuid").touch()
    os.chown(srv / "setuid", 12, 34)
    os.chmod(srv / "setuid", 0o4751)
    os.setxattr(srv / "file", "user.colour", b"red\0")
    os.link(srv / "file", srv / "sub/again")
    os.symlink("/etc/passwd", srv / "link")
    os.lchown(srv / "link", 5, 6)
    os.mkfifo(srv / "fifo")
    os.mknod(srv / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with open(srv / "sparse", "wb") as file:
        file.seek(8 << 20)
        file.write(b"end")
    with open(os.fsencode(srv / "bytes") + b"\xff", "wb"):
        pass
    os.setxattr(srv / "sub", "trusted.shade", b"dark")
    os.utime(srv / "file", ns=(1, 1_234_567_890_123_456_789))
    os.chmod(srv / "sub", 0o1777)
    os.chown(srv, 7, 8)
    os.chmod(srv, 0o750)
    os.utime(srv, ns=(1, 987_654_321_000_000_001))
    return tmp_path / "rootfs"


def listing(directory: Path | str) -> str:
    """List a tree with GNU find: kind, mode, owner, links, size, time, target."""
    done = subprocess.run(
        ["find", ".", "-printf", r"%P %y %m %U:%G %n %s %T@ %l\n"], cwd=directory, capture_output=True, check=True
    )
    lines = (line for line in done.stdout.decode(errors="surrogateescape").splitlines())
    return "\n".join(sorted(lines))


def test_a_copy_has_the_same_files_and_attributes(volume: Volume, rootfs: Path) -> None:
    assert fill_from(volume.mountpoint, rootfs, "/srv")
    data = Path(volume.mountpoint)
    assert listing(data) == listing(rootfs / "srv")
    assert (data / "file").read_text() == "content"
    assert os.getxattr(data / "file", "user.colour") == b"red\0"
    assert os.getxattr(data / "sub", "trusted.shade") == b"dark"
    assert (data / "file").stat().st_ino == (data / "sub/again").stat().st_ino
    assert (data / "null").stat().st_rdev == os.makedev(1, 3)
    assert (data / "sparse").stat().st_blocks * 512 < 1 << 20
    assert (data / "sparse").read_bytes() == (rootfs / "srv/sparse").read_bytes()
    assert os.listdir(data.parent) in (["_data", "volume.json"], ["volume.json", "_data"])


def test_a_volume_with_files_is_not_filled(volume: Volume, rootfs: Path) -> None:
    Path(volume.mountpoint, "own").write_text("x")
    assert not fill_from(volume.mountpoint, rootfs, "/srv")
    assert os.listdir(volume.mountpoint) == ["own"]


def test_a_directory_of_the_host_is_not_filled(rootfs: Path, tmp_path: Path) -> None:
    (tmp_path / "host/directory").mkdir(parents=True)
    assert not fill_from(str(tmp_path / "host/directory"), rootfs, "/srv")
    assert [path.name for path in (tmp_path / "host").rglob("*")] == ["directory"]


def test_nothing_is_copied_if_the_image_has_no_such_directory(volume: Volume, rootfs: Path) -> None:
    assert not fill_from(volume.mountpoint, rootfs, "/missing/directory")
    assert os.listdir(volume.mountpoint) == []
    assert stat.S_IMODE(os.stat(volume.mountpoint).st_mode) == 0o755


def test_a_volume_cannot_be_mounted_over_a_file_of_the_image(volume: Volume, rootfs: Path) -> None:
    with pytest.raises(InvalidArgument, match="cannot mount volume over existing file, file exists /srv/file"):
        fill_from(volume.mountpoint, rootfs, "/srv/file")


def test_a_link_never_leads_out_of_the_image(volume: Volume, rootfs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    os.symlink(tmp_path / "secret", rootfs / "out")
    os.symlink("../../../../.." + str(tmp_path / "secret"), rootfs / "up")
    for path in ("/out", "/up", "/../secret"):
        assert not fill_from(volume.mountpoint, rootfs, path)
    os.symlink("/srv", rootfs / "within")
    assert fill_from(volume.mountpoint, rootfs, "/within")
    assert "file" in os.listdir(volume.mountpoint)


def test_a_killed_copy_is_resumed(volume: Volume, rootfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = 0
    copy = fill.copy_content

    def killed_at_the_third(reader: int, writer: int) -> None:
        nonlocal files
        files += 1
        if files == 3:
            os.write(writer, b"half")
            raise KeyboardInterrupt
        copy(reader, writer)

    with monkeypatch.context() as patch:
        patch.setattr(fill, "copy_content", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            fill_from(volume.mountpoint, rootfs, "/srv")
    assert fill_from(volume.mountpoint, rootfs, "/srv")
    assert not fill_from(volume.mountpoint, rootfs, "/srv")
    assert listing(volume.mountpoint) == listing(rootfs / "srv")
    assert contents(volume.mountpoint) == contents(rootfs / "srv")


def test_a_copy_killed_while_entries_are_moved_is_finished(
    volume: Volume, rootfs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, links = os.link, 0

    def killed_at_the_last(*args: str, **kwargs: int) -> None:
        nonlocal links
        if kwargs.get("dst_dir_fd") and os.path.samestat(
            os.stat(volume.mountpoint), os.stat(kwargs["dst_dir_fd"])
        ):
            links += 1
            if links == 4:
                raise KeyboardInterrupt
        link(*args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", killed_at_the_last)
        with pytest.raises(KeyboardInterrupt):
            fill_from(volume.mountpoint, rootfs, "/srv")
    assert 3 <= len(os.listdir(volume.mountpoint)) < len(os.listdir(rootfs / "srv"))
    assert fill_from(volume.mountpoint, rootfs, "/srv")
    assert listing(volume.mountpoint) == listing(rootfs / "srv")
    assert sorted(os.listdir(Path(volume.mountpoint).parent)) == ["_data", "volume.json"]


def test_a_copy_killed_while_its_leftovers_are_removed_is_finished(
    volume: Volume, rootfs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed_before_the_last_directory(name: str, directory: int) -> None:
        for below in ("tree", "links"):
            remove_tree(f"{name}/{below}", directory)
        raise KeyboardInterrupt

    remove_tree = walk.remove_tree
    with monkeypatch.context() as patch:
        patch.setattr(walk, "remove_tree", killed_before_the_last_directory)
        with pytest.raises(KeyboardInterrupt):
            fill_from(volume.mountpoint, rootfs, "/srv")
    assert fill_from(volume.mountpoint, rootfs, "/srv")
    assert listing(volume.mountpoint) == listing(rootfs / "srv")
    assert sorted(os.listdir(Path(volume.mountpoint).parent)) == ["_data", "volume.json"]


def descend(top: Path | str, depth: int) -> int:
    """Open the directory at the end of d/d/d/…"""
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    return fd


def test_a_tree_deeper_than_any_path_is_copied(volume: Volume, rootfs: Path) -> None:
    dig(rootfs / "srv", 10_000, "d")
    bottom = descend(rootfs / "srv", 10_000)
    os.link("file", "file-again", src_dir_fd=bottom, dst_dir_fd=bottom)
    os.close(bottom)
    opened = os.listdir("/proc/self/fd")
    assert fill_from(volume.mountpoint, rootfs, "/srv")
    assert len(os.listdir("/proc/self/fd")) == len(opened)
    bottom = descend(volume.mountpoint, 10_000)
    assert sorted(os.listdir(bottom)) == ["file", "file-again"]
    assert os.stat("file", dir_fd=bottom).st_nlink == 2
    os.close(bottom)
    for top in (volume.mountpoint, str(rootfs)):
        walk.remove_tree(top)  # pytest's own removal does not reach the bottom


def test_a_volume_on_another_file_system_is_refused_in_one_line(tmp_path: Path, rootfs: Path) -> None:
    def refused() -> str:
        volume = VolumeStore(str(tmp_path)).create("mounted")
        linux.mount("tmpfs", volume.mountpoint, "tmpfs")
        with pytest.raises(PyctrError) as caught:
            fill_from(volume.mountpoint, rootfs, "/srv")
        return caught.value.message

    assert "another file system is mounted on _data" in in_mount_namespace(refused)


@pytest.mark.parametrize("umask", [0, 0o077])
def test_the_umask_does_not_affect_a_volume(tmp_path: Path, rootfs: Path, umask: int) -> None:
    with linux.umask(umask):
        volume = VolumeStore(str(tmp_path / "store")).create("data")
        assert stat.S_IMODE(os.stat(volume.mountpoint).st_mode) == 0o755
        fill_from(volume.mountpoint, rootfs, "/srv")
    assert listing(volume.mountpoint) == listing(rootfs / "srv")
