"""A layer that cannot be read is taken for one without the file."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

HINT = "Which one error means that it is not there?"


def lower_entry(lowers: list[str], name: str) -> str | None:
    for layer in lowers:
        candidate = f"{layer}/{name}"
        try:
            status = os.lstat(candidate)
        except OSError:
            continue
        return None if whiteout.is_whiteout(status) else candidate
    return None
