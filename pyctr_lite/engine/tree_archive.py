"""A directory tree or a file as a tar stream, for `cp` and `export`: what is there, whoever changes it meanwhile.

Each inode is opened once as a place (O_PATH, no link followed), looked at, and read by that descriptor: so what
was a file when it was looked at cannot be a device or a link when it is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection

from pyctr_lite.commit import header, layer, stream
from pyctr_lite.rootfs import idmapped, walk

_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NODES = {
    stat.S_IFLNK: header.SYMLINK,
    stat.S_IFCHR: header.CHARACTER,
    stat.S_IFBLK: header.BLOCK_DEVICE,
    stat.S_IFIFO: header.FIFO,
}


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
    """

    def __init__(
        self, output: stream.Writable, closed: Collection[int] = (), *, id_range: list[int] | None = None
    ) -> None:
        super().__init__(output, None)
        self.stream = _PlainStream(output)
        self.closed, self.id_range = closed, id_range
        self.bytes = 0
        """The bytes of the files so far."""

    def add_top(self, place: int, name: bytes) -> None:
        """Add what a descriptor (O_PATH) is of, and all below it, under a name: "." is the archive's own top."""
        with walk.Deep():
            self._add(place, name)

    def add_contents(self, place: int) -> None:
        """Add what is in a directory, without the directory."""
        directory = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with walk.Deep():
                self.add_entries(directory, b"")
        finally:
            os.close(directory)

    def add_entry(self, directory: int, name: bytes, place: bytes) -> None:
        """Add one inode of a directory, with all below it."""
        fd = os.open(name, _PLACE, dir_fd=directory)
        try:
            self._add(fd, place + name)
        finally:
            os.close(fd)

    def owner(self, status: os.stat_result) -> tuple[int, int]:
        """The owner, or as it is seen in the user namespace, where others' files are nobody's."""
        if self.id_range is None:
            return status.st_uid, status.st_gid
        first, count = self.id_range
        uid, gid = (
            id - first if first <= id < first + count else _NOBODY for id in (status.st_uid, status.st_gid)
        )
        return uid, gid

    def _add(self, place: int, path: bytes) -> None:
        status = os.fstat(place)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            self._add_directory(place, path + b"/", status)
        elif kind == stat.S_IFREG:
            if not self.add_link(path, status):
                self._add_file(place, path)
        elif kind != stat.S_IFSOCK and not self.add_link(path, status):
            target = os.readlink(b"", dir_fd=place) if kind == stat.S_IFLNK else b""
            is_device = kind in (stat.S_IFCHR, stat.S_IFBLK)
            device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0)
            self.add_header(path, _NODES[kind], status, linkname=target, device=device)

    def _add_directory(self, place: int, path: bytes, status: os.stat_result) -> None:
        directory = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.add_header(path, header.DIRECTORY, status, xattrs=self._xattrs(directory))
            if status.st_dev not in self.closed:
                self.add_entries(directory, path.removeprefix(b"./"))
        finally:
            os.close(directory)

    def _add_file(self, place: int, path: bytes) -> None:
        fd = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            self.add_header(path, header.REGULAR, status, size=status.st_size, xattrs=self._xattrs(fd))
            self.add_data(fd, status)
            self.bytes += status.st_size
        finally:
            os.close(fd)

    def _xattrs(self, fd: int) -> dict[str, bytes]:
        xattrs, name = layer.read_xattrs(fd), "security.capability"
        if self.id_range is not None and name in xattrs:
            xattrs[name] = idmapped.capability_inside(xattrs[name], self.id_range[0])
        return xattrs
