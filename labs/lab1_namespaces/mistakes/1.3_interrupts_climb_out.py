"""Exception and SystemExit are caught: the interrupt of Ctrl-C climbs out of the child."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "sys.exit, too, is only an exception"


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    both = linux.clone3(flags, cgroup_fd)
    if both[0] != 0:
        return both
    try:
        child()
    except (Exception, SystemExit):
        pass
    os._exit(70)
