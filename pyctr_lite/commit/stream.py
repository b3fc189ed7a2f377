"""A byte stream that is counted and hashed while it is written (OCI image-spec descriptor.md, Digests)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)


class Writable(Protocol):
    """A stream that a layer can be written to."""

    def write(self, data: bytes, /) -> object:
        """Write all of the data."""
        ...


@dataclass(frozen=True)
class LayerDigest:
    """`diff_id` is the digest of the uncompressed tar stream ("sha256:…"), `size` its bytes."""

    diff_id: str
    size: int


class DigestStream:
    """A buffered stream to `output` that counts and hashes its bytes."""

    def __init__(self, output: Writable) -> None:
        self.output = output
        self.sha256 = hashlib.sha256()
        self.size = 0
        self.pieces: list[bytes] = []
        self.waiting = 0

    def write(self, data: bytes) -> None:
        """Buffer a piece, and flush if the buffer is full."""
        self.pieces.append(data)
        self.waiting += len(data)
        if self.waiting >= _CHUNK:
            self.flush()

    def write_zeros(self, count: int) -> None:
        """Write `count` zeros."""
        while count > 0:
            self.write(_ZEROS if count >= _CHUNK else bytes(count))
            count -= _CHUNK

    def flush(self) -> None:
        """Hash and write the buffered bytes."""
        data = b"".join(self.pieces)
        self.sha256.update(data)
        self.output.write(data)
        self.size += len(data)
        self.pieces, self.waiting = [], 0

    def finish(self) -> LayerDigest:
        """Flush, and return the digest of all bytes written."""
        self.flush()
        return LayerDigest("sha256:" + self.sha256.hexdigest(), self.size)
