"""shutil.rmtree deletes the files first, which are the kernel's."""

from __future__ import annotations

import errno
import os
import time

from pyctr_lite.cgroups import controllers, freezer
from pyctr_lite.linux import explain

HINT = "which are not yours to delete"


def remove(directory: str, version: int, deadline: float) -> None:
    shutil = __import__("shutil")
    if os.path.exists(directory):
        shutil.rmtree(directory)
