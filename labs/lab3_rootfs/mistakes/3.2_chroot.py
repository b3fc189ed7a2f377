"""chroot instead of pivot_root: the old root is a few `..` away."""

from __future__ import annotations

import os

HINT = "Was the root mount swapped"


def pivot_root(new_root: str) -> None:
    os.chroot(new_root)
    os.chdir("/")
