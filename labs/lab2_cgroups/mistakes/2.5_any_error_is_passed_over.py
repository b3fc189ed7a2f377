"""Every error of a signal is passed over, not only that of a process that has ended."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.cgroups import freezer
from pyctr_lite.linux import explain, kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "Which errors may be passed over?"


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
    try:
        for pid in group.pids():
            try:
                os.kill(pid, signal)
            except OSError:
                pass
    finally:
        if not was_frozen or (signal == 9 and not group.v2):
            freezer.thaw(group)
