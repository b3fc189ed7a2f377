"""Only the first entry of a map is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile
from pyctr_lite.namespaces import idmap

if TYPE_CHECKING:
    from pyctr_lite.namespaces.idmap import IdMap

HINT = "uid_map, of three lines"


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    if not privileged:
        kernelfile.write(f"/proc/{pid}/setgroups", "deny")
    kernelfile.write(f"/proc/{pid}/uid_map", idmap.format_map(uids[:1]))
    kernelfile.write(f"/proc/{pid}/gid_map", idmap.format_map(gids[:1]))
