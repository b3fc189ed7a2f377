"""How an unpacked layer says that something below it is gone (exercise 3.5)."""

from __future__ import annotations

import os
import stat

from labs.kit import Todo
from pyctr_lite.rootfs import whiteout


def make(dirfd: int, name: bytes) -> None:
    """Hide `name` of the layers below, in the directory `dirfd`, by a character device 0:0 of that name.

    If this layer itself has a file of that name, it stays: a directory becomes opaque, and any other file, also a
    link, already hides the layers below. Fails with any other error of the kernel, such as ENAMETOOLONG or ENOSPC.
    Idempotent. Source: overlayfs.rst, "whiteouts and opaque directories".
    """
    # - A name of the layers below is hidden by a device 0:0 (mknod(2)), made in the directory that `dirfd` is, not
    #   in the working directory. `name` is bytes, and one name, never a path to follow.
    # - The same layer may have the name already, whichever came first in its archive. A whiteout hides what is
    #   *below*, so that file stays as it is. Which one of mknod's errors says so, and whose are the others?
    # - Of what is there already, only a directory is merged with the one below. What makes it show nothing from
    #   there (`whiteout.make_opaque(fd)`), and who closes that descriptor if this fails?
    # - An image can have a link of that name, to a directory of the host. What looks at a link itself?
    raise Todo("3.5")
