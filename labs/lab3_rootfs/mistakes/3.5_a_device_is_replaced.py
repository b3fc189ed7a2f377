"""Any character device of the layer is taken for an old whiteout, and made again."""

from __future__ import annotations

import os
import stat

from pyctr_lite.rootfs import whiteout

HINT = "which hides what is below already"


def make(dirfd: int, name: bytes) -> None:
    try:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dirfd)
    except FileExistsError:
        mode = os.stat(name, dir_fd=dirfd, follow_symlinks=False).st_mode
        if stat.S_ISCHR(mode):
            os.unlink(name, dir_fd=dirfd)
            os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dirfd)
        elif stat.S_ISDIR(mode):
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dirfd)
            try:
                whiteout.make_opaque(fd)
            finally:
                os.close(fd)
