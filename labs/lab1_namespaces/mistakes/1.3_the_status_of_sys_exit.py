"""The status that sys.exit names becomes the child's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "leaves with status 3"


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    both = linux.clone3(flags, cgroup_fd)
    if both[0] != 0:
        return both
    try:
        child()
    except SystemExit as leaves:
        os._exit(leaves.code or 70)
    finally:
        os._exit(70)
