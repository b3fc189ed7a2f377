"""RESOLVE_BENEATH refuses what leads up, instead of stopping at the root as a container expects."""

from __future__ import annotations

from pyctr_lite import linux

HINT = "which flag takes the descriptor for `/`?"


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    resolve = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_MAGICLINKS
    return linux.openat2(root_fd, path or ".", flags, 0, resolve)
