"""Bind mounts on the real kernel, in a private mount namespace."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import mountinfo
from pyctr_lite.volumes import bind
from tests.volumes.private import in_mount_namespace


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "source/below").mkdir(parents=True)
    (tmp_path / "source/file").write_text("content")
    return str(tmp_path / "source")


@pytest.fixture
def target(tmp_path: Path) -> str:
    (tmp_path / "target").mkdir()
    return str(tmp_path / "target")


def refusal(path: str) -> str:
    """Try to write to a path; return the name of the error, or "" if it is permitted."""
    try:
        with open(path, "a"):
            return ""
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def mount_of(path: str) -> mountinfo.Mount:
    return [mount for mount in mountinfo.mounts() if mount.mountpoint == path][-1]


def mount_tmpfs(path: str, flags: int = 0) -> None:
    linux.mount("tmpfs", path, "tmpfs", flags, "size=1m")


def test_a_bound_directory_is_read_and_written_at_the_target(source: str, target: str) -> None:
    def inside() -> str:
        bind.bind_mount(source, target)
        Path(target, "new").write_text("by the target")
        return Path(target, "file").read_text()

    assert in_mount_namespace(inside) == "content"
    assert Path(source, "new").read_text() == "by the target"
    assert os.listdir(target) == []


def test_a_file_can_be_bound_on_a_file_but_not_on_a_directory(source: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    def inside() -> tuple[str, int]:
        bind.bind_mount(source + "/file", str(tmp_path / "file"))
        with pytest.raises(OSError, match="mount") as caught:
            bind.bind_mount(source + "/file", target)
        return (tmp_path / "file").read_text(), caught.value.errno

    assert in_mount_namespace(inside) == ("content", errno.ENOTDIR)


def test_readonly_applies_to_the_new_mount_only(source: str, target: str) -> None:
    def inside() -> tuple[str, str]:
        bind.bind_mount(source, target, readonly=True)
        return refusal(target + "/file"), refusal(source + "/file")

    assert in_mount_namespace(inside) == ("EROFS", "")


def test_readonly_keeps_the_restrictions_of_the_sources_mount(source: str, target: str) -> None:
    def inside(flags: int) -> set[str]:
        mount_tmpfs(source, flags)
        bind.bind_mount(source, target, readonly=True)
        return set(mount_of(target).options)

    shut = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_NOATIME
    assert in_mount_namespace(lambda: inside(shut)) == {"ro", "nosuid", "nodev", "noexec", "noatime"}
    assert in_mount_namespace(lambda: inside(0)) == {"ro", "relatime"}


def test_flags_are_added_to_the_new_mount(source: str, target: str) -> None:
    def inside() -> tuple[set[str], bool]:
        mount_tmpfs(source)
        bind.bind_mount(source, target, flags=linux.MS_NOSUID | linux.MS_NODEV)
        return set(mount_of(target).options), "nosuid" in mount_of(source).options

    assert in_mount_namespace(inside) == ({"rw", "nosuid", "nodev", "relatime"}, False)


@pytest.mark.parametrize(("recursive", "included"), [(True, True), (False, False)])
def test_a_recursive_bind_includes_the_mounts_below(
    source: str, target: str, recursive: bool, included: bool
) -> None:
    def inside() -> bool:
        mount_tmpfs(source + "/below")
        bind.bind_mount(source, target, recursive=recursive)
        return any(mount.mountpoint == target + "/below" for mount in mountinfo.mounts())

    assert in_mount_namespace(inside) is included


@pytest.mark.parametrize(("recursive", "error"), [(True, "EROFS"), (False, "")])
def test_mounts_below_are_readonly_if_requested(source: str, target: str, recursive: bool, error: str) -> None:
    def inside() -> tuple[str, str, str]:
        mount_tmpfs(source + "/below")
        bind.bind_mount(source, target, readonly=True, readonly_recursive=recursive)
        return refusal(target + "/file"), refusal(target + "/below/x"), refusal(source + "/below/y")

    assert in_mount_namespace(inside) == ("EROFS", error, "")


@pytest.mark.parametrize(
    ("propagation", "to_target", "to_source"),
    [("rprivate", False, False), ("rslave", True, False), ("rshared", True, True), ("private", False, False)],
)
def test_propagation_decides_whether_later_mounts_appear(
    source: str, target: str, propagation: str, to_target: bool, to_source: bool
) -> None:
    os.mkdir(source + "/other")

    def inside() -> tuple[bool, bool]:
        linux.mount(source, source, None, linux.MS_BIND)
        linux.mount(None, source, None, linux.MS_SHARED)
        bind.bind_mount(source, target, propagation=propagation)
        mount_tmpfs(source + "/below")
        mount_tmpfs(target + "/other")
        points = [mount.mountpoint for mount in mountinfo.mounts()]
        return target + "/below" in points, source + "/other" in points

    assert in_mount_namespace(inside) == (to_target, to_source)


def test_a_missing_source_is_an_error_that_names_the_call(target: str) -> None:
    with pytest.raises(FileNotFoundError, match="mount"):
        bind.bind_mount(target + "/missing", target)


def test_v_creates_a_missing_source_and_mount_refuses_it(tmp_path: Path) -> None:
    path = str(tmp_path / "a/b")
    with pytest.raises(InvalidArgument, match=f"bind source path does not exist: {path}$"):
        bind.prepare_source(path, create=False)
    bind.prepare_source(path, create=True)
    assert os.stat(path).st_mode & 0o777 == 0o755
    bind.prepare_source(path, create=False)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidArgument, match="error while creating mount source path"):
        bind.prepare_source(str(tmp_path / "file/x"), create=True)
