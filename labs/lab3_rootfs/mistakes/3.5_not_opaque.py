"""The name is taken, so all is well: but a directory is merged with the one below."""

from __future__ import annotations

import os
import stat

HINT = "What is a directory called that shows nothing from below?"


def make(dirfd: int, name: bytes) -> None:
    try:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dirfd)
    except FileExistsError:
        pass
