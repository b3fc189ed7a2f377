"""Compressed streams, recognized by their first bytes: gzip, zstd, bzip2, xz, each of any number of parts.

A stream decompresses to at most `max_decompressed` bytes, and uses at most MAX_MEMORY, whatever its header
requests.
"""

from __future__ import annotations

import contextlib
import os
import zlib

from pyctr_lite import thirdparty
from pyctr_lite.errors import BrokenArchive, InvalidArgument, PyctrError
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from pyctr_lite.rootfs.tar import Readable

MAX_DECOMPRESSED = 64 << 30
MAX_VARIABLE = "PYCTR_LITE_MAX_DECOMPRESSED"
"""Against decompression bombs: 64 GiB from 64 MiB."""
_MAGIC = {
    "gzip": b"\x1f\x8b\x08",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\0",
}
_SKIPPABLE = b"\x2a\x4d\x18"
"""After a first byte of 0x50 to 0x5f: a skippable frame of zstd (RFC 8878, 3.1.2); pzstd writes one first."""
_UNSUPPORTED = {
    "lz4": b"\x04\x22\x4d\x18",
    "lzip": b"LZIP\1",
    "lzop": b"\x89LZO\0",
    "compress": b"\x1f\x9d",
    "lzma": b"\x5d\0\0\x80\0\xff",
    "zip": b"PK\x03\x04",
    "7-Zip": b"7z\xbc\xaf\x27\x1c",
}
"""Docker and podman do not support these either."""
MAX_MEMORY = 256 << 20
"""Bytes. `xz -9` needs 65 MiB; a header can request 4 GiB."""
_CHUNK = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS
"""A member of a gzip file, with header and checksum."""
MEDIA_TYPE_SUFFIX = {"": "", "gzip": "+gzip", "zstd": "+zstd"}


class Peeked:
    """A stream whose first bytes, already read, are read again."""

    def __init__(self, stream: Readable, start: bytes) -> None:
        self.stream, self._start = stream, start
        self.start = start

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, by default a chunk; no bytes at the end."""
        if self._start:
            size = len(self._start) if size < 0 else size
            data, self._start = self._start[:size], self._start[size:]
            return data
        return self.stream.read(size if size >= 0 else 1 << 20)


def detect(start: bytes) -> str:
    """Return the compression of a stream by its first 6 bytes: "gzip", "zstd", "bzip2", "xz", "" for none."""
    if start[1:4] == _SKIPPABLE and start[0] >> 4 == 5:
        return "zstd"
    return next((name for name, magic in _MAGIC.items() if start.startswith(magic)), "")


def peek(stream: Readable) -> tuple[Peeked, str]:
    """Return the whole stream and its compression."""
    start = b""
    while len(start) < 6 and (more := stream.read(6 - len(start))):
        start += more
    return Peeked(stream, start), detect(start)


@contextlib.contextmanager
def open_decompressed(stream: Readable) -> Iterator[Readable]:
    """Yield the decompressed stream; a `Peeked` if it is not compressed.

    Raises BrokenArchive if the compression is not supported. Reading raises BrokenArchive if the compressed data
    is damaged or truncated.
    """
    peeked, kind = peek(stream)
    if not kind:
        for name, magic in _UNSUPPORTED.items():
            if peeked.start.startswith(magic):
                raise BrokenArchive(
                    f"the archive is compressed by {name}, which is not supported",
                    "decompress it first, or compress it by gzip, zstd, bzip2 or xz",
                )
        yield peeked
        return
    with _open(kind, peeked) as plain:
        yield _Checked(plain, kind)


@contextlib.contextmanager
def open_compressor(output: BinaryIO, kind: str) -> Iterator[BinaryIO]:
    """Yield a file that writes to `output`, compressed by "gzip" or "zstd", or for "" unchanged. Reproducible."""
    if kind == "":
        yield output
    elif kind == "gzip":
        import gzip

        zipped: Any = gzip.GzipFile("", "wb", 6, output, mtime=0)
        with zipped:
            yield zipped
    elif kind == "zstd":
        with _zstandard().ZstdCompressor().stream_writer(output, closefd=False) as file:
            yield file
    else:
        raise InvalidArgument(f"unknown compression: {kind!r}", "use gzip, zstd, or none")


def _open(kind: str, stream: Peeked) -> Any:
    if kind == "zstd":
        return _zstandard().ZstdDecompressor().stream_reader(stream, read_across_frames=True)
    if kind == "gzip":
        return contextlib.nullcontext(_Gzip(stream))
    if kind == "bzip2":
        import bz2

        compressed: Any = stream
        return bz2.BZ2File(compressed)
    return contextlib.nullcontext(_Xz(stream))


class _Gzip:
    """The concatenated members of a gzip file, with padding zeros between and after them (RFC 1952, 2.2).

    `gzip.GzipFile` reads 8 KiB at a time, and by zlib: with both the unpacking of a layer took twice as long.
    """

    def __init__(self, stream: Peeked) -> None:
        self._stream, self._input = stream, b""
        self._part = _inflate()

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; no bytes at the end."""
        while True:
            if self._part.eof:
                self._input = self._part.unused_data.lstrip(b"\0")
                while not self._input and (more := self._stream.read(_CHUNK)):
                    self._input = more.lstrip(b"\0")
                if not self._input:
                    return b""
                self._part = _inflate()
            if not self._input:
                self._input = self._stream.read(_CHUNK)
                if not self._input:
                    raise EOFError("it ends in the middle")
            data: bytes = self._part.decompress(self._input, size)
            self._input = self._part.unconsumed_tail
            if data:
                return data


