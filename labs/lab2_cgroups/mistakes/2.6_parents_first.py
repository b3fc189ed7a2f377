"""The group is removed before the groups below it."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer
from pyctr_lite.linux import explain

HINT = "Which of them can go first?"


def remove(directory: str, version: int, deadline: float) -> None:
    for place in controllers.descendants(directory):
        while True:
            try:
                os.rmdir(place)
                break
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.001)
