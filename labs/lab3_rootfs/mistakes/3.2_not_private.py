"""The old root is detached while its mounts are shared: the host's are unmounted, too."""

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
    linux.umount2(".", linux.MNT_DETACH)
    os.chdir("/")
