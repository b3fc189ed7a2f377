"""User and group id maps of a user namespace: who a process in it is outside."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import kernelfile


class IdMap:
    """`size` ids from `inside` on are the ids from `outside` on (a line of /proc/<pid>/uid_map)."""

    __slots__ = ("inside", "outside", "size")

    def __init__(self, inside: int, outside: int, size: int) -> None:
        self.inside, self.outside, self.size = inside, outside, size

    def outside_of(self, id: int) -> int | None:
        """Who `id` is outside, None where it is not of these."""
        return self.outside + id - self.inside if self.inside <= id < self.inside + self.size else None

    @classmethod
    def from_oci(cls, mapping: dict[str, int]) -> IdMap:
        """From an entry of `linux.uidMappings` (OCI runtime spec, config-linux.md)."""
        return cls(mapping["containerID"], mapping["hostID"], mapping["size"])


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    """Give a process's new user namespace its maps; each can be written once.

    Without privilege (CAP_SETGID in the parent namespace) setgroups(2) must be denied before gid_map can
    be written, else EPERM: a process could otherwise drop a group that takes permissions away.
    Source: user_namespaces(7).
    """
    if not privileged:
        kernelfile.write(f"/proc/{pid}/setgroups", "deny")
    kernelfile.write(f"/proc/{pid}/uid_map", format_map(uids))
    kernelfile.write(f"/proc/{pid}/gid_map", format_map(gids))


def format_map(maps: list[IdMap]) -> str:
    """The text of a map file: `inside outside size`, a line each. One write(2) must carry all of it."""
    check(maps)
    return "".join(f"{item.inside} {item.outside} {item.size}\n" for item in maps)


def check(maps: list[IdMap]) -> None:
    """Refuse what the kernel would refuse with a bare EINVAL: no entry, more than 340, or an overlap."""
    if not 0 < len(maps) <= 340:
        raise InvalidArgument(f"an id map has 1 to 340 entries, not {len(maps)}")
    for side in ("inside", "outside"):
        ends = 0
        for item in sorted(maps, key=lambda item: int(getattr(item, side))):
            start = int(getattr(item, side))
            if item.size < 1 or start < ends or start + item.size > 2**32:
                raise InvalidArgument(
                    f"id map {item.inside}:{item.outside}:{item.size} overlaps, is empty or too large"
                )
            ends = start + item.size


def outside(pid: int, uid: int, gid: int) -> tuple[int, int]:
    """Who a user and a group of a process's user namespace are for the caller.

    Fails with InvalidArgument where they have no id there. Source: user_namespaces(7), /proc/pid/uid_map.
    """
    found = []
    for file, id in (("uid_map", uid), ("gid_map", gid)):
        lines = kernelfile.read(f"/proc/{pid}/{file}").splitlines()
        maps = [IdMap(*map(int, line.split())) for line in lines]
        ids = [there for item in maps if (there := item.outside_of(id)) is not None]
        if not ids:
            raise InvalidArgument(f"user {uid}:{gid} has no id in the container's user namespace")
        found.append(ids[0])
    return found[0], found[1]
