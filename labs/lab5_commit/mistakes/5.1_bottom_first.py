"""The layers are searched from the wrong end."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

HINT = "which one does an overlay show?"


def lower_entry(lowers: list[str], name: str) -> str | None:
    for layer in reversed(lowers):
        candidate = f"{layer}/{name}"
        if os.path.lexists(candidate):
            gone = whiteout.is_whiteout(os.lstat(candidate))
            return None if gone else candidate
    return None
