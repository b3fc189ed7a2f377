"""It tries again at once: a CPU is busy for as long as a process takes to end."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer
from pyctr_lite.linux import explain

HINT = "as if it tried again without a rest"


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
