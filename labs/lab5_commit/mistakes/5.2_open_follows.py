"""The directory is opened without O_NOFOLLOW, after a look that said that it is one."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

HINT = "files of the host"


def entry_changes(upper: int, name: str, lowers: list[str], path: str) -> list[Change]:
    now = os.stat(name, dir_fd=upper, follow_symlinks=False)
    shown = diff.lower_entry(lowers, name)
    if whiteout.is_whiteout(now):
        return [Change("D", path)] if shown is not None else []
    inside = []
    if stat.S_ISDIR(now.st_mode):
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=upper)
        try:
            inside = diff.directory_changes(fd, diff.lower_directories(lowers, name), path)
        finally:
            os.close(fd)
    if shown is None:
        return [Change("A", path), *inside]
    capability = diff.file_capability(f"/proc/self/fd/{upper}/{name}")
    if inside or diff.differs(os.lstat(shown), now) or diff.file_capability(shown) != capability:
        return [Change("C", path), *inside]
    return []
