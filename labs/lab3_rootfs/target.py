"""Paths inside a root file system that is not trusted (exercise 3.3)."""

from __future__ import annotations

from labs.kit import Todo
from pyctr_lite import linux


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    """Open a path with `root_fd` as `/`, also for the links in it (openat2(2), RESOLVE_IN_ROOT).

    The path "" is the root itself. `flags` are those of open(2), 0 is O_RDONLY; the descriptor is close-on-exec.
    The kernel resolves all of the path in one call: a link that another process makes meanwhile does not lead out.
    Fails with ELOOP for a magic link of /proc, because it could lead out of the root.
    """
    # `linux.openat2(dirfd, path, flags, mode, resolve)` is the system call; `mode` is for a new file, so it is 0.
    # It adds O_CLOEXEC to the flags by itself.
    # - A container may swap a directory for a link at any moment. How often can you ask about one path, then?
    # - Absolute links and `..` are followed as in a container, and end in the root. One RESOLVE_ flag of
    #   openat2(2) does that, another one looks like it and refuses such a path.
    # - A magic link such as /proc/self/cwd is not a path: the kernel jumps to a file that the process has open or
    #   stands in, wherever that is. It is refused because you say so, not because of today's kernel.
    # - A mount in the root, such as a volume, is part of it.
    # - What does the kernel say to an empty path?
    raise Todo("3.3")
