"""A kernel without mount_setattr(2) leaves the mounts below writable, and nobody hears of it."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "with ENOSYS, as it may"


def change_mount(
    target: str, *, readonly: bool, propagation: str, flags: int = 0, readonly_recursive: bool = False
) -> None:
    linux.mount(None, target, None, options.PROPAGATION[propagation])
    if readonly:
        flags |= linux.MS_RDONLY
    if flags:
        before = bind.mount_flags(target)
        linux.mount(None, target, None, linux.MS_BIND | linux.MS_REMOUNT | before | flags)
    if readonly and readonly_recursive:
        try:
            linux.mount_setattr(linux.AT_FDCWD, target, linux.AT_RECURSIVE, set=linux.MOUNT_ATTR_RDONLY)
        except OSError as error:
            if error.errno != 38:
                raise
