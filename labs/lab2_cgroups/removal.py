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

    Waits until `deadline` (a time.monotonic()) for processes to end. Fails with EBUSY if some are left then.
    Source: cgroups(7).
    """
    # 1. A group is a directory, its files are the kernel's: they vanish with it. Which one call removes it?
    #    With `explain.step(f'rmdir("{place}")', os.rmdir, place)` it is seen by --explain; plain, it works too.
    # 2. A group with groups below it cannot be removed (EBUSY, ENOTEMPTY). In which order does it work?
    # 3. A directory that is not there (any more) is done: FileNotFoundError is fine.
    # 4. EBUSY also means that there are processes, perhaps just ending. Wait, and try again: in version 2 for
    #    the event, in version 1, which tells nobody, for a millisecond.
    # 5. `deadline` is a moment of `time.monotonic()`. When it has passed, raise OSError(errno.EBUSY, why, place).
    raise Todo("2.6")
