"""Only RESOLVE_IN_ROOT: that magic links are refused is today's kernel's choice."""

from __future__ import annotations

from pyctr_lite import linux

HINT = "Which flag says so?"


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    return linux.openat2(root_fd, path or ".", flags, 0, linux.RESOLVE_IN_ROOT)
