"""The directory's descriptor stays open if make_opaque fails."""

from __future__ import annotations

import os
import stat

from pyctr_lite.rootfs import whiteout

HINT = "who closes what you open if a step fails?"


def make(dirfd: int, name: bytes) -> None:
    try:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dirfd)
    except FileExistsError:
        if stat.S_ISDIR(os.stat(name, dir_fd=dirfd, follow_symlinks=False).st_mode):
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dirfd)
            whiteout.make_opaque(fd)
            os.close(fd)
