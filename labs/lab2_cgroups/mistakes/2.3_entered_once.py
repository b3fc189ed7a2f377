"""A note of the groups that were entered: the process may have left since."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "What is kept from one call to the next?"

_entered = set()


def enter(self: Group, *, born_in_v2: bool = False) -> None:
    if self.path in _entered:
        return
    for mount, place in zip(self.hierarchy.mounts, self.directories, strict=True):
        if mount.version == 2 and born_in_v2:
            continue
        file = "cgroup.procs" if mount.version == 2 else "tasks"
        kernelfile.write(os.path.join(place, file), "0")
    _entered.add(self.path)
