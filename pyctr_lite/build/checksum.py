"""The digest of what a COPY selects: for the cache, so without the times of the files.

Each path counts with its type, mode, size, content, link target and extended attributes, and for a tree that keeps
owners with its owner. An unchanged file of the context is not read again: a table remembers the digest of each
file by size, times and inode, as git's index does.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, Any

from pyctr_lite import jsonfile
from pyctr_lite.commit import content
from pyctr_lite.digest import sha256

if TYPE_CHECKING:
    from pyctr_lite.build.patterns import Exclusions
    from pyctr_lite.build.tree import Entry, Tree

_CHUNK = 1 << 20
_RACY = 10**9 // 4
"""Nanoseconds: a file that was changed so recently can change again without another time."""


class Table:
    """The remembered digests of one context, in a JSON file: path → [size, mtime, ctime, inode, digest]."""

    def __init__(self, path: str) -> None:
        self._path, self._changed = path, False
        try:
            self._known: dict[str, Any] = jsonfile.read(path)
        except (FileNotFoundError, ValueError):
            self._known = {}

    def digest(self, path: str, entry: Entry) -> str:
        """Return the digest of a regular file's content and extended attributes."""
        status = entry.status
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        known = self._known.get(path)
        if isinstance(known, list) and known[:4] == stamp:
            return str(known[4])
        found = read_digest(entry)  # a change of an attribute changes the ctime, too
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _RACY:
            self._known[path] = [*stamp, found]
            self._changed = True
        return found

    def save(self) -> None:
        """Write the table if it has changed."""
        if self._changed:
            os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
            jsonfile.write(self._path, self._known)
            self._changed = False


def read_digest(entry: Entry) -> str:
    """Read a regular file and return the digest of its content and extended attributes, in hex."""
    hasher = sha256()
    fd = entry.open()
    try:
        hasher.update(_xattrs(content.read_xattrs(fd)))
        while data := os.read(fd, _CHUNK):
            hasher.update(data)
            if len(data) < _CHUNK and len(data) >= entry.status.st_size:
                break
    finally:
        os.close(fd)
    return hasher.hexdigest()


def of_source(tree: Tree, path: str, excluded: Exclusions | None, table: Table | None) -> str:
    """Return the digest of one source of COPY, in hex."""
    summary = _Summary(tree.keeps_owners, path, table)
    tree.visit(path, summary, excluded)
    return summary.hasher.hexdigest()


class _Summary:
    """A visitor that hashes what it sees."""

    def __init__(self, owners: bool, prefix: str, table: Table | None) -> None:
        self._owners, self._prefix, self._table = owners, prefix, table
        self.hasher = sha256()

    def enter(self, path: str, status: os.stat_result, xattrs: dict[str, bytes]) -> None:
        """Hash a directory."""
        self._line(path, status, "", xattrs)

    def leave(self) -> None:
        """Do nothing: the paths say where a directory ends."""

    def add(self, entry: Entry, path: str) -> None:
        """Hash anything but a directory."""
        mode, value = entry.status.st_mode, ""
        if stat.S_ISREG(mode):
            if self._table is None:
                value = read_digest(entry)
            else:
                value = self._table.digest(f"{self._prefix}/{path}", entry)
        elif stat.S_ISLNK(mode):
            value = entry.link_target()
        elif stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            value = str(entry.status.st_rdev)
        self._line(path, entry.status, value, {})

    def _line(self, path: str, status: os.stat_result, value: str, xattrs: dict[str, bytes]) -> None:
        owner = f"{status.st_uid}:{status.st_gid}" if self._owners else ""
        text = f"{path}\0{status.st_mode:o}\0{owner}\0{value}\0"
        self.hasher.update(text.encode("utf-8", "surrogateescape") + _xattrs(xattrs))


def _xattrs(xattrs: dict[str, bytes]) -> bytes:
    """Return extended attributes as bytes from which no others could have come."""
    return b"".join(
        b"%s\0%d\0%s" % (name.encode("utf-8", "surrogateescape"), len(xattrs[name]), xattrs[name])
        for name in sorted(xattrs)
    )
