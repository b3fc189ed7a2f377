"""The changes of a container: its upper directory compared with the layers below, as in `docker diff`.

The container may be running and change files meanwhile. Only names, inodes and one attribute are read, relative to
their directory's descriptor and without following links; only the store can write to the layers below.
"""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import dataclass

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import walk, whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_LONG_PATH = 4096
_MAX_LONG_PATHS = 1 << 28
"""Max characters of all paths longer than _LONG_PATH, because each change holds its whole path."""


@dataclass(frozen=True)
class Change:
    """A changed path: kind "A" for added, "C" for changed, "D" for deleted."""

    kind: str
    path: str


def changes(upper: str, lowers: list[str]) -> Iterator[Change]:
    """Yield the changes in an upper directory, sorted by path. `lowers` are top first, as in `mount_overlay`.

    A file that was copied up without a change is not reported. A directory is changed if its owner or mode is, or
    an entry in it. A deleted directory is reported without its former entries.
    Raises InvalidArgument if the paths need too much memory: a tree can be deeper than any path.
    """
    with linux.closing(os.open(upper, walk.DIRECTORY & ~os.O_NOFOLLOW)) as fd:
        yield from sorted(directory_changes(fd, lowers, ""), key=lambda change: os.fsencode(change.path))


def directory_changes(upper: int, lowers: list[str], path: str) -> list[Change]:
    """Return the changes below a directory, open as `upper`; `lowers` are the directories merged with it.

    `entry_changes` calls this for each subdirectory, but there is no recursion: the comparison calls
    `entry_changes` after it has visited the subdirectory, and this function then returns the changes found there.
    """
    ready: list[Change] | None = getattr(_ready, "changes", None)
    return _Comparison(lowers, path).changes_below(upper) if ready is None else ready


_ready = threading.local()
"""`changes` holds the changes below a visited subdirectory while `entry_changes` examines it."""


class _Comparison:
    """A comparison of an upper directory with the layers below it, whose cursors move along with the visit."""

    def __init__(self, lowers: list[str], path: str) -> None:
        flags = walk.DIRECTORY & ~os.O_NOFOLLOW
        self.merged = [walk.Cursor(os.open(lower, flags), max_open=0) for lower in lowers]
        self.path = path
        self.below: list[Change] = []
        """The changes below the directory visited last."""
        self._long_paths = 0

    def changes_below(self, upper: int) -> list[Change]:
        """Return all changes below a directory."""
        layers = self.merged
        try:
            walk.visit(os.dup(upper), self._enter)
        finally:
            for layer in layers:
                layer.close()
        return self.below

    def _enter(self, cursor: walk.Cursor) -> Iterator[str]:
        """Compare the entries of a directory, each subdirectory after its visit, for which its name is yielded."""
        merged = self.merged
        found: list[Change] = []
        names = os.listdir(cursor.fd)
        for name in names:
            try:
                is_directory = stat.S_ISDIR(os.stat(name, dir_fd=cursor.fd, follow_symlinks=False).st_mode)
                self.below = []
                if is_directory:
                    shown = lower_directories(_paths(merged), name)
                    self.merged = [layer for layer in merged if _path(layer.fd, name) in shown]
                    for layer in self.merged:
                        layer.down(name)
                    length = len(self.path)
                    self.path += f"/{name}"
                    yield name
                    self.path = self.path[:length]
                    for layer in self.merged:
                        layer.up()
                _ready.changes = self.below
                try:
                    found += entry_changes(cursor.fd, name, _paths(merged), self._full_path(name))
                finally:
                    _ready.changes = None
            except (FileNotFoundError, NotADirectoryError):
                pass  # deleted or replaced meanwhile by a running container
        if whiteout.is_opaque(cursor.fd):
            gone = sorted(lower_names(_paths(merged)) - set(names))
            found += [Change("D", f"{self.path}/{name}") for name in gone]
        self.merged, self.below = merged, found

    def _full_path(self, name: str) -> str:
        path = f"{self.path}/{name}"
        if len(path) > _LONG_PATH:
            self._long_paths += len(path)
            if self._long_paths > _MAX_LONG_PATHS:
                raise InvalidArgument(
                    f"{path[:60]}...: too deep to list: the path has {len(path)} characters",
                    "commit and export can still pack them.",
                )
        return path


def entry_changes(upper: int, name: str, lowers: list[str], path: str) -> list[Change]:
    """Return the change of one entry of an upper directory, and the changes below it.

    `upper` is the open upper directory, `lowers` are the directories merged with it, top first. `path` is the
    entry's path in the container, for the report. A file that was copied up without a change gives an empty
    list. A directory is changed if its owner or mode is, or an entry in it. A deleted directory is reported
    without its former entries.
    Raises FileNotFoundError if the entry was deleted meanwhile.
    """
    status = os.stat(name, dir_fd=upper, follow_symlinks=False)
    before = lower_entry(lowers, name)
    if whiteout.is_whiteout(status):
        return [Change("D", path)] if before else []
    below = []
    if stat.S_ISDIR(status.st_mode):
        with linux.closing(os.open(name, walk.DIRECTORY, dir_fd=upper)) as directory:
            below = directory_changes(directory, lower_directories(lowers, name), path)
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
    """Return whether an inode changed: kind, mode or owner; except for directories also device, size, time."""
    if (before.st_mode, before.st_uid, before.st_gid) != (after.st_mode, after.st_uid, after.st_gid):
        return True
    if stat.S_ISDIR(after.st_mode):  # its time and size change with each entry, which is reported itself
        return False
    return before.st_rdev != after.st_rdev or before.st_size != after.st_size or _time_differs(before, after)


def lower_entry(lowers: list[str], name: str) -> str | None:
    """Return the path of the file that an overlay of `lowers` shows as `name`, or None if it shows none.

    `lowers` are top first, and the path is `<lower>/<name>`. A symbolic link is not followed: it is the file
    shown.
    """
    for lower in lowers:
        path = os.path.join(lower, name)
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        return None if whiteout.is_whiteout(status) else path
    return None


def lower_directories(lowers: list[str], name: str) -> list[str]:
    """Return the directories that an overlay of `lowers` merges as `name`: down to one that hides the rest."""
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
    """Return the names that an overlay of `lowers` shows in a directory."""
    return {name for lower in lowers for name in os.listdir(lower) if lower_entry(lowers, name)}


def _is_opaque(path: str) -> bool:
    with linux.closing(os.open(path, walk.DIRECTORY)) as directory:
        return whiteout.is_opaque(directory)


def _time_differs(before: os.stat_result, after: os.stat_result) -> bool:
    """Return whether a file was written to. A time in whole seconds may have been truncated by an archive."""
    one, other = before.st_mtime_ns, after.st_mtime_ns
    if one % 10**9 == 0 or other % 10**9 == 0:
        return one // 10**9 != other // 10**9
    return one != other


def file_capability(path: str) -> bytes:
    """Return the file capabilities of a path (capabilities(7)), or b"" if it has none."""
    try:
        return os.getxattr(path, "security.capability", follow_symlinks=False)
    except OSError:
        return b""


def _paths(layers: list[walk.Cursor]) -> list[str]:
    """Return the layers' current directories as /proc paths, which are short at any depth."""
    return [f"/proc/self/fd/{layer.fd}" for layer in layers]


def _path(directory: int, name: str) -> str:
    return f"/proc/self/fd/{directory}/{name}"
