"""The types that come to mind are told apart: a socket counts as a file."""

from __future__ import annotations

import os
import stat

HINT = "the type (0o140000)"


def part_of_key(
    path: str, status: os.stat_result, content: bytes, xattrs: dict[str, bytes], *, owners: bool
) -> bytes:
    letters = {stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}
    letter = letters.get(stat.S_IFMT(status.st_mode), "f")
    parts = [path, letter + oct(stat.S_IMODE(status.st_mode)), str(len(content))]
    is_device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
    parts.append(str(status.st_rdev) if is_device else "")
    parts.append(f"{status.st_uid} {status.st_gid}" if owners else "")
    found = os.fsencode("\0".join(parts) + "\0") + content
    for name, value in sorted(xattrs.items()):
        found += os.fsencode(f"{name}\0{len(value)}\0") + value
    return found
