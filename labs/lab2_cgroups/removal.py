"""The end of a group (exercise 2.6)."""

from __future__ import annotations

import errno
import os
import time

from labs.kit import Todo
from pyctr_lite.cgroups import controllers, freezer
from pyctr_lite.linux import explain

# `controllers.descendants(directory)` lists a group's directory and all below it, parents first.
# `freezer.wait_for_event(directory, "populated 0", seconds)` waits until a version 2 group has no process left;
# it raises TimeoutError, or FileNotFoundError when the group has gone meanwhile.


def remove(directory: str, version: int, deadline: float) -> None:
    """Remove a group and those below it from one hierarchy of a version. Idempotent.

    Waits until `deadline` (a time.monotonic()) for processes to end, in version 2 for the kernel's event. Tries at
    least once, even after the deadline. Fails with EBUSY and the group's path if processes are left then, and at
    once with any other error. Source: cgroups(7).
    """
    # 1. A group is a directory whose files are the kernel's: they vanish with it. Which call removes a directory
    #    alone? (`explain.step(text, function, *args)` makes a call that `--explain` shows.)
    # 2. A group with groups below it cannot be removed. Which order works? A group that another process has
    #    removed meanwhile is done.
    # 3. EBUSY means that there are processes, perhaps just ending. Version 2 has an event for the end of the last
    #    process, version 1 does not. Neither is a reason to keep a CPU busy.
    # 4. The event may fail, too: it takes too long, or the group goes away. What is still worth a try then?
    # 5. `deadline` is a moment of `time.monotonic()`, perhaps a past one. How often is rmdir tried at least, and
    #    what does the caller hear when the time is up?
    # 6. Waiting helps against one error alone. What happens with the others?
    raise Todo("2.6")
