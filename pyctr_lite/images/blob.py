"""Blobs: written with their digest, read with it checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from pyctr_lite.errors import BrokenArchive

if TYPE_CHECKING:
    from pyctr_lite.rootfs.tar import Readable

CHUNK = 1 << 20


class BlobWriter:
    """A new file that takes a blob's bytes; after `close` it has `digest` and `size` (bytes)."""

    def __init__(self, path: str) -> None:
        self.path, self.digest, self.size = path, "", 0
        self._hash = hashlib.sha256()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append; every byte is written, or OSError (ENOSPC) is raised."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        left = view
        while left:
            left = left[os.write(self._fd, left) :]
        self.size += len(view)
        return len(view)

    def close(self) -> None:
        """Finish: `digest` is known from here on."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self.digest = f"sha256:{self._hash.hexdigest()}"

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class HashingReader:
    """A stream with a digest of what was read of it, and a copy of that where one is wanted.

    The one place through which every byte of every layer comes, compressed or not: `limit` (bytes) is the most
    that it lets through, above it BrokenArchive.
    """

    def __init__(self, stream: Readable, copy: BlobWriter | None = None, limit: int | None = None) -> None:
        self._stream, self._copy, self._limit = stream, copy, limit
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, by default a chunk of 1 MiB; none at the end."""
        data = self._stream.read(CHUNK if size < 0 else size)
        self.size += len(data)
        if self._limit is not None and self.size > self._limit:
            raise BrokenArchive(f"more than {self._limit} bytes")
        self._hash.update(data)
        if self._copy is not None:
            self._copy.write(data)
        return data

    def drain(self) -> None:
        """Read to the end."""
        while self.read(CHUNK):
            pass

    @property
    def digest(self) -> str:
        """Of what was read so far."""
        return f"sha256:{self._hash.hexdigest()}"


def read_verified(path: str, digest: str, size: int | None = None) -> Iterator[bytes]:
    """A blob in chunks. Fails with BrokenArchive at its end where it is not what its digest says."""
    with open_blob(path, digest) as file:
        reader = HashingReader(file)
        while chunk := reader.read(CHUNK):
            yield chunk
    check(digest, reader.digest, f"blob {digest}")


def open_blob(path: str, digest: str) -> BinaryIO:
    """Open a blob for reading. Fails with BrokenArchive where the store has lost it."""
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        raise BrokenArchive(f"the image store lacks blob {digest}", "Load or import the image again.") from None


def check(expected: str, found: str, what: str) -> None:
    """Fail with BrokenArchive where two digests differ."""
    if expected != found:
        raise BrokenArchive(f"wrong digest: {what} is {found}, not {expected}", "The archive or store is damaged.")
