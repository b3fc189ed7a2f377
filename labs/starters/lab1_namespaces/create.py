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
    returns or raises, the new process exits: it must not continue as a second copy of its parent.
    Fails with EPERM without CAP_SYS_ADMIN. Source: clone3(2), pid_namespaces(7).
    """
    # 1. `linux.clone3(flags, cgroup_fd)` is a fork whose child is born in new namespaces, and in the cgroup
    #    that is given. It returns twice: (pid, pidfd) in the parent, (0, -1) in the child.
    # 2. In the child: call `child()`. It should never come back, but it may return, or raise.
    # 3. Whatever it does, the child ends here: `os._exit(70)`. `sys.exit` would not do, it only raises an
    #    exception, and that climbs on into code which belongs to the parent.
    # 4. In the parent: return both at once. Do not wait for the child: it may be waiting for its parent.
    raise Todo("1.3")
