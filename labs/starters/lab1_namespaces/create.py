"""A process in new namespaces (exercise 1.3)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite import linux

if TYPE_CHECKING:
    from collections.abc import Callable


def spawn(flags: int, child: Callable[[], None], cgroup_fd: int | None = None) -> tuple[int, int]:
    """Fork a process into new namespaces, and run `child` in it. Returns `(pid, pidfd)` in the parent.

    With CLONE_NEWPID the new process is PID 1 of its namespace. `child` must end with an exec or exit. If it
    returns or raises, the new process exits with status 70: it must not continue as a second copy of its parent.
    Fails with EPERM without CAP_SYS_ADMIN. Source: clone3(2), pid_namespaces(7).
    """
    # `linux.clone3` is a fork whose child is born in new namespaces (and in a cgroup, if it is given one). It
    # returns twice, (pid, pidfd) in the parent and (0, -1) in the child.
    # - From there on two processes run your lines. In which of them does each line run?
    # - child() should never return. If it does, or raises, the exit status is 70, and no line of the parent's runs
    #   in the child. What is the difference between sys.exit and os._exit?
    # - The parent does not wait: in the engine the child waits for its parent, which gives it limits and id maps.
    # - A descriptor can be number 0. How does `cgroup_fd` say that there is none?
    raise Todo("1.3")
