"""The map of the users is written to both files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile
from pyctr_lite.namespaces import idmap

if TYPE_CHECKING:
    from pyctr_lite.namespaces.idmap import IdMap

HINT = "gid_map"


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    if not privileged:
        kernelfile.write(f"/proc/{pid}/setgroups", "deny")
    for file in ("uid_map", "gid_map"):
        kernelfile.write(f"/proc/{pid}/{file}", idmap.format_map(uids))
