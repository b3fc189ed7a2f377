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
    # The files are in /proc/<pid>: setgroups, uid_map, gid_map. `kernelfile.write(path, text)` writes a text in
    # one write(2) and raises what the kernel answers.
    # 1. Without privilege write "deny" to setgroups. When, before or after gid_map? And with privilege leave
    #    it alone: once denied it stays denied, and nothing inside could ever change its groups.
    # 2. Write uid_map and gid_map. `idmap.format_map(maps)` gives the text, a line an entry. The kernel takes
    #    one write for each file, so all lines go in that one.
    raise Todo("1.4")
