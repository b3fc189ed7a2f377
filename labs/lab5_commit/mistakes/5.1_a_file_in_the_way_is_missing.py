"""ENOTDIR is taken for "it is not there": a layer that is no directory is passed over."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

HINT = "Which one error means that it is not there?"


def lower_entry(lowers: list[str], name: str) -> str | None:
    for layer in lowers:
        candidate = f"{layer}/{name}"
        try:
            status = os.lstat(candidate)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return None if whiteout.is_whiteout(status) else candidate
    return None
