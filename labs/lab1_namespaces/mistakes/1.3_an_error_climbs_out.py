"""Only a child() that returns is followed by an exit; an exception goes up into the parent's code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "What ends a process at once?"


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    pid, pidfd = linux.clone3(flags, cgroup_fd)
    if pid == 0:
        child()
        os._exit(70)
    return pid, pidfd
