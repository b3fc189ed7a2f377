"""EBUSY is ignored: what is left is never known of."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer
from pyctr_lite.linux import explain

HINT = "nobody was told"


def remove(directory: str, version: int, deadline: float) -> None:
    for place in reversed(controllers.descendants(directory)):
        try:
            os.rmdir(place)
        except OSError:
            time.sleep(0.3)
            try:
                os.rmdir(place)
            except OSError:
                pass
