"""A target that is a mount point already is not bound on."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain, mountinfo
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "what does a mount on a mount do?"


def bind_mount(
    source: str,
    target: str,
    *,
    readonly: bool = False,
    recursive: bool = True,
    propagation: str = "rprivate",
    flags: int = 0,
    readonly_recursive: bool = False,
) -> None:
    how = linux.MS_BIND | linux.MS_REC if recursive else linux.MS_BIND
    if not os.path.ismount(target):
        linux.mount(source, target, None, how)
    bind.change_mount(
        target, readonly=readonly, propagation=propagation, flags=flags, readonly_recursive=readonly_recursive
    )
