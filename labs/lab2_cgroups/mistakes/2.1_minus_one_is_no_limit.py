"""Version 1's word for no limit is written to version 2's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cgroups import check, v2

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v2 import Files

HINT = "The kernel answers EINVAL to a negative quota"


def cpu(limits: Limits) -> Files:
    lines: Files = []
    if limits.cpu_shares is not None:
        lines.append(("cpu", "cpu.weight", str(v2.cpu_weight(limits.cpu_shares))))
    if limits.cpu_quota is not None or limits.cpu_period is not None:
        quota = -1 if limits.cpu_quota is None else limits.cpu_quota
        lines.append(("cpu", "cpu.max", f"{quota} {limits.cpu_period or v2.DEFAULT_PERIOD}"))
    return lines
