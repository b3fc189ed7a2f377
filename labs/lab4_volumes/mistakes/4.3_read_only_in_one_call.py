"""Bind and read-only in one call: the kernel ignores MS_RDONLY there, and says nothing."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind

HINT = "What makes it hold?"


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
    if readonly:
        how |= linux.MS_RDONLY
    linux.mount(source, target, None, how | flags)
    bind.change_mount(target, readonly=False, propagation=propagation)
