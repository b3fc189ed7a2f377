"""The path is resolved by hand first: a link can be put there before it is opened."""

from __future__ import annotations

import os

from pyctr_lite import linux

HINT = "Which one call resolves all of a path?"


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
    os.close(linux.openat2(root_fd, path or ".", linux.O_PATH, 0, resolve))
    return linux.openat2(root_fd, path or ".", flags, 0, resolve)
