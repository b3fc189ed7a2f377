"""The roots are swapped, and the old one stays mounted on top of the new one."""

from __future__ import annotations

import os

from pyctr_lite import linux

HINT = "what detaches the old root"


def pivot_root(new_root: str) -> None:
    os.chdir(new_root)
    linux.pivot_root(".", ".")
    os.chdir("/")
