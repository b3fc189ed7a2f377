"""Whatever rmdir says, it is tried again until the deadline."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer
from pyctr_lite.linux import explain

HINT = "Which errors mean that there is something to wait for?"


def remove(directory: str, version: int, deadline: float) -> None:
    for place in reversed(controllers.descendants(directory)):
        while True:
            try:
                os.rmdir(place)
                break
            except FileNotFoundError:
                break
            except OSError:
                pass
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
