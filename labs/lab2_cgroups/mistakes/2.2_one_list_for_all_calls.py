"""One list is emptied and filled again in each call, and the caller still has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cgroups import check

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v1 import Files

HINT = "has changed what the first one returned"

_lines = []


def memory(limits: Limits) -> Files:
    check.memory(limits)
    _lines.clear()
    both = limits.memory_swap
    if both is None and limits.memory == -1:
        both = -1
    wanted = {
        "memory.limit_in_bytes": limits.memory,
        "memory.memsw.limit_in_bytes": both,
        "memory.soft_limit_in_bytes": limits.memory_reservation,
        "memory.oom_control": 1 if limits.oom_kill_disable else None,
    }
    _lines.extend(("memory", file, str(number)) for file, number in wanted.items() if number is not None)
    return _lines
