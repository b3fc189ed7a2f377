"""What a container has changed: its upper directory against the layers below, as `docker diff` shows it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from pyctr_lite.rootfs import walk, whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Change:
    """One changed path: kind "A" for added, "C" for changed, "D" for deleted."""

    kind: str
    path: str


def changes(upper: str, lowers: list[str]) -> Iterator[Change]:
    """The changes in an upper directory, sorted by path. `lowers` are top first, as in `mount_overlay`.

    A file that was copied up but is as before is no change; a directory is changed where its owner or mode
    is, or anything in it. Of a deleted directory only itself is shown, not what was in it.
    """
    fd = os.open(upper, _DIRECTORY & ~os.O_NOFOLLOW)
    try:
        with walk.Deep():
            found = directory_changes(fd, lowers, "")
        yield from sorted(found, key=lambda change: os.fsencode(change.path))
    finally:
        os.close(fd)


def directory_changes(upper: int, lowers: list[str], path: str) -> list[Change]:
    """The changes below one directory, open as `upper`; `lowers` are the directories that it is merged with."""
    found: list[Change] = []
    names = os.listdir(upper)
    for name in names:
        try:
            found += entry_changes(upper, name, lowers, f"{path}/{name}")
        except FileNotFoundError:
            pass  # deleted meanwhile, in a container that runs
    if whiteout.is_opaque(upper):
        found += [Change("D", f"{path}/{name}") for name in lower_names(lowers) - set(names)]
    return found


def entry_changes(upper: int, name: str, lowers: list[str], path: str) -> list[Change]:
    """The change that one entry of an upper directory stands for, and those below it."""
    status = os.stat(name, dir_fd=upper, follow_symlinks=False)
    before = lower_entry(lowers, name)
    if whiteout.is_whiteout(status):
        return [Change("D", path)] if before else []
    below = []
    if stat.S_ISDIR(status.st_mode):
        directory = os.open(name, _DIRECTORY, dir_fd=upper)
        try:
            below = directory_changes(directory, lower_directories(lowers, name), path)
        finally:
            os.close(directory)
    if before is None:
        return [Change("A", path), *below]
    if (
        below
        or differs(os.lstat(before), status)
        or file_capability(before) != file_capability(_path(upper, name))
    ):
        return [Change("C", path), *below]
    return []


def differs(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether an inode changed: its kind, mode, owner or device; of all but directories also size and time."""
    if (before.st_mode, before.st_uid, before.st_gid) != (after.st_mode, after.st_uid, after.st_gid):
        return True
    if stat.S_ISDIR(after.st_mode):  # its time and size change with each entry: that shows at the entry
        return False
    return before.st_rdev != after.st_rdev or before.st_size != after.st_size or _time_differs(before, after)


def lower_entry(lowers: list[str], name: str) -> str | None:
    """The path of what an overlay of `lowers` shows as `name`; None where it shows nothing."""
    for lower in lowers:
        path = os.path.join(lower, name)
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        return None if whiteout.is_whiteout(status) else path
    return None


def lower_directories(lowers: list[str], name: str) -> list[str]:
    """The directories that an overlay of `lowers` merges as `name`: down to the first that hides the rest."""
    directories = []
    for lower in lowers:
        path = os.path.join(lower, name)
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(status.st_mode):
            break
        directories.append(path)
        if _is_opaque(path):
            break
    return directories


def lower_names(lowers: list[str]) -> set[str]:
    """The names that an overlay of `lowers` shows in a directory."""
    return {name for lower in lowers for name in os.listdir(lower) if lower_entry(lowers, name)}


def _is_opaque(path: str) -> bool:
    directory = os.open(path, _DIRECTORY)
    try:
        return whiteout.is_opaque(directory)
    finally:
        os.close(directory)


def _time_differs(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file was written to. A time of whole seconds may have come out of an archive, cut off there."""
    one, other = before.st_mtime_ns, after.st_mtime_ns
    if one % 10**9 == 0 or other % 10**9 == 0:
        return one // 10**9 != other // 10**9
    return one != other


def file_capability(path: str) -> bytes:
    """The file capabilities of a path (capabilities(7)), empty where it has none."""
    try:
        return os.getxattr(path, "security.capability", follow_symlinks=False)
    except OSError:
        return b""


def _path(directory: int, name: str) -> str:
    return f"/proc/self/fd/{directory}/{name}"
