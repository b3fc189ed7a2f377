"""Every entry may be missing, so a process that has ended is in no namespace at all."""

from __future__ import annotations

import os

from pyctr_lite.namespaces import kinds

HINT = "which one missing entry is no error?"


def identify(pid: int | str = "self") -> dict[str, int]:
    found = {}
    for kind in kinds.KINDS:
        try:
            found[kind.proc] = os.stat(f"/proc/{pid}/ns/{kind.proc}").st_ino
        except FileNotFoundError:
            pass
    return found
