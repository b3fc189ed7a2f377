"""A plain directory is no mount point: instead of telling, it is entered by chroot."""

from __future__ import annotations

import os

from pyctr_lite import linux

HINT = "whose is the error to handle?"


def pivot_root(new_root: str) -> None:
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(new_root)
        linux.pivot_root(".", ".")
    except OSError:
        os.chroot(".")
        return
    os.fchdir(old)
    os.close(old)
    linux.mount(None, ".", None, linux.MS_REC | linux.MS_SLAVE)
    linux.umount2(".", linux.MNT_DETACH)
    os.chdir("/")
