"""cgroup.kill is not used: each process of version 2 gets its own SIGKILL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.cgroups import freezer
from pyctr_lite.linux import explain, kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "one write to cgroup.kill"


def kill(group: Group, signal: int = 9) -> None:
    try:
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
            except ProcessLookupError:
                pass
    finally:
        if not was_frozen or (signal == 9 and not group.v2):
            freezer.thaw(group)
