"""A plain directory is not a mount point: instead of raising the error, it enters the directory by chroot."""

from __future__ import annotations

import os

from pyctr_lite import linux

HINT = "Whose is the error to handle?"


def pivot_root(new_root: str) -> None:
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(new_root)
        linux.pivot_root(".", ".")
    except OSError:
        os.close(old)
        os.chroot(".")
        return
    os.fchdir(old)
    os.close(old)
    linux.mount(None, ".", None, linux.MS_REC | linux.MS_SLAVE)
    linux.umount2(".", linux.MNT_DETACH)
    os.chdir("/")
