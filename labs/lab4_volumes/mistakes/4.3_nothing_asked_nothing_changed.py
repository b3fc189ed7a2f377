"""change_mount is called only for flags and read-only: the mount stays shared with the host."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "When is the propagation to be set?"


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
    if readonly or flags or readonly_recursive:
        bind.change_mount(
            target, readonly=readonly, propagation=propagation, flags=flags, readonly_recursive=readonly_recursive
        )
