"""MS_REC in a remount: accepted, and without effect on the mounts below."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "what changes a whole tree?"


def change_mount(
    target: str, *, readonly: bool, propagation: str, flags: int = 0, readonly_recursive: bool = False
) -> None:
    if readonly:
        flags |= linux.MS_RDONLY
    if flags:
        before = bind.mount_flags(target)
        below = linux.MS_REC if readonly_recursive else 0
        linux.mount(None, target, None, linux.MS_BIND | linux.MS_REMOUNT | below | before | flags)
    linux.mount(None, target, None, options.PROPAGATION[propagation])
