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

    The quota and its period, in µs, share the file cpu.max, which is written if either of them is set. None means
    not set, and a quota of 0 is a quota. Raises InvalidArgument for shares out of range.
    """
    # 1. Each limit that is set reaches its file, whatever else is set. Which value alone means "not set"?
    # 2. "cpu.weight" takes a weight on another scale than that of the shares. The module `v2` can convert.
    # 3. "cpu.max" always has two fields. Either limit may be missing: what does the kernel have in its place, and
    #    what does `v2` call that?
    # 4. Version 2 has a word for "no limit". Which function of pyctr_lite/cgroups/check.py knows it?
    # 5. If no limit is set, the answer is still a list.
    raise Todo("2.1")
