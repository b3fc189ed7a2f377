"""Header blocks of archive entries: ustar, with pax records for values that do not fit (POSIX.1-2008 pax)."""

from __future__ import annotations

import stat
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK = 512

REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"

NODES = {
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}
"""The types of entries without data, by kind of inode."""

# name mode uid gid size mtime checksum type linkname magic version uname gname devmajor devminor prefix
_USTAR = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x")
_MAX_7_DIGITS, _MAX_11_DIGITS = 0o7777777, 0o77777777777


def entry_header(
    name: bytes,
    type: bytes,
    *,
    mode: int,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 0,
    linkname: bytes = b"",
    device: tuple[int, int] = (0, 0),
    xattrs: Mapping[str, bytes] | None = None,
    more: Mapping[bytes, bytes] | None = None,
) -> bytes:
    """Return the blocks in front of an entry's data; `mtime` is in seconds. Equal arguments give equal bytes.

    Names are written byte for byte. User and group names are left out: in another root file system only the ids
    have a meaning. `more` are additional pax records.
    """
    records: dict[bytes, bytes] = dict(more or {})
    if len(name) > 100 or not name.isascii():
        records[b"path"] = name
    if len(linkname) > 100 or not linkname.isascii():
        records[b"linkpath"] = linkname
    for key, value, maximum in (
        (b"uid", uid, _MAX_7_DIGITS),
        (b"gid", gid, _MAX_7_DIGITS),
        (b"size", size, _MAX_11_DIGITS),
        (b"mtime", mtime, _MAX_11_DIGITS),
    ):
        if not 0 <= value <= maximum:
            records[key] = b"%d" % value
    for xattr in sorted(xattrs or ()):
        records[b"SCHILY.xattr." + _pax_key(xattr)] = (xattrs or {})[xattr]
    block = _block(name, type, mode, uid, gid, size, mtime, linkname, device)
    return _pax_header(name, records) + block if records else block


def _block(
    name: bytes,
    type: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    linkname: bytes,
    device: tuple[int, int],
) -> bytes:
    """Return a ustar block. A value that does not fit is truncated or 0; a pax record in front overrides it."""
    fields = [
        name[:100] if name.isascii() else _ascii(name)[:100],
        b"%07o" % mode,
        b"%07o" % (uid if 0 <= uid <= _MAX_7_DIGITS else 0),
        b"%07o" % (gid if 0 <= gid <= _MAX_7_DIGITS else 0),
        b"%011o" % (size if size <= _MAX_11_DIGITS else 0),
        b"%011o" % (mtime if 0 <= mtime <= _MAX_11_DIGITS else 0),
        b"        ",
        type,
        linkname[:100] if linkname.isascii() else _ascii(linkname)[:100],
        b"ustar",
        b"00",
        b"",
        b"",
        b"%07o" % device[0],
        b"%07o" % device[1],
        b"",
    ]
    checksum = sum(map(sum, fields))
    fields[6] = b"%06o\0 " % checksum
    return _USTAR.pack(*fields)


def _pax_header(name: bytes, records: Mapping[bytes, bytes]) -> bytes:
    """Return an entry of type x; the records in its data apply to the next entry."""
    data = b"".join(_record(key, value) for key, value in records.items())
    shown = b"PaxHeaders.0/" + _ascii(name.rstrip(b"/").rpartition(b"/")[2])[:80]
    return _block(shown, b"x", 0o644, 0, 0, len(data), 0, b"", (0, 0)) + data + bytes(-len(data) % BLOCK)


def _pax_key(xattr: str) -> bytes:
    """Encode the name of an extended attribute in a pax key, which ends at the first `=`, as GNU tar does."""
    return xattr.encode(errors="surrogateescape").replace(b"%", b"%25").replace(b"=", b"%3D")


def _record(key: bytes, value: bytes) -> bytes:
    """Return `LENGTH KEY=VALUE` and a newline; the length includes its own digits."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest) + 1
    while length != len(b"%d" % length) + len(rest):
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def _ascii(name: bytes) -> bytes:
    return name.decode("ascii", "replace").replace("\ufffd", "_").encode()
