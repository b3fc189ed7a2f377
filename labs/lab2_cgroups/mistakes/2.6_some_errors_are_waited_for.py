"""Errors that waiting does not help against are waited for."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer
from pyctr_lite.linux import explain

HINT = "with EACCES, as it may"


def remove(directory: str, version: int, deadline: float) -> None:
    if not os.path.isdir(directory):
        return
    for place in sorted(controllers.descendants(directory), key=len, reverse=True):
        while True:
            try:
                os.rmdir(place)
                break
            except FileNotFoundError:
                break
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENOTEMPTY, errno.EAGAIN, errno.EINTR, errno.EACCES):
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
