"""EINVAL is passed over, and the process stays outside."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "with EINVAL, as it may"


def enter(self: Group, *, born_in_v2: bool = False) -> None:
    for mount, place in zip(self.hierarchy.mounts, self.directories, strict=True):
        if mount.version == 2 and born_in_v2:
            continue
        file = "cgroup.procs" if mount.version == 2 else "tasks"
        try:
            kernelfile.write(os.path.join(place, file), "0")
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
