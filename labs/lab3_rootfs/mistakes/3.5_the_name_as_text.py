"""The name is made text: one that is not UTF-8 fails."""

from __future__ import annotations

import os
import stat

from pyctr_lite.rootfs import whiteout

HINT = "UnicodeDecodeError"


def make(dirfd: int, name: bytes) -> None:
    text = name.decode()
    try:
        os.mknod(text, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dirfd)
    except FileExistsError:
        if stat.S_ISDIR(os.stat(text, dir_fd=dirfd, follow_symlinks=False).st_mode):
            fd = os.open(text, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dirfd)
            try:
                whiteout.make_opaque(fd)
            finally:
                os.close(fd)
