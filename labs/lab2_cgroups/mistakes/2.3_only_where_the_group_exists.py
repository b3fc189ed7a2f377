"""A hierarchy without the group's directory is left out, and the process stays outside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "run without limits"


def enter(self: Group, *, born_in_v2: bool = False) -> None:
    for mount, directory in zip(self.hierarchy.mounts, self.directories, strict=True):
        if not os.path.isdir(directory) or (mount.version == 2 and born_in_v2):
            continue
        kernelfile.write(f"{directory}/{'tasks' if mount.version == 1 else 'cgroup.procs'}", "0")
