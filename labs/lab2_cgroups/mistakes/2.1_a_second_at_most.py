"""A longer period than the kernel takes is cut to a second, and nobody hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cgroups import check, v2

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v2 import Files

HINT = "Who says that a number is too large"


def cpu(limits: Limits) -> Files:
    lines = []
    if limits.cpu_shares is not None:
        lines += [("cpu", "cpu.weight", f"{v2.cpu_weight(limits.cpu_shares)}")]
    if (limits.cpu_quota, limits.cpu_period) != (None, None):
        quota = "max" if limits.cpu_quota is None else check.number_or_max(limits.cpu_quota)
        period = 100000 if limits.cpu_period is None else min(limits.cpu_period, 10**6)
        lines += [("cpu", "cpu.max", f"{quota} {period}")]
    return lines
