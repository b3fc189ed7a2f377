"""The inode of the entry in /proc is taken, not that of the namespace behind it."""

from __future__ import annotations

import os

from pyctr_lite.namespaces import kinds

HINT = "What does a link lead to?"


def identify(pid: int | str = "self") -> dict[str, int]:
    found = {}
    for kind in kinds.KINDS:
        try:
            found[kind.proc] = os.lstat(f"/proc/{pid}/ns/{kind.proc}").st_ino
        except FileNotFoundError:
            if kind.proc != "time":
                raise
    return found
