"""Removal of a group: its directories, bottom up, once no process is left."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer
from pyctr_lite.linux import explain


def remove(directory: str, version: int, deadline: float) -> None:
    """Remove a group and those below it from one hierarchy of a version. Idempotent.

    Waits until `deadline` (a time.monotonic()) for processes to end, in version 2 for the kernel's event. Tries at
    least once, even after the deadline. Fails with EBUSY and the group's path if processes are left then, and at
    once with any other error. Source: cgroups(7).
    """
    if _rmdir(directory):
        return
    for path in reversed(controllers.descendants(directory)):
        while not _rmdir(path):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise OSError(errno.EBUSY, f"the group has processes: {controllers.pids(path)}", path)
            if version == 2:
                _wait_until_empty(path, remaining)
            else:
                time.sleep(min(remaining, 0.001))  # version 1 has no event for this


def _rmdir(directory: str) -> bool:
    try:
        explain.step(f'rmdir("{directory}")', os.rmdir, directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
            raise
        return False
    return True


def _wait_until_empty(directory: str, seconds: float) -> None:
    try:
        freezer.wait_for_event(directory, "populated 0", seconds)
    except (TimeoutError, FileNotFoundError):
        pass  # the caller tries again
