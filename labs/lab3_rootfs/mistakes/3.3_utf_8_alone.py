"""Only names that are UTF-8 come through."""

from __future__ import annotations

import os

from pyctr_lite import linux

HINT = "Which bytes reach the kernel?"


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    limits = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
    path = path.encode(errors="replace").decode()
    return linux.openat2(root_fd, path or ".", flags, 0, limits)
