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

    Never disables one. Returns whether it changed anything, and False for a controller that the hierarchy does not
    have. Raises InvalidArgument, naming controller, file and reason, if the kernel refuses: an ancestor has
    processes of its own (EBUSY, the no-internal-process rule, with a hint) or is threaded (EOPNOTSUPP).
    Source: cgroups(7).
    """
    # A group of version 2 can be *threaded*: the threads of one process may then be in different groups. Memory
    # and I/O belong to whole processes, so a threaded group cannot have those controllers (EOPNOTSUPP).
    #
    # 1. `cgroup.subtree_control` says what a group hands down to the groups *below* it. Whose file decides about
    #    the group of `path`, such as "/box/a/b"? Whose about that group? Where does it end, at either end?
    # 2. A group can hand down only what it was given. So in which order are they asked?
    # 3. Reading the file gives the enabled names, with blanks between them; writing "+memory" enables memory and
    #    leaves the others alone. An ancestor that has the controller already is not written to.
    # 4. For a controller that this hierarchy does not have nothing is written anywhere.
    # 5. The engine's user sees one line: InvalidArgument(message, hint) made of the kernel's error. The message
    #    names controller, file and reason. For EBUSY the hint says what the user can do; for any other error that
    #    advice would be wrong.
    # 6. The answer is about all ancestors together: has any of them been changed?
    raise Todo("2.4")
