"""The child returns as its parent does, and goes on with the parent's program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "What ends the child, whatever child() does?"


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    pid, pidfd = linux.clone3(flags, cgroup_fd)
    if pid == 0:
        child()
    return pid, pidfd
