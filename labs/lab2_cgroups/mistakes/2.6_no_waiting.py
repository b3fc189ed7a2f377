"""A group whose last process is just ending is given up."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer
from pyctr_lite.linux import explain

HINT = "It would have been gone a moment later"


def remove(directory: str, version: int, deadline: float) -> None:
    for place in reversed(controllers.descendants(directory)):
        try:
            os.rmdir(place)
        except FileNotFoundError:
            pass
