"""Every character device is taken for a whiteout: /dev/null of the image is missing."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

HINT = "Which one device says that a name is gone?"


def lower_entry(lowers: list[str], name: str) -> str | None:
    for layer in lowers:
        candidate = f"{layer}/{name}"
        if os.path.lexists(candidate):
            gone = stat.S_ISCHR(os.lstat(candidate).st_mode)
            return None if gone else candidate
    return None
