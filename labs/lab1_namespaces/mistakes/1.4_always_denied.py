"""setgroups is denied to everybody, just to be sure: no process inside can change its groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile
from pyctr_lite.namespaces import idmap

if TYPE_CHECKING:
    from pyctr_lite.namespaces.idmap import IdMap

HINT = "When is a denial needed?"


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    kernelfile.write(f"/proc/{pid}/setgroups", "deny")
    kernelfile.write(f"/proc/{pid}/uid_map", idmap.format_map(uids))
    kernelfile.write(f"/proc/{pid}/gid_map", idmap.format_map(gids))
