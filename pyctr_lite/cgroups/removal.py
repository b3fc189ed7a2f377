"""The end of a group: its directories are removed, lowest first, once no process is left."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer
from pyctr_lite.linux import explain


def remove(directory: str, version: int, deadline: float) -> None:
    """Remove a group and those below it from one hierarchy, waiting until `deadline` (of time.monotonic()).

    Fails with EBUSY when processes are left then. A group that does not exist is fine.
    """
    if _rmdir(directory):
        return
    for place in reversed(controllers.descendants(directory)):
        while not _rmdir(place):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise OSError(errno.EBUSY, f"the group has processes: {controllers.pids(place)}", place)
            if version == 2:
                _wait_until_empty(place, remaining)
            else:
                time.sleep(min(remaining, 0.001))  # version 1 has no event for it


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
        pass  # the caller looks again
