"""Version 1 is asked again after 0.9 s: the deadline may have passed long ago."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer

HINT = "How long may a rest between two tries be?"


def remove(directory: str, version: int, deadline: float) -> None:
    for place in sorted(controllers.descendants(directory), key=len, reverse=True):
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
                time.sleep(0.9)
                continue
            try:
                freezer.wait_for_event(place, "populated 0", left)
            except (TimeoutError, FileNotFoundError):
                pass
