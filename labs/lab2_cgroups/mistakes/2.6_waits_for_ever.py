"""The deadline is forgotten."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer
from pyctr_lite.linux import explain

HINT = "did not return within"


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
            time.sleep(0.001)
