"""Bytes that are not UTF-8 become question marks."""

from __future__ import annotations

import os
import stat

HINT = "odd entries two give the same bytes"


def part_of_key(
    path: str, status: os.stat_result, content: bytes, xattrs: dict[str, bytes], *, owners: bool
) -> bytes:
    parts = [path, oct(status.st_mode), str(len(content))]
    is_device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
    parts.append(str(status.st_rdev) if is_device else "")
    parts.append(f"{status.st_uid} {status.st_gid}" if owners else "")
    found = ("\0".join(parts) + "\0").encode(errors="replace") + content
    for name, value in sorted(xattrs.items()):
        found += os.fsencode(f"{name}\0{len(value)}\0") + value
    return found
