"""The remembered digests of a context's files: an unchanged file is not read again, as with git's index.

There is a table for each source of a COPY. It has a record for each directory, in the order of a visit: the stamp
of its files and the digest of them all, and then the stamp and the digest of each file. A build reads the table
from its begin to its end, beside the visit, and writes the next one: neither is ever in memory as a whole. A
directory whose stamp is the same costs one comparison.

    header: length of the path, number of files, stamp, digest | path | stamp, digest of a file | …
"""

from __future__ import annotations

import os
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_MAGIC = b"pyctr_lite digests 1\n"
_HEADER = struct.Struct("<II32s32s")
_FILE = struct.Struct("<qqqQ32s")
_STAMP = _FILE.size - 32
NO_STAMP = bytes(32)
"""The stamp of a directory that is never equal to another: one of its files has just been changed."""
_RACY = 10**9 // 4
"""Nanoseconds: a file that was changed so recently can change again without another time."""
_MAX_AGE = 30 * 86400
"""Seconds without use after which a table is removed."""


def stamp(status: os.stat_result) -> bytes:
    """Return a regular file's size, times and inode as bytes: another content has another stamp."""
    return _FILE.pack(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, b"")[:_STAMP]


def is_recent(status: os.stat_result) -> bool:
    """Return whether a file can change again without a change of its stamp."""
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) <= _RACY


class Table:
    """The table of one source in the file `path`. `temporary` returns a path for the next one, to be renamed.

    `find` is called for each directory in the order of a visit, then `keep` or `write`; at the end `finish`.
    """

    def __init__(self, path: str, temporary: Callable[[], str]) -> None:
        self._path, self._temporary = path, temporary
        self._new: BinaryIO | None = None
        self._old: BinaryIO | None = None
        try:
            self._old = open(path, "rb", buffering=1 << 16)  # noqa: SIM115
        except FileNotFoundError:
            pass
        self._start = 0
        """Where the current record of the old table begins."""
        self._next: tuple[list[str], bytes, bytes, int] | None = None
        """The record of the old table that comes next: the names in its path, stamp, digest, number of files."""
        if self._old is not None and self._old.read(len(_MAGIC)) == _MAGIC:
            self._advance()

    def _advance(self) -> None:
        """Read the next header of the old table. A damaged table ends there."""
        assert self._old is not None
        self._next, self._start = None, self._old.tell()
        header = self._old.read(_HEADER.size)
        if len(header) == _HEADER.size:
            length, count, stamp, digest = _HEADER.unpack(header)
            path = self._old.read(length)
            if len(path) == length:
                self._next = (_names(path.decode("utf-8", "surrogateescape")), stamp, digest, count)

    def _skip(self) -> None:
        """Leave the current record out of the new table."""
        assert self._old is not None
        assert self._next is not None
        self._begin()
        self._old.seek(self._next[3] * _FILE.size, os.SEEK_CUR)
        self._advance()

    def _begin(self) -> BinaryIO:
        """Begin the new table with what is kept so far. Idempotent."""
        if self._new is None:
            self._new = open(self._temporary(), "xb", buffering=1 << 16)  # noqa: SIM115
            if self._old is None or not self._start:
                self._new.write(_MAGIC)
            else:
                position = self._old.tell()
                self._old.seek(0)
                self._copy(self._start)
                self._old.seek(position)
        return self._new

    def _copy(self, size: int) -> None:
        assert self._old is not None
        assert self._new is not None
        while size and (data := self._old.read(min(size, 1 << 16))):
            self._new.write(data)
            size -= len(data)

    def find(self, path: str) -> tuple[bytes, bytes]:
        """Move to the record of a directory; return its stamp and digest, `NO_STAMP` if there is none."""
        names = _names(path)
        while self._next is not None and self._next[0] < names:
            self._skip()
        if self._next is not None and self._next[0] == names:
            return self._next[1], self._next[2]
        return NO_STAMP, b""

    def keep(self) -> None:
        """Take the record that `find` has found into the new table."""
        assert self._old is not None
        assert self._next is not None
        size = self._next[3] * _FILE.size
        if self._new is None:
            self._old.seek(size, os.SEEK_CUR)
        else:
            position = self._old.tell()
            self._old.seek(self._start)
            self._copy(position - self._start + size)
        self._advance()

    def files(self, path: str) -> dict[bytes, bytes]:
        """Return the digests of the files in the record that `find` has found, by their stamps."""
        if self._next is None or self._next[0] != _names(path):
            return {}
        assert self._old is not None
        self._begin()
        data = self._old.read(self._next[3] * _FILE.size)
        data = data[: len(data) // _FILE.size * _FILE.size]
        self._advance()
        return {
            data[start : start + _STAMP]: data[start + _STAMP : start + _FILE.size]
            for start in range(0, len(data), _FILE.size)
        }

    def write(self, path: str, stamp: bytes, digest: bytes, files: list[bytes]) -> None:
        """Write the record of a directory. `files` has the stamp with the digest of each file."""
        encoded = path.encode("utf-8", "surrogateescape")
        new = self._begin()
        new.write(_HEADER.pack(len(encoded), len(files), stamp, digest) + encoded)
        new.writelines(files)

    def finish(self) -> None:
        """Put the new table in the place of the old one if they differ."""
        while self._next is not None:
            self._skip()
        if self._new is None:
            if self._old is not None:
                os.utime(self._path)
            return
        name = self._new.name
        self._new.close()
        os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
        os.rename(name, self._path)
        _remove_old(os.path.dirname(self._path))

    def close(self) -> None:
        """Close the files."""
        for file in (self._old, self._new):
            if file is not None:
                file.close()


def _names(path: str) -> list[str]:
    return path.split("/") if path else []


def _remove_old(directory: str) -> None:
    """Remove the tables of a directory that no build uses any more."""
    with os.scandir(directory) as found:
        for entry in found:
            try:
                if entry.stat().st_mtime < time.time() - _MAX_AGE:
                    os.unlink(entry.path)
            except FileNotFoundError:
                pass
