"""User and group id maps of a user namespace: the ids outside that its ids stand for."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import kernelfile


class IdMap:
    """Maps `size` ids starting at `inside` to ids starting at `outside` (a line of /proc/<pid>/uid_map)."""

    __slots__ = ("inside", "outside", "size")

    def __init__(self, inside: int, outside: int, size: int) -> None:
        self.inside, self.outside, self.size = inside, outside, size

    def outside_of(self, id: int) -> int | None:
        """Return the id outside for an id inside, or None if the map does not contain it."""
        return self.outside + id - self.inside if self.inside <= id < self.inside + self.size else None

    @classmethod
    def from_oci(cls, mapping: dict[str, int]) -> IdMap:
        """Create a map from an entry of `linux.uidMappings` (OCI runtime spec, config-linux.md)."""
        return cls(mapping["containerID"], mapping["hostID"], mapping["size"])


def write_maps(pid: int, uids: list[IdMap], gids: list[IdMap], *, privileged: bool = True) -> None:
    """Write the uid and gid maps of a process's new user namespace. Each can be written only once.

    A writer without CAP_SETGID in the parent namespace (`privileged` is False) must deny setgroups(2) first, or
    writing gid_map fails with EPERM: otherwise a process could drop a group that takes permissions away from it.
    Source: user_namespaces(7).
    """
    if not privileged:
        kernelfile.write(f"/proc/{pid}/setgroups", "deny")
    kernelfile.write(f"/proc/{pid}/uid_map", format_map(uids))
    kernelfile.write(f"/proc/{pid}/gid_map", format_map(gids))


def format_map(maps: list[IdMap]) -> str:
    """Format a map file: one line `inside outside size` per map. It must be written in a single write(2)."""
    check(maps)
    return "".join(f"{item.inside} {item.outside} {item.size}\n" for item in maps)


def check(maps: list[IdMap]) -> None:
    """Check for mistakes that the kernel reports only as EINVAL. Raises InvalidArgument.

    They are no entry, more than 340 entries, an overlap, and an empty or too large range.
    """
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
    """Return the caller's ids for a user and a group of a process's user namespace.

    Raises InvalidArgument if they have no id outside. Source: user_namespaces(7), /proc/<pid>/uid_map.
    """
    found = []
    for file, id in (("uid_map", uid), ("gid_map", gid)):
        lines = kernelfile.read(f"/proc/{pid}/{file}").splitlines()
        maps = [IdMap(*map(int, line.split())) for line in lines]
        ids = [mapped for item in maps if (mapped := item.outside_of(id)) is not None]
        if not ids:
            raise InvalidArgument(f"user {uid}:{gid} has no id in the container's user namespace")
        found.append(ids[0])
    return found[0], found[1]
