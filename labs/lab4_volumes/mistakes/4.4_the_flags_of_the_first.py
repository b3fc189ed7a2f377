"""Of two mounts on one path it takes the flags of the lower one."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.linux import mountinfo
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "Which of the two is at the target?"


def change_mount(
    target: str, *, readonly: bool, propagation: str, flags: int = 0, readonly_recursive: bool = False
) -> None:
    if readonly:
        flags |= linux.MS_RDONLY
    if flags:
        names = {
            "ro": 1,
            "nosuid": 2,
            "nodev": 4,
            "noexec": 8,
            "noatime": 1024,
            "nodiratime": 2048,
            "relatime": 1 << 21,
            "nosymfollow": 256,
        }
        before = 0
        for mount in mountinfo.mounts():
            if mount.mountpoint == os.path.realpath(target):
                for option in mount.options:
                    before |= names.get(option, 0)
                break
        linux.mount(None, target, None, linux.MS_BIND | linux.MS_REMOUNT | before | flags)
    if readonly and readonly_recursive:
        linux.mount_setattr(linux.AT_FDCWD, target, linux.AT_RECURSIVE, set=linux.MOUNT_ATTR_RDONLY)
    linux.mount(None, target, None, options.PROPAGATION[propagation])
