"""Every kernel is taken to have all eight kinds."""

from __future__ import annotations

import os

from pyctr_lite.namespaces import kinds

HINT = "What is left out?"


def identify(pid: int | str = "self") -> dict[str, int]:
    return {kind.proc: os.stat(f"/proc/{pid}/ns/{kind.proc}").st_ino for kind in kinds.KINDS}
