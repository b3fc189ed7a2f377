"""In version 1 open(…).write(…) without close: the error of the late write is lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "when does Python really write"


def enter(self: Group, *, born_in_v2: bool = False) -> None:
    for mount, directory in zip(self.hierarchy.mounts, self.directories, strict=True):
        if mount.version == 1:
            open(f"{directory}/tasks", "w").write("0")  # noqa: SIM115
        elif not born_in_v2:
            kernelfile.write(f"{directory}/cgroup.procs", "0")
