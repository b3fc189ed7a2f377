"""The hint for EBUSY is given for every error."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.hierarchy import HierarchyMount

HINT = "Which errno is it about?"


def enable(mount: HierarchyMount, path: str, controller: str) -> bool:
    changed = False
    if controller not in mount.controllers:
        return False
    parts = path.split("/")[1:-1]
    for depth in range(len(parts) + 1):
        file = "/".join([mount.mountpoint, *parts[:depth], "cgroup.subtree_control"])
        if controller in kernelfile.read(file).split():
            continue
        try:
            kernelfile.write(file, f"+{controller}")
        except OSError as error:
            hint = "move its processes into a group below"
            raise InvalidArgument(f"cannot enable {controller} in {file}: {error.strerror}", hint) from error
        changed = True
    return changed
