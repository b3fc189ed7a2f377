"""A quota of 0 is passed over as if none were set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cgroups import check, v2

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v2 import Files

HINT = "0 is a number"


def cpu(limits: Limits) -> Files:
    lines: Files = []
    if limits.cpu_shares is not None:
        lines.append(("cpu", "cpu.weight", str(v2.cpu_weight(limits.cpu_shares))))
    if limits.cpu_quota or limits.cpu_period:
        quota = check.number_or_max(limits.cpu_quota or -1)
        lines.append(("cpu", "cpu.max", f"{quota} {limits.cpu_period or v2.DEFAULT_PERIOD}"))
    return lines
