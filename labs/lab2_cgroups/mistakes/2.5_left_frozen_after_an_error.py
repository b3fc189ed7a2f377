"""A signal that cannot be sent leaves the group frozen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.cgroups import freezer
from pyctr_lite.linux import explain, kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "is left frozen"


def kill(group: Group, signal: int = 9) -> None:
    try:
        if group.v2 and signal == 9:
            kernelfile.write(f"{group.v2}/cgroup.kill", "1")
            return
        was_frozen = freezer.frozen(group)
    except FileNotFoundError:
        return
    if not was_frozen:
        try:
            freezer.freeze(group)
        except TimeoutError:
            pass
    for pid in group.pids():
        try:
            os.kill(pid, signal)
        except ProcessLookupError:
            pass
    if not was_frozen or (signal == 9 and not group.v2):
        freezer.thaw(group)
