"""Exercises 5.1 and 5.2, solved."""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def lower_entry(lowers: list[str], name: str) -> str | None:
    for layer in lowers:
        candidate = f"{layer}/{name}"
        try:
            status = os.lstat(candidate)
        except FileNotFoundError:
            continue
        return None if whiteout.is_whiteout(status) else candidate
    return None


def entry_changes(upper: int, name: str, lowers: list[str], path: str) -> list[Change]:
    now = os.stat(name, dir_fd=upper, follow_symlinks=False)
    shown = diff.lower_entry(lowers, name)
    if whiteout.is_whiteout(now):
        return [Change("D", path)] if shown is not None else []
    inside: list[Change] = []
    if stat.S_ISDIR(now.st_mode):
        fd = os.open(name, _DIRECTORY, dir_fd=upper)
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
