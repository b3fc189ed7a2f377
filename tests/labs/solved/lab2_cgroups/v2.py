"""Exercise 2.1, solved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cgroups import check, v2

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v2 import Files


def cpu(limits: Limits) -> Files:
    lines: Files = []
    if limits.cpu_shares is not None:
        lines += [("cpu", "cpu.weight", f"{v2.cpu_weight(limits.cpu_shares)}")]
    if (limits.cpu_quota, limits.cpu_period) != (None, None):
        quota = "max" if limits.cpu_quota is None else check.number_or_max(limits.cpu_quota)
        period = v2.DEFAULT_PERIOD if limits.cpu_period is None else limits.cpu_period
        lines += [("cpu", "cpu.max", f"{quota} {period}")]
    return lines
