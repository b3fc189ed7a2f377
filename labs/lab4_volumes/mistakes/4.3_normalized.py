"""The source is normalized as text: a `..` after a link leads elsewhere."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.volumes import bind

HINT = "Who takes a path apart?"


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
    linux.mount(os.path.normpath(source), target, None, linux.MS_BIND | (linux.MS_REC if recursive else 0))
    bind.change_mount(
        target, readonly=readonly, propagation=propagation, flags=flags, readonly_recursive=readonly_recursive
    )
