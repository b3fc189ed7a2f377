"""A group that was frozen before is thawed: `pause` and then a signal would set it running."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.cgroups import freezer
from pyctr_lite.linux import explain, kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "The group was frozen before your call"


def kill(group: Group, signal: int = 9) -> None:
    try:
        if group.v2 and signal == 9:
            kernelfile.write(f"{group.v2}/cgroup.kill", "1")
            return
        was_frozen = freezer.frozen(group)
    except FileNotFoundError:
        return
    if not was_frozen:
        freezer.freeze(group)
    for pid in group.pids():
        try:
            os.kill(pid, signal)
        except ProcessLookupError:
            pass
    freezer.thaw(group)
