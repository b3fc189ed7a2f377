"""TimeoutError of freeze is let through: one process that hangs in the kernel keeps all others alive."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.cgroups import freezer
from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "Can such a process fork?"


def kill(group: Group, signal: int = 9) -> None:
    stood = False
    try:
        if signal == 9 and group.v2 is not None:
            kernelfile.write(f"{group.v2}/cgroup.kill", "1")
            return
        stood = freezer.frozen(group)
        if not stood:
            freezer.freeze(group)
    except FileNotFoundError:
        return
    for pid in group.pids():
        try:
            os.kill(pid, signal)
        except ProcessLookupError:
            continue
    old_and_fatal = group.v2 is None and signal == 9
    if old_and_fatal or not stood:
        freezer.thaw(group)
