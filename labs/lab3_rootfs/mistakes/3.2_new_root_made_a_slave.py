"""The new root's own mounts become slaves too: a shared volume no longer is one."""

from __future__ import annotations

import os

from pyctr_lite import linux

HINT = "Which mount does your change reach"


def pivot_root(new_root: str) -> None:
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(new_root)
        linux.pivot_root(".", ".")
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_SLAVE)
        os.fchdir(old)
    finally:
        os.close(old)
    linux.mount(None, ".", None, linux.MS_REC | linux.MS_SLAVE)
    linux.umount2(".", linux.MNT_DETACH)
    os.chdir("/")
