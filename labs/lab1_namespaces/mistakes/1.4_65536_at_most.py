"""A line of a map has 65536 ids at most, as the usual ones have: the rest is left out."""

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
        text = "".join(f"{map.inside} {map.outside} {min(map.size, 65536)}\n" for map in maps)
        kernelfile.write(f"{directory}/{file}", text)
