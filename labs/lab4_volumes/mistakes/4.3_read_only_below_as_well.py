"""readonly is handed on for the mounts below, too."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "Which argument is for the mounts below?"


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
    bind.change_mount(target, readonly=readonly, propagation=propagation, flags=flags, readonly_recursive=readonly)