class _Xz:
    """The concatenated streams of an xz file, with padding zeros between and after them (xz(5), 2)."""

    def __init__(self, stream: Peeked) -> None:
        self._stream, self._input = stream, b""
        self._start()

    def _start(self) -> None:
        import lzma

        self._part = lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_MEMORY)

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; no bytes at the end."""
        while True:
            if self._part.eof:
                self._input = (self._part.unused_data or self._input).lstrip(b"\0")
                while not self._input and (more := self._stream.read(_CHUNK)):
                    self._input = more.lstrip(b"\0")
                if not self._input:
                    return b""
                self._start()
            if self._part.needs_input and not self._input:
                self._input = self._stream.read(_CHUNK)
                if not self._input:
                    raise EOFError("it ends in the middle")
            data, self._input = self._part.decompress(self._input, size), b""
            if data:
                return data


def _inflate() -> Any:
    """Return a decompressor of one gzip member: ISA-L's, which is twice as fast as zlib's, if it is installed."""
    thirdparty.enable()
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.decompressobj(_GZIP)
    return isal_zlib.decompressobj(_GZIP)


def _zstandard() -> Any:
    thirdparty.enable()
    try:
        import zstandard
    except ImportError:
        raise PyctrError(
            "the archive is compressed by zstd, and Python's zstandard is not installed",
            "run `make setup`, or install python3-zstandard",
        ) from None
    return zstandard


def max_decompressed() -> int:
    """Return the maximum size of one decompressed stream in bytes: from the environment, else MAX_DECOMPRESSED."""
    given = os.environ.get(MAX_VARIABLE) or str(MAX_DECOMPRESSED)
    if not number.is_whole(given):
        raise InvalidArgument(f"{MAX_VARIABLE}={given}: must be a number of bytes")
    return int(given)


class _Checked:
    """A decompressor that raises only BrokenArchive, and returns at most `max_decompressed` bytes."""

    def __init__(self, plain: Any, kind: str) -> None:
        self._plain, self._kind = plain, kind
        self._remaining = max_decompressed()

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; no bytes at the end."""
        data = self._decompress(size)
        self._remaining -= len(data)
        if self._remaining < 0:
            raise BrokenArchive(
                f"{self._kind} data of more than {max_decompressed()} bytes decompressed",
                f"a decompression bomb? {MAX_VARIABLE}=BYTES in the environment sets another limit",
            )
        return data

    def _decompress(self, size: int) -> bytes:
        try:
            data: bytes = self._plain.read(size)
        except (EOFError, ValueError, zlib.error) as error:
            raise BrokenArchive(f"damaged {self._kind} data: {error}") from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise BrokenArchive(f"damaged {self._kind} data: {error}") from error
        except Exception as error:
            if type(error).__name__ not in ("ZstdError", "LZMAError", "IsalError"):
                raise
            raise BrokenArchive(f"damaged {self._kind} data: {error}") from error
        return data
