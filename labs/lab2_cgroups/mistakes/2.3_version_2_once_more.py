"""A process that was born in the version 2 group is moved there once more."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "nothing should be written there"


def enter(self: Group, *, born_in_v2: bool = False) -> None:
    for mount, directory in zip(self.hierarchy.mounts, self.directories, strict=True):
        kernelfile.write(f"{directory}/{'tasks' if mount.version == 1 else 'cgroup.procs'}", "0")
