"""The empty path goes to the kernel: ENOENT."""

from __future__ import annotations

from pyctr_lite import linux

HINT = "what does the kernel make of this path?"


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
    return linux.openat2(root_fd, path, flags, 0, resolve)
