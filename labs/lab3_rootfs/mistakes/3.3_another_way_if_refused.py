"""If the kernel refuses openat2, openat does it without any limits."""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux

HINT = "what is left then but to fail?"


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
    try:
        return linux.openat2(root_fd, path or ".", flags, 0, resolve)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        return os.open(path.lstrip("/") or ".", flags | os.O_CLOEXEC, dir_fd=root_fd)
