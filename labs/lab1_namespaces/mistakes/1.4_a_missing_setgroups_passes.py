"""The denial is passed over if its file is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile
from pyctr_lite.namespaces import idmap

if TYPE_CHECKING:
    from pyctr_lite.namespaces.idmap import IdMap

HINT = "with ENOENT, as it may"


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    directory = f"/proc/{pid}"
    if not privileged:
        try:
            kernelfile.write(directory + "/setgroups", "deny")
        except FileNotFoundError:
            pass
    for file, maps in (("uid_map", uids), ("gid_map", gids)):
        kernelfile.write(f"{directory}/{file}", idmap.format_map(maps))
