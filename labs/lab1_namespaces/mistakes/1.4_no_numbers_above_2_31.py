"""Ids above 2**31 are left out, as if they were negative."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile
from pyctr_lite.namespaces import idmap

if TYPE_CHECKING:
    from pyctr_lite.namespaces.idmap import IdMap

HINT = "which numbers are too large for you?"


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    directory = f"/proc/{pid}"
    if not privileged:
        kernelfile.write(directory + "/setgroups", "deny")
    for file, maps in (("uid_map", uids), ("gid_map", gids)):
        kernelfile.write(f"{directory}/{file}", idmap.format_map([m for m in maps if m.outside < 2**31]))
