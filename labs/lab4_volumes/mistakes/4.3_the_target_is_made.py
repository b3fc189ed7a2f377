"""A missing target is made: a typing error becomes an empty directory, and no error."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "Here the target is missing"


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
    os.makedirs(target, exist_ok=True) if os.path.isdir(source) else None
    how = linux.MS_BIND
    if recursive:
        how |= linux.MS_REC
    linux.mount(source, target, None, how)
    bind.change_mount(
        target, readonly=readonly, propagation=propagation, flags=flags, readonly_recursive=readonly_recursive
    )
