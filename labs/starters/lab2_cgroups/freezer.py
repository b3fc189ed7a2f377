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
    """Send a signal to every process of a group and of those below it, including those forked meanwhile.

    SIGKILL in version 2 is one write to `cgroup.kill`. Otherwise the processes are frozen while they are
    signalled; processes that cannot be frozen in time are signalled, too, and those that have ended are passed
    over. Afterwards a group that was running runs on, even if a signal cannot be sent. A group that was frozen
    before stays frozen, except for SIGKILL in version 1, where only a thawed process can die.
    Does nothing if the group's directories do not all exist: no process enters before they do. Source: cgroups(7).
    """
    # 1. Version 2 has a file that ends a whole group at once, whoever forks meanwhile. For which signal?
    # 2. Without it one process after the other gets the signal. What can a process do between your look at the
    #    list and your signal, and what keeps it from doing so?
    # 3. `freeze` raises TimeoutError if a process cannot be frozen in time: it waits for a dead network disk. Such
    #    a process cannot fork either. What does that mean for the signals?
    # 4. A process may end after the list was read (ProcessLookupError). Who still needs the signal then?
    # 5. A group that was running runs on, whatever happens in between, an error included; a group that was frozen
    #    before (`pyctr_lite pause`) stays frozen. But which signal needs a thawed group, and in which version?
    # 6. A group that does not exist has no process to signal. Which error shows that, and at which of your steps?
    raise Todo("2.5")
