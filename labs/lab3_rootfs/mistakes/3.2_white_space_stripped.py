"""White space around the path is taken off."""

from __future__ import annotations

import os

from pyctr_lite import linux

HINT = "who takes a path apart?"


def pivot_root(new_root: str) -> None:
    back = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(new_root.strip())
        linux.pivot_root(".", ".")
        os.fchdir(back)
    finally:
        os.close(back)
    linux.mount(None, ".", None, linux.MS_SLAVE | linux.MS_REC)
    linux.umount2(".", linux.MNT_DETACH)
    os.chdir("/")
