"""A link of the image is followed, and a directory anywhere becomes opaque."""

from __future__ import annotations

import os
import stat

from pyctr_lite.rootfs import whiteout

HINT = "Was the link followed?"


def make(dirfd: int, name: bytes) -> None:
    try:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dirfd)
    except FileExistsError:
        if stat.S_ISDIR(os.stat(name, dir_fd=dirfd).st_mode):
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=dirfd)
            whiteout.make_opaque(fd)
            os.close(fd)
