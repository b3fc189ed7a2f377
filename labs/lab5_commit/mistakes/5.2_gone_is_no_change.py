"""A directory that is gone when it is opened has not changed."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

HINT = "who goes on with the next?"


def entry_changes(upper: int, name: str, lowers: list[str], path: str) -> list[Change]:
    now = os.stat(name, dir_fd=upper, follow_symlinks=False)
    shown = diff.lower_entry(lowers, name)
    if whiteout.is_whiteout(now):
        return [Change("D", path)] if shown is not None else []
    inside = []
    if stat.S_ISDIR(now.st_mode):
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=upper)
        except FileNotFoundError:
            return []
        try:
            inside = diff.directory_changes(fd, diff.lower_directories(lowers, name), path)
        finally:
            os.close(fd)
    if shown is None:
        return [Change("A", path), *inside]
    if inside or diff.differs(os.lstat(shown), now):
        return [Change("C", path), *inside]
    try:
        if diff.file_capability(shown) != diff.file_capability(f"/proc/self/fd/{upper}/{name}"):
            return [Change("C", path)]
    except OSError:
        pass
    return []
