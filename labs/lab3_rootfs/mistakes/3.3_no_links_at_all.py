"""All links are refused: most images have them."""

from __future__ import annotations

from pyctr_lite import linux

HINT = "whose /etc does a container mean by it?"


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_SYMLINKS
    return linux.openat2(root_fd, path or ".", flags, 0, resolve)
