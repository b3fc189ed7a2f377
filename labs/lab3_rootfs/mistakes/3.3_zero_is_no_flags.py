"""O_RDONLY is 0, and `or` takes it for nothing."""

from __future__ import annotations

from pyctr_lite import linux

HINT = "Which flags do you hand on?"


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
    return linux.openat2(root_fd, path or ".", flags or linux.O_PATH, 0, resolve)
