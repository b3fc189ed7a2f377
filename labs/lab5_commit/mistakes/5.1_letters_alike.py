"""Upper and lower case are taken for the same name, as on other systems."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

HINT = "upper and lower case make two names"


def lower_entry(lowers: list[str], name: str) -> str | None:
    for layer in lowers:
        there = {each.lower(): each for each in os.listdir(layer)}
        candidate = f"{layer}/{there.get(name.lower(), name)}"
        try:
            status = os.lstat(candidate)
        except FileNotFoundError:
            continue
        return None if whiteout.is_whiteout(status) else candidate
    return None
