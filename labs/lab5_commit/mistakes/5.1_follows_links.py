"""os.path.exists follows a link, and finds nothing behind it."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

HINT = "Does your look follow it?"


def lower_entry(lowers: list[str], name: str) -> str | None:
    for layer in lowers:
        candidate = f"{layer}/{name}"
        if os.path.exists(candidate):
            gone = whiteout.is_whiteout(os.lstat(candidate))
            return None if gone else candidate
    return None
