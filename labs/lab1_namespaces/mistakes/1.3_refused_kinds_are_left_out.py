"""A kind that the kernel refuses is left out: the child has a wall less."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "with EINVAL, as it may"


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    try:
        both = linux.clone3(flags, cgroup_fd)
    except OSError as error:
        if error.errno != 22:
            raise
        both = linux.clone3(flags & ~linux.CLONE_NEWTIME, cgroup_fd)
    if both[0] != 0:
        return both
    try:
        child()
    finally:
        os._exit(70)
