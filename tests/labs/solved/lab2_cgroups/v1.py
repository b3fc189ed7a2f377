"""Exercise 2.2, solved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cgroups import check

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v1 import Files


def memory(limits: Limits) -> Files:
    check.memory(limits)
    both = limits.memory_swap
    if both is None and limits.memory == -1:
        both = -1  # else the old memsw would still be in the way
    wanted = {
        "memory.limit_in_bytes": limits.memory,
        "memory.memsw.limit_in_bytes": both,
        "memory.soft_limit_in_bytes": limits.memory_reservation,
        "memory.oom_control": 1 if limits.oom_kill_disable else None,
    }
    return [("memory", file, str(number)) for file, number in wanted.items() if number is not None]
