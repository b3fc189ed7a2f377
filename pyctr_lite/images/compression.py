"""Compressed streams, known by their first bytes: gzip, zstd, bzip2, xz."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pyctr_lite import thirdparty
from pyctr_lite.errors import BrokenArchive, InvalidArgument, PyctrError

if TYPE_CHECKING:
    from pyctr_lite.rootfs.tar import Readable

MOST = 64 << 30
MOST_VARIABLE = "PYCTR_LITE_MOST_DECOMPRESSED"
"""Against bombs: 64 GiB that come out of 64 MiB."""
_MAGIC = {
    "gzip": b"\x1f\x8b\x08",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\0",
}
MEDIA_TYPE_SUFFIX = {"": "", "gzip": "+gzip", "zstd": "+zstd"}


class Peeked:
    """A stream whose first bytes were looked at and are read again."""

    def __init__(self, stream: Readable, start: bytes) -> None:
        self.stream, self._start = stream, start

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, by default a chunk; none at the end."""
        if self._start:
            size = len(self._start) if size < 0 else size
            data, self._start = self._start[:size], self._start[size:]
            return data
        return self.stream.read(size if size >= 0 else 1 << 20)


def detect(start: bytes) -> str:
    """The compression that a stream's first bytes tell: "gzip", "zstd", "bzip2", "xz", "" for none."""
    return next((name for name, magic in _MAGIC.items() if start.startswith(magic)), "")


def peek(stream: Readable) -> tuple[Peeked, str]:
    """The stream, whole, and its compression."""
    start = b""
    while len(start) < 6 and (more := stream.read(6 - len(start))):
        start += more
    return Peeked(stream, start), detect(start)


@contextlib.contextmanager
def open_decompressed(stream: Readable) -> Iterator[Readable]:
    """The plain bytes of a stream; a `Peeked` of it where it is not compressed.

    Reading fails with BrokenArchive where the compressed data is damaged or ends in the middle.
    """
    peeked, kind = peek(stream)
    if not kind:
        yield peeked
        return
    with _open(kind, peeked) as plain:
        yield _Checked(plain, kind)


@contextlib.contextmanager
def open_compressor(output: BinaryIO, kind: str) -> Iterator[BinaryIO]:
    """A file whose bytes go to `output` compressed by "gzip" or "zstd", or for "" as they are. Reproducible."""
    if kind == "":
        yield output
    elif kind == "gzip":
        import gzip

        with gzip.GzipFile("", "wb", 6, output, mtime=0) as file:
            yield cast(BinaryIO, file)
    elif kind == "zstd":
        with _zstandard().ZstdCompressor().stream_writer(output, closefd=False) as file:
            yield file
    else:
        raise InvalidArgument(f"unknown compression: {kind!r}", "It is gzip, zstd, or none.")


def _open(kind: str, stream: Peeked) -> Any:
    if kind == "zstd":
        return _zstandard().ZstdDecompressor().stream_reader(stream, read_across_frames=True)
    if kind == "gzip":
        import gzip

        return gzip.GzipFile(fileobj=cast(BinaryIO, stream), mode="rb")
    if kind == "bzip2":
        import bz2

        return bz2.BZ2File(cast(BinaryIO, stream))
    import lzma

    return lzma.LZMAFile(cast(BinaryIO, stream))


def _zstandard() -> Any:
    thirdparty.enable()
    try:
        import zstandard
    except ImportError:
        raise PyctrError(
            "this is compressed by zstd, and Python's zstandard is not installed",
            "Run `make setup`, or install python3-zstandard.",
        ) from None
    return zstandard


def most() -> int:
    """The most bytes that one stream may decompress to: MOST, or what the environment says instead."""
    given = os.environ.get(MOST_VARIABLE) or str(MOST)
    if not given.isdecimal():
        raise InvalidArgument(f"{MOST_VARIABLE}={given}: it is a number of bytes")
    return int(given)


class _Checked:
    """A decompressor whose many errors are one, and that gives out no more than `most` bytes."""

    def __init__(self, plain: Any, kind: str) -> None:
        self._plain, self._kind = plain, kind
        self._left = most()

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        data = self._decompressed(size)
        self._left -= len(data)
        if self._left < 0:
            raise BrokenArchive(
                f"{self._kind} data that is more than {most()} bytes decompressed",
                f"a decompression bomb? {MOST_VARIABLE}=BYTES in the environment sets another limit",
            )
        return data

    def _decompressed(self, size: int) -> bytes:
        try:
            data: bytes = self._plain.read(size)
        except (EOFError, ValueError, zlib.error) as error:
            raise BrokenArchive(f"damaged {self._kind} data: {error}") from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise BrokenArchive(f"damaged {self._kind} data: {error}") from error
        except Exception as error:
            if type(error).__name__ not in ("ZstdError", "LZMAError"):
                raise
            raise BrokenArchive(f"damaged {self._kind} data: {error}") from error
        return data
