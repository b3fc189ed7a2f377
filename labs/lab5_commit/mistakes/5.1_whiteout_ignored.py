"""A whiteout is taken for a file."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

HINT = "What is that 0:0 device?"


def lower_entry(lowers: list[str], name: str) -> str | None:
    for layer in lowers:
        candidate = f"{layer}/{name}"
        if os.path.lexists(candidate):
            return candidate
    return None
