"""unshare in the child: a new pid namespace begins with its children, it is not in it itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "Which process is the first to be born there?"


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    pid = os.fork()
    if pid == 0:
        try:
            linux.unshare(flags)
            child()
        finally:
            os._exit(70)
    return pid, os.pidfd_open(pid)
