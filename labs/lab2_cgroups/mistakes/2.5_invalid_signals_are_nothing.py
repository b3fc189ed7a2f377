"""Every refusal of a signal but EPERM is passed over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.cgroups import freezer
from pyctr_lite.linux import explain, kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "with EINVAL, as it may"


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
        pass
    try:
        for pid in group.pids():
            try:
                os.kill(pid, signal)
            except PermissionError:
                raise
            except OSError:
                continue
    finally:
        if (group.v2 is None and signal == 9) or not stood:
            freezer.thaw(group)
