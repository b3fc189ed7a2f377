"""Masked and read-only paths: the parts of /proc and /sys that a container must not read or write.

Each path is resolved once, to a descriptor, inside the root that the caller has entered. The mount goes on that
descriptor, so that the container's /proc is not needed to name it.
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux
from pyctr_lite.rootfs import target

_ATTACH = linux.MOVE_MOUNT_F_EMPTY_PATH | linux.MOVE_MOUNT_T_EMPTY_PATH
_CLONE = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH


def mask_paths(root_fd: int, paths: list[str]) -> None:
    """Hide paths of the root: a file behind /dev/null, a directory behind an empty tmpfs, one tmpfs for all.

    A path that does not exist is skipped. Fails with ENOENT if /dev/null is missing, ENODEV if it is not the null
    device: the mask would show a file of the container. Source: OCI runtime spec, config-linux.md, "Masked Paths".
    """
    empty = -1
    try:
        for path in dict.fromkeys(map(os.path.normpath, paths)):
            fd = _open(root_fd, path)
            if fd < 0:
                continue
            with linux.closing(fd):
                if not stat.S_ISDIR(os.fstat(fd).st_mode):
                    _mask_file(root_fd, fd, path)
                elif empty < 0:
                    empty = make_empty()
                    linux.move_mount(empty, "", fd, "", _ATTACH, shown=path)
                else:
                    _cover(empty, fd, path)
    finally:
        if empty >= 0:
            os.close(empty)


def _mask_file(root_fd: int, fd: int, path: str) -> None:
    with linux.closing(_open_null(root_fd, path)) as null:
        _cover(null, fd, path)


def _cover(source: int, fd: int, path: str) -> None:
    """Bind what `source` is open at over what `fd` is open at."""
    with linux.closing(linux.open_tree("", _CLONE, source, shown="mask")) as tree:
        linux.move_mount(tree, "", fd, "", _ATTACH, shown=path)


def make_empty() -> int:
    """Return a detached mount of an empty tmpfs: its descriptor is of the mount itself, so it can be cloned."""
    with linux.closing(linux.fsopen("tmpfs")) as fd:
        for name in ("nr_blocks", "nr_inodes"):
            linux.fsconfig(fd, linux.FSCONFIG_SET_STRING, name, "1")
        linux.fsconfig(fd, linux.FSCONFIG_CMD_CREATE)
        return linux.fsmount(fd, linux.MOUNT_ATTR_RDONLY)


def readonly_path(root_fd: int, path: str) -> None:
    """Make a path of the root read-only by a bind mount on itself. A path that does not exist is skipped.

    Source: OCI runtime spec, config-linux.md, "Readonly Paths".
    """
    fd = _open(root_fd, path)
    if fd < 0:
        return
    with (
        linux.closing(fd),
        linux.closing(linux.open_tree("", _CLONE | linux.AT_RECURSIVE, fd, shown=path)) as tree,
    ):
        linux.mount_setattr(tree, "", linux.AT_EMPTY_PATH, set=linux.MOUNT_ATTR_RDONLY)
        linux.move_mount(tree, "", fd, "", _ATTACH, shown=path)


def _open(root_fd: int, path: str) -> int:
    """Open a path to mount on it (O_PATH); return -1 if it does not exist."""
    try:
        return target.open_in_root(root_fd, path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return -1
        raise


def _open_null(root_fd: int, path: str) -> int:
    try:
        null = target.open_in_root(root_fd, "/dev/null", linux.O_PATH | os.O_NOFOLLOW)
    except FileNotFoundError:
        text = f"cannot mask {path}: the container's /dev has no null device"
        raise OSError(errno.ENOENT, text, "/dev/null") from None
    found = os.fstat(null)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):
        os.close(null)
        raise OSError(errno.ENODEV, "is not the null device", "/dev/null")
    return null


def readonly_root() -> None:
    """Make the caller's root mount read-only; the mounts below it stay as they are."""
    linux.mount(None, "/", None, locked_flags("/") | linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY)


def locked_flags(path: str) -> int:
    """Return the flags of a mount that a remount must repeat: in a user namespace they are locked (EPERM)."""
    found = os.statvfs(path).f_flag  # ST_* of statvfs(3) and MS_* have the same values, except for relatime
    keep = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_NOATIME | linux.MS_NODIRATIME
    return found & keep | (linux.MS_RELATIME if found & 0x1000 else 0)
