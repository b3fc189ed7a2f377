"""Each group below gets the whole time again: two of them wait twice as long."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer

HINT = "Whose time is it?"


def remove(directory: str, version: int, deadline: float) -> None:
    seconds = deadline - time.monotonic()
    for place in sorted(controllers.descendants(directory), key=len, reverse=True):
        deadline = time.monotonic() + seconds
        while True:
            try:
                os.rmdir(place)
                break
            except FileNotFoundError:
                break
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                    raise
            left = deadline - time.monotonic()
            if left <= 0:
                raise OSError(errno.EBUSY, "it still has processes", place)
            if version == 1:
                time.sleep(min(0.001, left))
                continue
            try:
                freezer.wait_for_event(place, "populated 0", left)
            except (TimeoutError, FileNotFoundError):
                pass
