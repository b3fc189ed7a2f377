"""0 is taken for "not given": whoever asks whether the processes may be signalled kills them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.cgroups import freezer
from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "What was sent?"


def kill(group: Group, signal: int = 9) -> None:
    signal = signal or 9
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
            except ProcessLookupError:
                continue
    finally:
        if (group.v2 is None and signal == 9) or not stood:
            freezer.thaw(group)
