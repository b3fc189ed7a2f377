"""The old root is unmounted as if nobody used it: EBUSY."""

from __future__ import annotations

import os

from pyctr_lite import linux

HINT = "which flag detaches it all the same?"


def pivot_root(new_root: str) -> None:
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chdir(new_root)
    linux.pivot_root(".", ".")
    os.fchdir(old)
    os.close(old)
    linux.mount(None, ".", None, linux.MS_REC | linux.MS_SLAVE)
    linux.umount2(".", 0)
    os.chdir("/")
