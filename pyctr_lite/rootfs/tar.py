"""A reader of tar streams, entry by entry: ustar, pax and GNU (tar(5), POSIX.1-2008 pax).

Its memory does not depend on the archive: the headers before an entry (pax records, GNU long names) take at most
MAX_METADATA bytes in total, the map of a sparse file at most `sparse.MAX_MAP`, and of global headers only the
fields of an entry are kept. The work per byte is constant.

Python's `tarfile` is not used for layers: its names are text and its times are floats, it keeps every entry in
memory, accepts headers of any size, and takes four times as long per entry.
"""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import sparse, tarfield

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Readable(Protocol):
        """A stream that a layer is read from."""

        def read(self, size: int, /) -> bytes:
            """Read at most `size` bytes; b"" at the end."""
            ...


BLOCK = 512
CHUNK = 1 << 20
MAX_METADATA = 1 << 20
"""Max bytes of all pax and GNU long-name headers of one entry (Go's archive/tar allows as much per header)."""
MAX_NAME = 1 << 18
"""Max bytes of a name: enough for a directory 10,000 levels deep, whose path exceeds any system call's limit."""
MAX_XATTR_NAMES = 1 << 16
"""Max bytes of the names of one file's extended attributes (XATTR_LIST_MAX of limits.h)."""

REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_DUMPDIR = b"D"  # a directory of a GNU incremental archive; its data lists its names
_TYPES = {b"\0": REGULAR, b"7": REGULAR, b"S": REGULAR, _DUMPDIR: DIRECTORY}
_WITHOUT_DATA = frozenset((HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))
_ZEROS = bytes(BLOCK)
_FIELDS = frozenset((b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"))
_XATTR = b"SCHILY.xattr."
_MAX_SHOWN = 256  # bytes of a name in a message
_MAX_SECONDS = (1 << 63) // 10**9 - 1


class Entry:
    """The header of one entry: names are bytes, `mtime` is in ns, `size` is in bytes and includes holes."""

    __slots__ = ("device", "gid", "linkname", "mode", "mtime", "name", "pieces", "size", "type", "uid", "xattrs")

    def __init__(self) -> None:
        self.name = self.linkname = self.type = b""
        self.mode = self.uid = self.gid = self.size = self.mtime = 0
        self.device = (0, 0)
        self.xattrs: dict[str, bytes] = {}
        self.pieces: list[tuple[int, int]] | None = None
        """The (offset, length) of each piece of data of a sparse file; None for other files."""

    def __str__(self) -> str:
        name = self.name if len(self.name) <= _MAX_SHOWN else self.name[:_MAX_SHOWN] + b"..."
        return repr(name)[1:]


class TarReader:
    """An iterator over the entries of a tar stream; `data()` yields the content of the current entry."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._buffer = memoryview(b"")
        self._unread = 0  # bytes of the current entry's data
        self._padding = 0
        self._globals: dict[bytes, bytes] = {}  # only keys of _FIELDS
        self._current = "the first header"

    def __iter__(self) -> Iterator[Entry]:
        """Yield each entry. Raises BrokenArchive if the stream is not a tar archive, is damaged or truncated."""
        pax: dict[bytes, bytes] = {}
        metadata = 0
        while True:
            header = self._next_header()
            if header is None:
                if pax:
                    raise BrokenArchive("the archive is truncated: a pax header without its entry")
                return
            kind = header[156:157]
            if kind in b"xXgLKV" and kind:
                size = tarfield.number(header[124:136], "size")
                metadata += BLOCK + size
                if not 0 <= size <= MAX_METADATA or metadata > MAX_METADATA + BLOCK:
                    raise BrokenArchive(
                        f"tar headers of more than {MAX_METADATA} bytes for one entry, after {self._current}"
                    )
                content = bytes(self._read_exactly(size))
                self._read_exactly(-size % BLOCK)
                if kind == b"L":
                    pax[b"path"] = content.partition(b"\0")[0]
                elif kind == b"K":
                    pax[b"linkpath"] = content.partition(b"\0")[0]
                elif kind == b"g":
                    records = tarfield.pax_records(content)
                    self._globals |= {key: value for key, value in records.items() if key in _FIELDS}
                elif kind != b"V":
                    pax.update(tarfield.pax_records(content))
                continue
            entry = _entry(header, {**self._globals, **pax} if self._globals else pax)
            entry_pax, pax, metadata = pax, {}, 0
            self._current = str(entry)
            self._unread = 0 if entry.type in _WITHOUT_DATA and kind != _DUMPDIR else entry.size
            self._padding = -self._unread % BLOCK
            if kind == b"S":
                entry.pieces, entry.size = sparse.gnu_map(header, lambda: bytes(self._read_exactly(BLOCK)))
            elif entry_pax and any(key.startswith(b"GNU.sparse.") for key in entry_pax):
                self._read_sparse_map(entry, entry_pax)
                self._current = str(entry)
            if entry.pieces is not None:
                sparse.check(entry.pieces, entry.size, self._unread)
            yield entry

    def data(self) -> Iterator[memoryview]:
        """Yield the data of the current entry in pieces, without the holes of a sparse file."""
        while self._unread:
            piece = self._read_some(self._unread)
            self._unread -= len(piece)
            yield piece

    def drain(self) -> None:
        """Read the rest of the stream after the archive's end, so that a digest of the stream covers all of it."""
        self._buffer = memoryview(b"")
        while self._stream.read(CHUNK):
            pass

    def _next_header(self) -> bytes | None:
        for _ in self.data():
            pass
        self._read_exactly(self._padding)
        self._padding = 0
        if not self._buffer and not self._fill():
            return None
        header = bytes(self._read_exactly(BLOCK))
        if header == _ZEROS:
            return None
        stored = tarfield.number(header[148:156], "checksum")
        total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
        if stored != total and stored != total - 256 * sum(byte > 127 for byte in header):
            raise BrokenArchive(f"not a tar archive, or damaged: wrong header checksum after {self._current}")
        return header

    def _read_sparse_map(self, entry: Entry, pax: dict[bytes, bytes]) -> None:
        """Read the map of a pax sparse file, which may be in the first blocks of its data."""

        def next_block() -> bytes:
            if self._unread < BLOCK:
                raise BrokenArchive(f"{entry}: broken sparse map")
            self._unread -= BLOCK
            return bytes(self._read_exactly(BLOCK))

        entry.pieces, entry.size, name = sparse.pax_map(pax, next_block)
        entry.name = name or entry.name

    def _read_exactly(self, size: int) -> memoryview:
        """Read exactly `size` bytes."""
        if len(self._buffer) >= size:
            taken, self._buffer = self._buffer[:size], self._buffer[size:]
            return taken
        parts = []
        while size:
            parts.append(self._read_some(size))
            size -= len(parts[-1])
        return memoryview(b"".join(parts))

    def _read_some(self, max_size: int) -> memoryview:
        if not self._buffer and not self._fill():
            raise BrokenArchive(f"the archive is truncated: unexpected end of data in {self._current}")
        taken, self._buffer = self._buffer[:max_size], self._buffer[max_size:]
        return taken

    def _fill(self) -> bool:
        self._buffer = memoryview(self._stream.read(CHUNK))
        return bool(self._buffer)


def _entry(block: bytes, pax: dict[bytes, bytes]) -> Entry:
    entry = Entry()
    entry.name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and block[345]:
        entry.name = block[345:500].partition(b"\0")[0] + b"/" + entry.name
    entry.linkname = block[157:257].partition(b"\0")[0]
    kind = block[156:157]
    entry.mode = tarfield.number(block[100:108], "mode") & 0o7777
    entry.uid, entry.gid = tarfield.number(block[108:116], "uid"), tarfield.number(block[116:124], "gid")
    entry.size = tarfield.number(block[124:136], "size")
    entry.mtime = tarfield.number(block[136:148], "mtime") * 10**9
    if kind in (CHARACTER, BLOCK_DEVICE):
        entry.device = (tarfield.number(block[329:337], "device"), tarfield.number(block[337:345], "device"))
    if pax:
        _apply_pax(entry, pax)
    entry.type = _TYPES.get(kind, kind)
    if entry.type == REGULAR and kind != b"S" and entry.name.endswith(b"/"):
        entry.type = DIRECTORY  # tar of Unix version 7 had no type for directories
    if entry.type != REGULAR and entry.type not in _WITHOUT_DATA:
        raise BrokenArchive(f"{entry}: unknown entry type {kind!r}")
    if len(entry.name) > MAX_NAME or len(entry.linkname) > MAX_NAME:
        raise BrokenArchive(f"{entry.name[:40]!r}…: a name of more than {MAX_NAME} bytes")
    if entry.size < 0 or not (0 <= entry.uid < 0xFFFFFFFF and 0 <= entry.gid < 0xFFFFFFFF):
        raise BrokenArchive(f"{entry}: size {entry.size}, owner {entry.uid}:{entry.gid} is out of range")
    entry.mtime = max(-_MAX_SECONDS * 10**9, min(entry.mtime, _MAX_SECONDS * 10**9))
    return entry


def _apply_pax(entry: Entry, pax: dict[bytes, bytes]) -> None:
    names = 0
    for key, value in pax.items():
        if key.startswith(_XATTR):
            names += len(key) - len(_XATTR) + 1
            if names > MAX_XATTR_NAMES:
                raise BrokenArchive(
                    f"{entry}: extended attributes with more than {MAX_XATTR_NAMES} bytes of names"
                )
            entry.xattrs[tarfield.xattr_name(key[len(_XATTR) :])] = value
        elif not value:
            continue  # an empty value deletes a record
        elif key == b"path":
            entry.name = value
        elif key == b"linkpath":
            entry.linkname = value
        elif key in (b"size", b"uid", b"gid"):
            setattr(entry, key.decode(), tarfield.decimal(value, key))
        elif key == b"mtime":
            entry.mtime = tarfield.nanoseconds(value)
    if b"\0" in entry.name or b"\0" in entry.linkname:
        raise BrokenArchive(f"{entry}: a NUL in a name")
