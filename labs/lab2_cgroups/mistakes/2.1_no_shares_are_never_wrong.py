"""0 shares are passed over, although they are out of range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cgroups import check, v2

if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
    from pyctr_lite.cgroups.v2 import Files

HINT = "Who checks that, and is it asked?"


def cpu(limits: Limits) -> Files:
    lines: Files = []
    if limits.cpu_shares:
        lines.append(("cpu", "cpu.weight", str(v2.cpu_weight(limits.cpu_shares))))
    if limits.cpu_quota is not None or limits.cpu_period is not None:
        quota = check.number_or_max(-1 if limits.cpu_quota is None else limits.cpu_quota)
        lines.append(("cpu", "cpu.max", f"{quota} {limits.cpu_period or v2.DEFAULT_PERIOD}"))
    return lines
