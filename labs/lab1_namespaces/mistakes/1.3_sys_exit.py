"""The child ends by sys.exit: that is an exception, and whoever catches it lives on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "sys.exit, too, is only an exception"


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    pid, pidfd = linux.clone3(flags, cgroup_fd)
    if pid == 0:
        try:
            child()
        finally:
            sys.exit(70)
    return pid, pidfd
