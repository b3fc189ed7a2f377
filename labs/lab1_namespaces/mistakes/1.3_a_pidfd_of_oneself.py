"""The second value is a pidfd of the caller."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "the pidfd, stands for"


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    pid, pidfd = linux.clone3(flags, cgroup_fd)
    if pid == 0:
        try:
            child()
        finally:
            os._exit(70)
    os.close(pidfd)
    return pid, os.pidfd_open(os.getpid())
