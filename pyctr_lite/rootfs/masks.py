"""Paths of /proc and /sys that a container must not read, or not write.

Each path is resolved once, to a descriptor, below the descriptor of the root that the caller has entered; what is
mounted is mounted on that descriptor, without the help of the container's own /proc.
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux
from pyctr_lite.rootfs import target

_ATTACH = linux.MOVE_MOUNT_F_EMPTY_PATH | linux.MOVE_MOUNT_T_EMPTY_PATH
_COPY = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH


def mask_path(root_fd: int, path: str) -> None:
    """Hide a path of the root: a file behind /dev/null, a directory behind an empty tmpfs.

    A path that does not exist needs no mask. The null device is checked to be it: a mask must not show
    the container's own file instead. Source: OCI runtime spec, config-linux.md, "Masked Paths".
    """
    fd = _open(root_fd, path)
    if fd < 0:
        return
    with linux.closing(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.fchdir(fd)
            linux.mount("tmpfs", ".", "tmpfs", linux.MS_RDONLY, "nr_blocks=1,nr_inodes=1", shown=path)
            os.chdir("/")
            return
        with (
            linux.closing(_open_null(root_fd, path)) as null,
            linux.closing(linux.open_tree("", _COPY, null, shown="/dev/null")) as tree,
        ):
            linux.move_mount(tree, "", fd, "", _ATTACH, shown=path)


def readonly_path(root_fd: int, path: str) -> None:
    """Make a path of the root read-only, by a bind of it on itself. One that is not there needs none.

    Source: OCI runtime spec, config-linux.md, "Readonly Paths".
    """
    fd = _open(root_fd, path)
    if fd < 0:
        return
    with (
        linux.closing(fd),
        linux.closing(linux.open_tree("", _COPY | linux.AT_RECURSIVE, fd, shown=path)) as tree,
    ):
        linux.mount_setattr(tree, "", linux.AT_EMPTY_PATH, set=linux.MOUNT_ATTR_RDONLY)
        linux.move_mount(tree, "", fd, "", _ATTACH, shown=path)


def _open(root_fd: int, path: str) -> int:
    """A path as a place to mount on, or -1 if it does not exist."""
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
        text = f"{path} is to be hidden behind the null device, which the container's /dev does not have"
        raise OSError(errno.ENOENT, text, "/dev/null") from None
    found = os.fstat(null)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):
        os.close(null)
        raise OSError(errno.ENODEV, "is not the null device", "/dev/null")
    return null


def readonly_root() -> None:
    """Make the caller's root mount read-only; what is mounted below it stays as it is."""
    linux.mount(None, "/", None, locked_flags("/") | linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY)


def locked_flags(path: str) -> int:
    """The flags that a mount has: a remount must repeat them, in a user namespace they are locked (EPERM)."""
    found = os.statvfs(path).f_flag  # ST_* of statvfs(3) and MS_* agree in these bits, but for relatime
    keep = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_NOATIME | linux.MS_NODIRATIME
    return found & keep | (linux.MS_RELATIME if found & 0x1000 else 0)
