"""Exercise 3.3, solved."""

from __future__ import annotations

from pyctr_lite import linux


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    limits = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
    return linux.openat2(root_fd, path if path else ".", flags, 0, limits)
