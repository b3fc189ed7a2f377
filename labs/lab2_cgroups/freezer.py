"""The end of all processes of a group (exercise 2.5)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.cgroups import freezer
from pyctr_lite.linux import explain, kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

# The module has what you need, with either version's files: `freezer.freeze(group)` (waits until all stand),
# `freezer.thaw(group)`, `freezer.frozen(group)`. `group.v2` is the directory in version 2's hierarchy, or None;
# `group.pids()` lists the processes of the group and of those below it.


def kill(group: Group, signal: int = 9) -> None:
    """Send a signal to every process of a group, including those forked meanwhile.

    SIGKILL in version 2 is one write to `cgroup.kill`. Otherwise: freeze, signal each process, thaw. A group that
    was frozen before stays frozen, except for SIGKILL in version 1, where only a thawed process can die.
    Does nothing if the group's directories do not all exist: no process enters before they do. Source: cgroups(7).
    """
    # 1. Version 2 can do it in one step, if the signal is SIGKILL: "1" to `cgroup.kill` of `group.v2`.
    # 2. Otherwise the signal is sent to one process after the other. What can a process do between your look at
    #    the list and your signal, and what keeps it from doing so? Remember whether it was kept from it before.
    #    (freeze raises TimeoutError when one does not stand in time: such a one cannot fork either, so go on.)
    # 3. `os.kill` each of `group.pids()`. One may have ended meanwhile: ProcessLookupError.
    # 4. A group that was running runs on, and finds the signal. One that was frozen before stays frozen - but for
    #    SIGKILL in version 1: there a frozen process does not die.
    # 5. A group that is not there (FileNotFoundError when you look at it) has no process: nothing to do.
    raise Todo("2.5")
