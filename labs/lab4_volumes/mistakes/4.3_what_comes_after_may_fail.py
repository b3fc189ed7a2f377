"""An error of change_mount is passed over: the container gets a mount that can be written to."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "The container would start with another mount than was asked for."


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
    how = linux.MS_BIND
    if recursive:
        how |= linux.MS_REC
    linux.mount(source, target, None, how)
    try:
        bind.change_mount(
            target, readonly=readonly, propagation=propagation, flags=flags, readonly_recursive=readonly_recursive
        )
    except OSError:
        pass
