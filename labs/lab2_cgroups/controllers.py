"""How a controller gets into a group (exercise 2.4)."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.hierarchy import HierarchyMount

# A `mount` is a mounted hierarchy: it has `mountpoint` ("/sys/fs/cgroup") and `controllers`, those that it can
# give at all. `kernelfile.read(path)` and `kernelfile.write(path, text)` are the runtime's way to kernel files.


def enable(mount: HierarchyMount, path: str, controller: str) -> bool:
    """Enable a version 2 controller for a group: in `cgroup.subtree_control` of each ancestor that lacks it.

    Never disables one. Returns whether it changed anything. Raises InvalidArgument if an ancestor has processes of
    its own (EBUSY, the no-internal-process rule) or is threaded (EOPNOTSUPP). Source: cgroups(7).
    """
    # 1. A controller that this hierarchy does not have cannot be enabled: nothing has changed.
    # 2. A group has a file `cgroup.subtree_control`: what it hands down to the groups *below* it. So whose file
    #    decides about the group of `path`, and whose about that one? `path` is as "/box/a/b".
    # 3. A group can hand down only what it was given. With which of them do you begin?
    # 4. `kernelfile.read` tells what is enabled already (names with spaces between): leave those as they are.
    #    `kernelfile.write(file, f"+{controller}")` switches on.
    # 5. The kernel refuses? Raise InvalidArgument(message, hint) from its error; the message names controller,
    #    file and reason. For EBUSY the hint says what to do.
    # 6. Return whether you wrote anything.
    raise Todo("2.4")
