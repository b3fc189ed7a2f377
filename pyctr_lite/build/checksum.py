"""The digest of what a COPY selects: for the cache, so without the times of the files.

Each path counts with its type, mode, size, content, link target and extended attributes, and for a tree that keeps
owners with its owner.
"""

from __future__ import annotations

import os
import stat

from pyctr_lite.build import remembered, tree
from pyctr_lite.commit import content
from pyctr_lite.digest import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyctr_lite.build.patterns import Exclusions
    from pyctr_lite.build.remembered import Table
    from pyctr_lite.build.tree import Entry, Tree

_CHUNK = 1 << 20


def read_digest(entry: Entry) -> bytes:
    """Read a regular file and return the digest of its content and extended attributes."""
    hasher = sha256()
    fd = entry.open()
    try:
        hasher.update(_xattrs(content.read_xattrs(fd)))
        while data := os.read(fd, min(_CHUNK, entry.status.st_size + 1)):
            hasher.update(data)
            if len(data) < _CHUNK and len(data) >= entry.status.st_size:
                break
    finally:
        os.close(fd)
    return hasher.digest()


def of_source(tree: Tree, path: str, excluded: Exclusions | None, table: Table | None) -> str:
    """Return the digest of one source of COPY, in hex. `table` has the digests of an earlier build."""
    summary = _Summary(tree.keeps_owners, table)
    tree.visit(path, summary, excluded)
    if table is not None:
        table.finish()
    return summary.hasher.hexdigest()


class _Summary(tree.Visitor):
    """A visitor that hashes what it sees: a line for each directory, and one digest for the files in it."""

    def __init__(self, owners: bool, table: Table | None) -> None:
        self._owners, self._table = owners, table
        self.hasher = sha256()

    def enter(self, path: str, status: os.stat_result, xattrs: dict[str, bytes]) -> None:
        """Hash a directory."""
        self.hasher.update(part_of_key(path, status, b"", xattrs, owners=self._owners))

    def files(self, directory: int, path: str, names: list[str]) -> None:
        """Hash the files of a directory."""
        self._add(path, lambda: tree.entries(directory, names))

    def add(self, entry: Entry, path: str) -> None:
        """Hash a source that is a file. Its name does not count: a link that was followed has none."""
        self._add(path, lambda: [entry])

    def _add(self, path: str, entries: Callable[[], Iterable[Entry]]) -> None:
        """Hash files, or take their digest from the table if nothing has changed."""
        if self._table is None:
            self.hasher.update(self._hash(entries(), {})[1])
            return
        known, digest = self._table.find(path)
        if known != remembered.NO_STAMP and known == _stamp(entries()):
            self._table.keep()
        else:
            found = self._table.files(path)
            stamp, digest, records = self._hash(entries(), found)
            self._table.write(path, stamp, digest, records)
        self.hasher.update(digest)

    def _hash(self, entries: Iterable[Entry], known: dict[bytes, bytes]) -> tuple[bytes, bytes, list[bytes]]:
        """Return the stamp of files, their digest, and the stamp and digest of each; read those not `known`."""
        stamps, hasher, records, is_recent = sha256(), sha256(), [], False
        for entry in entries:
            status = entry.status
            recent = remembered.is_recent(status)
            is_recent = is_recent or recent
            stamps.update(_stamp_of(entry))
            value = b""
            if stat.S_ISREG(status.st_mode):
                stamp = remembered.stamp(status)
                value = known.get(stamp) or read_digest(entry)
                if not recent and self._table is not None:
                    records.append(stamp + value)
            elif stat.S_ISLNK(status.st_mode):
                value = entry.link_target().encode("utf-8", "surrogateescape")
            name = entry.name if entry.directory >= 0 else ""
            hasher.update(part_of_key(name, status, value, {}, owners=self._owners))
        return remembered.NO_STAMP if is_recent else stamps.digest(), hasher.digest(), records


def part_of_key(
    path: str, status: os.stat_result, content: bytes, xattrs: dict[str, bytes], *, owners: bool
) -> bytes:
    """Return the bytes with which one entry of a COPY counts in the key of its step.

    `content` is the digest of a regular file, which may have any bytes; the target of a link; and else b"".
    `xattrs` are extended attributes. A path, or the name of an attribute, may have bytes that are not UTF-8, as
    os.fsdecode shows them, but no zero byte.
    The bytes are the same if all of this is: the path, the type and the permission bits, the content, the
    attributes in any order, the number of a device (st_rdev), and with `owners` the owner and the group. If one
    of these differs, so do the bytes. Nothing else counts: no time, no size, no place. The bytes of several
    entries follow each other in one hash, so they also show where an entry ends.
    """
    number = status.st_rdev if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode) else 0
    owner = b"%d:%d" % (status.st_uid, status.st_gid) if owners else b""
    head = (os.fsencode(path), status.st_mode, owner, number, len(content), len(xattrs))
    return b"%s\0%o\0%s\0%d\0%d\0%d\0" % head + content + _xattrs(xattrs)


def _stamp(entries: Iterable[Entry]) -> bytes:
    """Return the stamp of files: it changes with every change of one of them."""
    stamps = sha256()
    for entry in entries:
        stamps.update(_stamp_of(entry))
    return stamps.digest()


def _stamp_of(entry: Entry) -> bytes:
    name = entry.name.encode("utf-8", "surrogateescape") if entry.directory >= 0 else b""
    return b"%s\0%d\0%s" % (name, entry.status.st_mode, remembered.stamp(entry.status))


def _xattrs(xattrs: dict[str, bytes]) -> bytes:
    """Return extended attributes as bytes from which no others could have come."""
    return b"".join(
        b"%s\0%d\0%s" % (name.encode("utf-8", "surrogateescape"), len(xattrs[name]), xattrs[name])
        for name in sorted(xattrs)
    )
