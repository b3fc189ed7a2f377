"""The wrong level of the tree: a group's own subtree_control decides about the groups below it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.hierarchy import HierarchyMount

HINT = "its own file, or its parent's?"


def enable(mount: HierarchyMount, path: str, controller: str) -> bool:
    changed = False
    if controller not in mount.controllers:
        return False
    parts = path.split("/")[1:]
    for depth in [len(parts)]:
        file = "/".join([mount.mountpoint, *parts[:depth], "cgroup.subtree_control"])
        if controller in kernelfile.read(file).split():
            continue
        try:
            kernelfile.write(file, f"+{controller}")
        except OSError as error:
            raise InvalidArgument(f"cannot enable {controller} in {file}: {error.strerror}", "") from error
        changed = True
    return changed
