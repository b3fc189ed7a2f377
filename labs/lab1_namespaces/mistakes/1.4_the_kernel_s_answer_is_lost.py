"""A file object that nobody closes writes when it is destroyed, and loses the kernel's error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.namespaces import idmap

if TYPE_CHECKING:
    from pyctr_lite.namespaces.idmap import IdMap

HINT = "where does the kernel's answer go?"


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    if not privileged:
        open(f"/proc/{pid}/setgroups", "w").write("deny")  # noqa: SIM115
    open(f"/proc/{pid}/uid_map", "w").write(idmap.format_map(uids))  # noqa: SIM115
    open(f"/proc/{pid}/gid_map", "w").write(idmap.format_map(gids))  # noqa: SIM115
