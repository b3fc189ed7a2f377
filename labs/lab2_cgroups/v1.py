"""Memory limits as version 1's files (exercise 2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.cgroups import check

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v1 import Files

# A line is (controller, file, text). `limits` has for each limit its number, or None: leave it as it is. Here:
#   limits.memory                bytes of memory; -1: no limit
#   limits.memory_swap           bytes of memory and swap together; -1: no limit
#   limits.memory_reservation    bytes that are left to it when others need memory
#   limits.oom_kill_disable      True: who needs more memory waits for it, instead of being killed; False (as it is
#                                if nobody asks): nothing is written


def memory(limits: Limits) -> Files:
    """Convert memory limits to (controller, file, text): memory, and memory plus swap ("memsw").

    The kernel rejects a memsw below the memory limit, so for a new group memory comes first. `raised` reverses the
    two for a group with lower limits. None means not set; 0 does not. If memory is unlimited (-1) and memory_swap
    is not set, memsw becomes unlimited, too. Raises InvalidArgument for contradictory limits.
    """
    # The files are memory.limit_in_bytes, memory.memsw.limit_in_bytes, memory.soft_limit_in_bytes (for the
    # reservation) and memory.oom_control ("1" disables the OOM killer).
    #
    # 1. Limits that contradict each other are refused as a whole, before there is a line. Which function of
    #    `check` looks at them?
    # 2. Your lines are written one after the other. Begin with a new group, which has no limits, and look at both
    #    files after each line: memsw is never below memory.
    # 3. memsw counts memory and swap together. How does `limits.memory_swap` count?
    # 4. Memory becomes unlimited, and nothing is said about swap. What would memsw's old limit still do?
    # 5. Version 1 does not have a word for "no limit", but a number. 0 is another number.
    raise Todo("2.2")
