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
#   limits.oom_kill_disable      True: who needs more memory waits for it, instead of being killed


def memory(limits: Limits) -> Files:
    """Convert memory limits to (controller, file, text): memory, and memory plus swap ("memsw").

    The kernel rejects a memsw below the memory limit, so for a new group memory comes first. `raised` reverses the
    two for a group with lower limits. Raises InvalidArgument for contradictory limits.
    """
    # 1. Limits that contradict each other are refused before anything is written: `check.memory(limits)`.
    # 2. The limit itself: `memory.limit_in_bytes`. "-1" is version 1's word for no limit.
    # 3. With swap: `memory.memsw.limit_in_bytes`. It counts as `limits.memory_swap` does: both together.
    #    In which order do the two come for a group that is new, so that memsw is lower than memory at no moment?
    # 4. Memory without a limit, and no word about swap: what must memsw then be?
    # 5. A reservation: `memory.soft_limit_in_bytes`. No OOM killer: "1" to `memory.oom_control`.
    raise Todo("2.2")
