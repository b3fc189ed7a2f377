"""readonly=False is taken for `make it writable`."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "readonly=False does not ask for more than it had"


def change_mount(
    target: str, *, readonly: bool, propagation: str, flags: int = 0, readonly_recursive: bool = False
) -> None:
    if readonly:
        flags |= linux.MS_RDONLY
    if flags:
        before = bind.mount_flags(target) & ~linux.MS_RDONLY
        linux.mount(None, target, None, linux.MS_BIND | linux.MS_REMOUNT | before | flags)
    if readonly and readonly_recursive:
        linux.mount_setattr(linux.AT_FDCWD, target, linux.AT_RECURSIVE, set=linux.MOUNT_ATTR_RDONLY)
    linux.mount(None, target, None, options.PROPAGATION[propagation])
