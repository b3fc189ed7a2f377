"""CPU limits as version 2's files (exercise 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.cgroups import check, v2

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v2 import Files

# A line is (controller, file, text). `limits` has for each limit its number, or None: leave it as it is. Here:
#   limits.cpu_quota     µs of CPU time in each period; -1: no limit
#   limits.cpu_period    µs
#   limits.cpu_shares    a weight on version 1's scale: 2 to 262144


def cpu(limits: Limits) -> Files:
    """Convert CPU limits to (controller, file, text): a weight relative to other groups, and a hard quota.

    The quota and its period, in µs, share the file cpu.max. Raises InvalidArgument for shares out of range.
    """
    # 1. Nothing is set? Then there is nothing to write: an empty list.
    # 2. A weight goes to `cpu.weight`. Its scale is another than that of the shares: `v2.cpu_weight(shares)`.
    # 3. Quota and period share one file, `cpu.max`, as "QUOTA PERIOD". It is written where either is given; what
    #    is not given is the kernel's own: no quota, and `v2.DEFAULT_PERIOD`.
    # 4. What does version 2 call "no limit"? `check.number_or_max(number)` knows.
    raise Todo("2.1")
