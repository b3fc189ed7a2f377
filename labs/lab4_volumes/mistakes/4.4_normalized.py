"""The target is normalized as text: a `..` after a link leads elsewhere."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "Whose `..` is that?"


def change_mount(
    target: str, *, readonly: bool, propagation: str, flags: int = 0, readonly_recursive: bool = False
) -> None:
    target = os.path.normpath(target)
    if readonly:
        flags |= linux.MS_RDONLY
    if flags:
        linux.mount(None, target, None, linux.MS_BIND | linux.MS_REMOUNT | bind.mount_flags(target) | flags)
    if readonly and readonly_recursive:
        linux.mount_setattr(linux.AT_FDCWD, target, linux.AT_RECURSIVE, set=linux.MOUNT_ATTR_RDONLY)
    linux.mount(None, target, None, options.PROPAGATION[propagation])
