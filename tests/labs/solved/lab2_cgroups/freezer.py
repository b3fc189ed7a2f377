"""Exercise 2.5, solved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.cgroups import freezer
from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group


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
    except TimeoutError:
        pass  # what hangs in the kernel does not fork
    try:
        for pid in group.pids():
            try:
                os.kill(pid, signal)
            except ProcessLookupError:
                continue
    finally:  # a signal that cannot be sent is no reason to leave a group frozen
        old_and_fatal = group.v2 is None and signal == 9
        if old_and_fatal or not stood:
            freezer.thaw(group)
