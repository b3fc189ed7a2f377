"""The argument is forgotten: every process is in the caller's namespaces."""

from __future__ import annotations

import os

from pyctr_lite.namespaces import kinds

HINT = "Whose directory in /proc do you look into?"


def identify(pid: int | str = "self") -> dict[str, int]:
    return {kind.proc: os.stat(f"/proc/self/ns/{kind.proc}").st_ino for kind in kinds.KINDS}
