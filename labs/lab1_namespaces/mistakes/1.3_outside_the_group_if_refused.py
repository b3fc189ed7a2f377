"""If the group refuses the child, it is born outside, without limits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "would run without its limits"


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    try:
        both = linux.clone3(flags, cgroup_fd)
    except OSError:
        if cgroup_fd is None:
            raise
        both = linux.clone3(flags, None)
    if both[0] != 0:
        return both
    try:
        child()
    finally:
        os._exit(70)
