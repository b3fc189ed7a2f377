"""openat(2) with the root's descriptor: `..` and absolute links lead to the host's files."""

from __future__ import annotations

from pyctr_lite import linux

HINT = "Where does yours end?"


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    import os

    return os.open(path.lstrip("/") or ".", flags, dir_fd=root_fd)
