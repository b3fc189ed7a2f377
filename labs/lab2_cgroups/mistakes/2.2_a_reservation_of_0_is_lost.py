"""A limit of 0 is taken for one that is not set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cgroups import check

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v1 import Files

HINT = "0 is a number"


def memory(limits: Limits) -> Files:
    check.memory(limits)
    lines: Files = []
    swap = limits.memory_swap
    if limits.memory == -1 and swap is None:
        swap = -1
    if limits.memory is not None:
        lines.append(("memory", "memory.limit_in_bytes", str(limits.memory)))
    if swap is not None:
        lines.append(("memory", "memory.memsw.limit_in_bytes", str(swap)))
    if limits.memory_reservation:
        lines.append(("memory", "memory.soft_limit_in_bytes", str(limits.memory_reservation)))
    if limits.oom_kill_disable:
        lines.append(("memory", "memory.oom_control", "1"))
    return lines
