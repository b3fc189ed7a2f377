"""Pack a directory tree or a file as a tar stream, for `cp` and `export`, while the container may change it.

Each inode is opened once with O_PATH, without following links, and then checked and read by that descriptor. So a
file that passed the check cannot be replaced by a device or a link before it is read.
"""

from __future__ import annotations

import os
import stat

from pyctr_lite.commit import content, header, layer, stream
from pyctr_lite.rootfs import idmapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any

_MAX_ZEROS = 8 << 30
_MAX_PIECES = 1 << 16
_NOBODY = 65534
"""The id that the kernel shows for unmapped ids (/proc/sys/kernel/overflowuid)."""


class _PlainStream(stream.DigestStream):
    """A buffered stream without a digest."""

    def flush(self) -> None:
        self.output.write(b"".join(self.pieces))
        self.size += self.waiting
        self.pieces, self.waiting = [], 0


class TreeArchive(layer.LayerWriter):
    """A writer of a tar stream. Of file systems whose st_dev is in `excluded`, only the top directory is added.

    `id_range` is the host id range of a user namespace: owners are then written as seen in it. A file becomes a
    sparse entry if its holes have more than `zeros` bytes, or if the holes written as zeros would exceed 8 GiB in
    total: not every reader knows sparse entries, but no reader wants a terabyte of zeros.
    """

    whiteouts = False

    def __init__(
        self,
        output: stream.Writable,
        excluded: Collection[int] = (),
        *,
        id_range: list[int] | None = None,
        zeros: int = 64 << 20,
    ) -> None:
        super().__init__(output, None)
        self.stream = _PlainStream(output)
        self.excluded, self.id_range, self.zeros = excluded, id_range, zeros
        self.bytes = 0
        """The number of bytes of the files so far."""

    def add_top(self, path_fd: int, name: bytes) -> None:
        """Add a file or a directory with its contents under a name; "." is the top of the archive.

        `path_fd` is its descriptor (O_PATH).
        """
        status = os.fstat(path_fd)
        if stat.S_ISDIR(status.st_mode):
            self.prefix = bytearray(name + b"/")
            self.add_tree(_open_directory(path_fd))
        else:
            self.add_non_directory(path_fd, status, name)

    def add_contents(self, path_fd: int) -> None:
        """Add the contents of a directory, without the directory itself."""
        directory = _open_directory(path_fd)
        try:
            self.add_entries(directory, b"")
        finally:
            os.close(directory)

    def add_directory(self, directory: int) -> bool:
        """Add a directory, and return whether to add its contents."""
        status = os.fstat(directory)
        self.add_header(self.path(b""), header.DIRECTORY, status, xattrs=self.xattrs(directory))
        if self.prefix == b"./":
            self.prefix.clear()
        return status.st_dev not in self.excluded

    def add_file(self, fd: int, path: bytes, status: os.stat_result, xattrs: dict[str, bytes]) -> None:
        """Add a regular file."""
        self.bytes += status.st_size
        if status.st_blocks * 512 < status.st_size:
            pieces = _merged(content.data_pieces(fd, status.st_size))
            holes = status.st_size - sum(length for _, length in pieces)
            if holes > min(self.zeros, _MAX_ZEROS - self.holes):
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
        """Add a file as a sparse entry, in GNU tar's format 1.0 for pax archives: a map, then the data."""
        numbers = [len(pieces), *(number for piece in pieces for number in piece)]
        table = b"".join(b"%d\n" % number for number in numbers)
        table += bytes(-len(table) % header.BLOCK)
        length = len(table) + sum(length for _, length in pieces)
        directory, _, name = path.rpartition(b"/")
        uid, gid = self.owner(status)
        self.stream.write(
            header.entry_header(
                os.path.join(directory, b"GNUSparseFile.0", name),  # readers without the format unpack this name
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

    def add_header(self, path: bytes, type: bytes, status: os.stat_result, **more: Any) -> None:
        """Write the header of an inode, with its owner as seen in the user namespace."""
        if self.id_range is not None:
            members = [*status[:4], *self.owner(status), *status[6:10]]
            status = os.stat_result(members, {"st_mtime_ns": status.st_mtime_ns})
        super().add_header(path, type, status, **more)

    def owner(self, status: os.stat_result) -> tuple[int, int]:
        """Return the owner, as seen in the user namespace: ids outside the range become nobody."""
        if self.id_range is None:
            return status.st_uid, status.st_gid
        first, count = self.id_range
        uid, gid = (
            id - first if first <= id < first + count else _NOBODY for id in (status.st_uid, status.st_gid)
        )
        return uid, gid

    def xattrs(self, file: int | str) -> dict[str, bytes]:
        """Return the extended attributes, with file capabilities as seen in the user namespace."""
        xattrs, name = super().xattrs(file), "security.capability"
        if self.id_range is not None and name in xattrs:
            xattrs[name] = idmapped.capability_inside(xattrs[name], self.id_range[0])
        return xattrs


def _merged(pieces: Iterable[tuple[int, int]], min_hole: int = 1) -> list[tuple[int, int]]:
    """Merge pieces of data with a hole of less than `min_hole` between them, or more if there are too many."""
    merged: list[tuple[int, int]] = []
    for offset, length in pieces:
        start, size = merged[-1] if merged else (0, -min_hole)
        if offset - (start + size) < min_hole:
            merged[-1] = (start, offset + length - start)
        else:
            merged.append((offset, length))
        if len(merged) > _MAX_PIECES:
            min_hole *= 16
            merged = _merged(merged, min_hole)
    return merged


def _open_directory(path_fd: int) -> int:
    return os.open(f"/proc/self/fd/{path_fd}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
