"""Who a process in a user namespace is outside (exercise 1.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.linux import kernelfile
from pyctr_lite.namespaces import idmap

if TYPE_CHECKING:
    from pyctr_lite.namespaces.idmap import IdMap


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    """Write the uid and gid maps of a process's new user namespace. Each can be written only once.

    A writer without CAP_SETGID in the parent namespace (`privileged` is False) must deny setgroups(2) first, or
    writing gid_map fails with EPERM: otherwise a process could drop a group that takes permissions away from it.
    Source: user_namespaces(7).
    """
    # The files are /proc/<pid>/setgroups, uid_map and gid_map. `kernelfile.write(path, text)` makes one
    # write(2) and raises what the kernel answers; `idmap.format_map(maps)` makes the text of a map.
    # - The kernel takes a single write per map. What does that mean for a map of many lines?
    # - Without privilege the kernel wants setgroups to be "deny" first. Before which of the two maps?
    # - With privilege setgroups stays as it is: once denied, nothing inside could ever change its groups.
    # - Only the caller knows whether it has privilege: it says so with `privileged`.
    raise Todo("1.4")
