"""Outside comes first in the line: root inside is nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.namespaces.idmap import IdMap

HINT = "uid_map"


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    def text(maps: list[IdMap]) -> str:
        return "".join(f"{item.outside} {item.inside} {item.size}\n" for item in maps)

    if not privileged:
        kernelfile.write(f"/proc/{pid}/setgroups", "deny")
    kernelfile.write(f"/proc/{pid}/uid_map", text(uids))
    kernelfile.write(f"/proc/{pid}/gid_map", text(gids))
