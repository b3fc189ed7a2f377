"""Paths of /proc and /sys that a container must not read, or not write."""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux


def mask_path(path: str) -> None:
    """Hide a path of the caller's root: a file behind /dev/null, a directory behind an empty tmpfs.

    A path that does not exist needs no mask. The null device is checked to be it: a mask must not show
    the container's own file instead. Source: OCI runtime spec, config-linux.md, "Masked Paths".
    """
    try:
        fd = os.open(path, linux.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise
    try:
        place = _of_descriptor(fd, path)
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            linux.mount("tmpfs", place, "tmpfs", linux.MS_RDONLY, "nr_blocks=1,nr_inodes=1", shown=path)
            return
        null = os.open("/dev/null", linux.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            found = os.fstat(null)
            if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):
                raise OSError(errno.ENODEV, "is not the null device", "/dev/null")
            linux.mount(_of_descriptor(null, "/dev/null"), place, None, linux.MS_BIND, shown=path)
        finally:
            os.close(null)
    finally:
        os.close(fd)


def _of_descriptor(fd: int, path: str) -> str:
    """The path that surely is what was looked at; in a root without /proc, where nothing else runs yet, `path`."""
    place = f"/proc/self/fd/{fd}"
    return place if os.path.exists(place) else path


def readonly_path(path: str) -> None:
    """Make a path of the caller's root read-only, by a bind of it on itself. One that is not there needs none.

    Source: OCI runtime spec, config-linux.md, "Readonly Paths".
    """
    try:
        linux.mount(path, path, None, linux.MS_BIND | linux.MS_REC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise
    linux.mount(None, path, None, locked_flags(path) | linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY)


def readonly_root() -> None:
    """Make the caller's root mount read-only; what is mounted below it stays as it is."""
    linux.mount(None, "/", None, locked_flags("/") | linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY)


def locked_flags(path: str) -> int:
    """The flags that a mount has: a remount must repeat them, in a user namespace they are locked (EPERM)."""
    found = os.statvfs(path).f_flag  # ST_* of statvfs(3) and MS_* agree in these bits, but for relatime
    keep = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_NOATIME | linux.MS_NODIRATIME
    return found & keep | (linux.MS_RELATIME if found & 0x1000 else 0)
