"""The pair is a list."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "the type of what spawn returns"


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    both = linux.clone3(flags, cgroup_fd)
    if both[0] != 0:
        return [*both]
    try:
        child()
    finally:
        os._exit(70)
