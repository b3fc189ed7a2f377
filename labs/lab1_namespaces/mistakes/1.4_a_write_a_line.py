"""Each line is written by a write of its own; the kernel takes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.namespaces.idmap import IdMap

HINT = "How many writes do you make?"


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    if not privileged:
        kernelfile.write(f"/proc/{pid}/setgroups", "deny")
    for file, maps in (("uid_map", uids), ("gid_map", gids)):
        for item in maps:
            kernelfile.write(f"/proc/{pid}/{file}", f"{item.inside} {item.outside} {item.size}\n")
