"""The old root's descriptor stays open if the swap is refused."""

from __future__ import annotations

import os

from pyctr_lite import linux

HINT = "who closes what you open if a step fails?"


def pivot_root(new_root: str) -> None:
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chdir(new_root)
    linux.pivot_root(".", ".")
    os.fchdir(old)
    os.close(old)
    linux.mount(None, ".", None, linux.MS_REC | linux.MS_SLAVE)
    linux.umount2(".", linux.MNT_DETACH)
    os.chdir("/")
