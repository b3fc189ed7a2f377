"""Blobs: files named by their digest, which is computed on writing and checked on reading."""

from __future__ import annotations

import os

from pyctr_lite.digest import sha256_of_blob
from pyctr_lite.errors import BrokenArchive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from pyctr_lite.rootfs.tar import Readable

CHUNK = 1 << 20


class BlobWriter:
    """A new file for a blob's bytes; after `close` it has `digest` and `size` (bytes)."""

    def __init__(self, path: str) -> None:
        self.path, self.digest, self.size = path, "", 0
        self._hash = sha256_of_blob()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append all bytes. Fails with ENOSPC."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        rest = view
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self.size += len(view)
        return len(view)

    def close(self) -> None:
        """Close the file and set `digest`. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self.digest = f"sha256:{self._hash.hexdigest()}"

    def open(self) -> BinaryIO:
        """Open the complete file for reading."""
        return open(self.path, "rb", buffering=0)

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class HashingReader:
    """A stream with the digest of the bytes that were read, and optionally a copy of them.

    Every byte of every layer, compressed or not, passes through here. `limit` is the maximum number of bytes; more
    raise BrokenArchive.
    """

    def __init__(self, stream: Readable, copy: BlobWriter | None = None, limit: int | None = None) -> None:
        self._stream, self._copy, self._limit = stream, copy, limit
        self._hash = sha256_of_blob()
        self.size = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, by default a chunk of 1 MiB; no bytes at the end."""
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
        """The digest of the bytes that were read so far."""
        return f"sha256:{self._hash.hexdigest()}"


def verify(path: str, digest: str) -> None:
    """Read a blob and check its digest. Raises BrokenArchive if it does not match, or the blob is missing."""
    with open_blob(path, digest) as file:
        reader = HashingReader(file)
        reader.drain()
    check(digest, reader.digest, f"blob {digest}")


def open_blob(path: str, digest: str) -> BinaryIO:
    """Open a blob for reading. Raises BrokenArchive if the store lacks it."""
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        raise BrokenArchive(f"the image store lacks blob {digest}", "load or import the image again") from None


def check(expected: str, found: str, name: str) -> None:
    """Raise BrokenArchive, with the object's name, if two digests differ."""
    if expected != found:
        raise BrokenArchive(
            f"wrong digest: {name} is {found}, not {expected}", "the archive or the store is damaged"
        )


def lie(name: str, found: str, wanted: object) -> BrokenArchive:
    """Return the error for bytes of a registry that are not the promised ones."""
    return BrokenArchive(
        f"{name} failed verification: {found}, not {wanted}", "the registry, or something before it, changed it"
    )
