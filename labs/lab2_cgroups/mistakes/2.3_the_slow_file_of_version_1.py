"""cgroup.procs serves for both versions: in version 1 the whole machine waits for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "which moves the caller alone"


def enter(self: Group, *, born_in_v2: bool = False) -> None:
    for mount, directory in zip(self.hierarchy.mounts, self.directories, strict=True):
        if mount.version == 1 or not born_in_v2:
            kernelfile.write(f"{directory}/cgroup.procs", "0")
