"""How an unpacked layer says that something below it is gone (exercise 3.5)."""

from __future__ import annotations

import os
import stat

from labs.kit import Todo
from pyctr_lite.rootfs import whiteout


def make(dirfd: int, name: bytes) -> None:
    """Hide `name` of the layers below, in the directory `dirfd`, by a character device 0:0 of that name.

    If this layer itself has a file of that name, it stays: a directory becomes opaque, and any other file already
    hides the layers below. Idempotent. Source: overlayfs.rst, "whiteouts and opaque directories".
    """
    # 1. `os.mknod(name, mode, device, dir_fd=dirfd)`: the mode is the kind of file (`stat.S_IFCHR`), the device
    #    comes from `os.makedev`.
    # 2. FileExistsError: this layer has an entry of that name. A whiteout hides what is below, never what the
    #    same layer has, whichever comes first in the archive.
    # 3. Is it a directory? Look at the name itself, not where a link leads (`follow_symlinks=False`). Open it
    #    (`os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC`), call `whiteout.make_opaque(fd)`, and
    #    close it whatever happens.
    # 4. Anything else is not merged with what is below: nothing to do.
    raise Todo("3.5")
