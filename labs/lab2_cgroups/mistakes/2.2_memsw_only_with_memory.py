"""Memory plus swap is written only if there is a memory limit, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cgroups import check

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v1 import Files

HINT = "has no line for memory.memsw.limit_in_bytes"


def memory(limits: Limits) -> Files:
    check.memory(limits)
    lines: Files = []
    if limits.memory is not None:
        lines.append(("memory", "memory.limit_in_bytes", str(limits.memory)))
        swap = -1 if limits.memory == -1 else limits.memory_swap
        if swap is not None:
            lines.append(("memory", "memory.memsw.limit_in_bytes", str(swap)))
    if limits.memory_reservation is not None:
        lines.append(("memory", "memory.soft_limit_in_bytes", str(limits.memory_reservation)))
    if limits.oom_kill_disable:
        lines.append(("memory", "memory.oom_control", "1"))
    return lines
