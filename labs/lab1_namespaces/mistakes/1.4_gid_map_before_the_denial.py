"""A plain user writes gid_map first and denies setgroups afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile
from pyctr_lite.namespaces import idmap

if TYPE_CHECKING:
    from pyctr_lite.namespaces.idmap import IdMap

HINT = "before a plain user may write gid_map?"


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    kernelfile.write(f"/proc/{pid}/uid_map", idmap.format_map(uids))
    kernelfile.write(f"/proc/{pid}/gid_map", idmap.format_map(gids))
    if not privileged:
        kernelfile.write(f"/proc/{pid}/setgroups", "deny")
