"""The old root gets a directory in the new one, which stays there: in the image."""

from __future__ import annotations

import os

from pyctr_lite import linux

HINT = "the files of the new root"


def pivot_root(new_root: str) -> None:
    os.makedirs(f"{new_root}/.old", exist_ok=True)
    linux.pivot_root(new_root, f"{new_root}/.old")
    os.chdir("/")
    linux.mount(None, "/.old", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.umount2("/.old", linux.MNT_DETACH)
