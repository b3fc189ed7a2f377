"""One whiteout in any layer is enough: a file that was deleted and made again is missing."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

HINT = "what is below it, or what is above it?"


def lower_entry(lowers: list[str], name: str) -> str | None:
    found = [f"{layer}/{name}" for layer in lowers if os.path.lexists(f"{layer}/{name}")]
    if any(whiteout.is_whiteout(os.lstat(path)) for path in found):
        return None
    return found[0] if found else None
