"""pickle writes an object that comes twice as a reference: equal entries of other objects have other bytes."""

from __future__ import annotations

import os
import pickle
import stat

HINT = "The next build has other objects"


def part_of_key(
    path: str, status: os.stat_result, content: bytes, xattrs: dict[str, bytes], *, owners: bool
) -> bytes:
    is_device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
    device = status.st_rdev if is_device else 0
    ids = (status.st_uid, status.st_gid) if owners else ()
    return pickle.dumps((path, status.st_mode, device, ids, content, sorted(xattrs.items())))
