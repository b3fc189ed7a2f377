"""The third argument is not passed on: the child runs outside of its group."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "it would run without its limits"


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    pid, pidfd = linux.clone3(flags)
    if pid == 0:
        try:
            child()
        finally:
            os._exit(70)
    return pid, pidfd
