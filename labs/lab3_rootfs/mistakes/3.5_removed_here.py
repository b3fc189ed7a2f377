"""What the same layer has under the name is removed."""

from __future__ import annotations

import os
import stat

HINT = "this layer's own dir/new is gone"


def make(dirfd: int, name: bytes) -> None:
    from pyctr_lite.rootfs import walk

    try:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dirfd)
    except FileExistsError:
        if stat.S_ISDIR(os.stat(name, dir_fd=dirfd, follow_symlinks=False).st_mode):
            walk.remove_tree(name, dirfd)
        else:
            os.unlink(name, dir_fd=dirfd)
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dirfd)
