"""What was found once is kept by name: the next tree gets the answer of this one."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

HINT = "what is kept from one call to the next?"


def lower_entry(lowers: list[str], name: str) -> str | None:
    known = vars(lower_entry)
    if name in known:
        answer: str | None = known[name]
        return answer
    for layer in lowers:
        candidate = f"{layer}/{name}"
        if os.path.lexists(candidate):
            gone = whiteout.is_whiteout(os.lstat(candidate))
            known[name] = None if gone else candidate
            return None if gone else candidate
    return None
