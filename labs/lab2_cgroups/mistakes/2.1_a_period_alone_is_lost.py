"""A period without a quota is not written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cgroups import check, v2

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v2 import Files

HINT = "a period alone"


def cpu(limits: Limits) -> Files:
    lines: Files = []
    if limits.cpu_shares is not None:
        lines.append(("cpu", "cpu.weight", str(v2.cpu_weight(limits.cpu_shares))))
    if limits.cpu_quota:
        quota = check.number_or_max(limits.cpu_quota)
        lines.append(("cpu", "cpu.max", f"{quota} {limits.cpu_period or v2.DEFAULT_PERIOD}"))
    return lines
