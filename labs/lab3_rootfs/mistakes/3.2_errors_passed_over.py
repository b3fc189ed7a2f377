"""An error of the detaching is passed over: the program runs with the host's files in reach."""

from __future__ import annotations

import contextlib
import os

from pyctr_lite import linux

HINT = "runs in the host's file system, and nobody knows"


def pivot_root(new_root: str) -> None:
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(new_root)
        linux.pivot_root(".", ".")
        os.fchdir(old)
    finally:
        os.close(old)
    with contextlib.suppress(OSError):
        linux.mount(None, ".", None, linux.MS_REC | linux.MS_SLAVE)
        linux.umount2(".", linux.MNT_DETACH)
    os.chdir("/")
