"""An ancestor that is not there is passed over."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.hierarchy import HierarchyMount

HINT = "as if nothing had happened"


def enable(mount: HierarchyMount, path: str, controller: str) -> bool:
    if controller not in mount.controllers:
        return False
    ancestors = [mount.mountpoint]
    for name in path.strip("/").split("/")[:-1]:
        ancestors.append(f"{ancestors[-1]}/{name}")
    wrote = False
    for ancestor in ancestors:
        file = f"{ancestor}/cgroup.subtree_control"
        try:
            enabled = kernelfile.read(file).split()
        except FileNotFoundError:
            break
        if controller not in enabled:
            try:
                kernelfile.write(file, "+" + controller)
            except OSError as error:
                hint = "move its processes into a group below" if error.errno == errno.EBUSY else ""
                message = f"cannot enable the cgroup controller {controller} in {file}: {error.strerror}"
                raise InvalidArgument(message, hint) from error
            wrote = True
    return wrote
