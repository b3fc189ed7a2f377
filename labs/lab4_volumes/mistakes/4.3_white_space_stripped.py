"""White space around the paths is taken off."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "What was the kernel asked for?"


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
    linux.mount(source.strip(), target.strip(), None, how)
    bind.change_mount(
        target, readonly=readonly, propagation=propagation, flags=flags, readonly_recursive=readonly_recursive
    )
