"""Paths inside a root file system that is not trusted (exercise 3.3)."""

from __future__ import annotations

from labs.kit import Todo
from pyctr_lite import linux


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    """Open a path with `root_fd` as `/`, also for the links in it (openat2(2), RESOLVE_IN_ROOT).

    Fails with ELOOP for a magic link of /proc, because it could lead out of the root.
    """
    # One call does it: `linux.openat2(dirfd, path, flags, mode, resolve)`. `mode` is 0: nothing is created.
    # 1. Read openat2(2): which RESOLVE_ flag takes `dirfd` for the root, for absolute links and `..` alike?
    #    Which one refuses to follow a magic link, such as /proc/self/root?
    # 2. The kernel knows no empty path: what stands for the root itself?
    # 3. Give back the descriptor.
    raise Todo("3.3")
