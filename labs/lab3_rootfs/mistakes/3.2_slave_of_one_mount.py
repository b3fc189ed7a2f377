"""MS_SLAVE without MS_REC: it is the root's mount alone that tells nothing."""

from __future__ import annotations

import os

from pyctr_lite import linux

HINT = "the host has lost a mount"


def pivot_root(new_root: str) -> None:
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chdir(new_root)
    linux.pivot_root(".", ".")
    os.fchdir(old)
    os.close(old)
    linux.mount(None, ".", None, linux.MS_SLAVE)
    linux.umount2(".", linux.MNT_DETACH)
    os.chdir("/")
