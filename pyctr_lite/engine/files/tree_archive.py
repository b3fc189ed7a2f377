"""A directory tree or a file as a tar stream, for `cp` and `export`: what is there, whoever changes it meanwhile.

Each inode is opened once as a place (O_PATH, no link followed), looked at, and read by that descriptor: so what
was a file when it was looked at cannot be a device or a link when it is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable

from pyctr_lite.commit import content, header, layer, stream
from pyctr_lite.rootfs import idmapped

_MOST_ZEROS = 8 << 30
_MOST_PIECES = 1 << 16
_NOBODY = 65534
"""What the kernel shows for an id that has none (/proc/sys/kernel/overflowuid)."""


class _PlainStream(stream.DigestStream):
    """Bytes in large pieces that nobody asks the digest of."""

    def flush(self) -> None:
        self.output.write(b"".join(self.pieces))
        self.size += self.waiting
        self.pieces, self.waiting = [], 0


class TreeArchive(layer.LayerWriter):
    """A tar stream in the making. `closed` are the st_dev of file systems of which only the top is taken.

    `id_range` is the first host id and how many where owners are to be those that a user namespace has for them.
    A file whose holes have more bytes than `zeros` is written as a sparse one, and so is any once the holes that
    became zeros have 8 GiB: not every reader knows sparse files, but none wants a terabyte of zeros.
    """

    whiteouts = False

    def __init__(
        self,
        output: stream.Writable,
        closed: Collection[int] = (),
        *,
        id_range: list[int] | None = None,
        zeros: int = 64 << 20,
    ) -> None:
        super().__init__(output, None)
        self.stream = _PlainStream(output)
        self.closed, self.id_range, self.zeros = closed, id_range, zeros
        self.bytes = 0
        """The bytes of the files so far."""

    def add_top(self, place: int, name: bytes) -> None:
        """Add what a descriptor (O_PATH) is of, and all below it, under a name: "." is the archive's own top."""
        status = os.fstat(place)
        if stat.S_ISDIR(status.st_mode):
            self.prefix = bytearray(name + b"/")
            self.add_tree(_opened(place))
        else:
            self.add_non_directory(place, status, name)

    def add_contents(self, place: int) -> None:
        """Add what is in a directory, without the directory."""
        directory = _opened(place)
        try:
            self.add_entries(directory, b"")
        finally:
            os.close(directory)

    def add_directory(self, directory: int) -> bool:
        """Add a directory; whether what is in it is to be added, too."""
        status = os.fstat(directory)
        self.add_header(self.path(b""), header.DIRECTORY, status, xattrs=self.xattrs(directory))
        if self.prefix == b"./":
            self.prefix.clear()
        return status.st_dev not in self.closed

    def add_file(self, fd: int, path: bytes, status: os.stat_result, xattrs: dict[str, bytes]) -> None:
        """Add a regular file."""
        self.bytes += status.st_size
        if status.st_blocks * 512 < status.st_size:
            pieces = _merged(content.data_pieces(fd, status.st_size))
            holes = status.st_size - sum(length for _, length in pieces)
            if holes > min(self.zeros, _MOST_ZEROS - self.holes):
                self._add_sparse(fd, path, status, xattrs, [*pieces, (status.st_size, 0)])
                return
            self.holes += holes
        self.add_header(path, header.REGULAR, status, size=status.st_size, xattrs=xattrs)
        self.add_data(fd, status)

    def _add_sparse(
        self,
        fd: int,
        path: bytes,
        status: os.stat_result,
        xattrs: dict[str, bytes],
        pieces: list[tuple[int, int]],
    ) -> None:
        """Add a file with its holes, in GNU tar's format 1.0 for pax archives: a map, then the data."""
        numbers = [len(pieces), *(number for piece in pieces for number in piece)]
        table = b"".join(b"%d\n" % number for number in numbers)
        table += bytes(-len(table) % header.BLOCK)
        length = len(table) + sum(length for _, length in pieces)
        directory, _, name = path.rpartition(b"/")
        uid, gid = self.owner(status)
        self.stream.write(
            header.entry_header(
                os.path.join(directory, b"GNUSparseFile.0", name),  # for a reader that does not know the format
                header.REGULAR,
                mode=stat.S_IMODE(status.st_mode),
                uid=uid,
                gid=gid,
                size=length,
                mtime=status.st_mtime_ns // 10**9,
                xattrs=xattrs,
                more={
                    b"GNU.sparse.major": b"1",
                    b"GNU.sparse.minor": b"0",
                    b"GNU.sparse.name": path,
                    b"GNU.sparse.realsize": b"%d" % status.st_size,
                },
            )
        )
        self.stream.write(table)
        for offset, size in pieces:
            self.add_range(fd, offset, offset + size)
        self.stream.write_zeros(-length % header.BLOCK)

    def owner(self, status: os.stat_result) -> tuple[int, int]:
        """The owner, or as it is seen in the user namespace, where others' files are nobody's."""
        if self.id_range is None:
            return status.st_uid, status.st_gid
        first, count = self.id_range
        uid, gid = (
            id - first if first <= id < first + count else _NOBODY for id in (status.st_uid, status.st_gid)
        )
        return uid, gid

    def xattrs(self, file: int | str) -> dict[str, bytes]:
        """The extended attributes, capabilities as they are in the user namespace."""
        xattrs, name = super().xattrs(file), "security.capability"
        if self.id_range is not None and name in xattrs:
            xattrs[name] = idmapped.capability_inside(xattrs[name], self.id_range[0])
        return xattrs


def _merged(pieces: Iterable[tuple[int, int]], least: int = 1) -> list[tuple[int, int]]:
    """Pieces of data in a file. If they are too many for a map, small holes are taken for data."""
    merged: list[tuple[int, int]] = []
    for offset, length in pieces:
        start, size = merged[-1] if merged else (0, -least)
        if offset - (start + size) < least:
            merged[-1] = (start, offset + length - start)
        else:
            merged.append((offset, length))
        if len(merged) > _MOST_PIECES:
            least *= 16
            merged = _merged(merged, least)
    return merged


def _opened(place: int) -> int:
    return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
