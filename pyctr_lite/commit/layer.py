"""A container's changes as a layer: a tar stream of its overlay upper directory (OCI image-spec layer.md).

The container may run, and change what is read (`commit --pause=false`). It cannot lead us anywhere, for each
inode is opened once below its directory's descriptor, as a place (O_PATH) and with no link followed; what it is
says fstat(2), and only a regular file is read, through that descriptor. Nor can it break the archive: of a file
as many bytes are written as its header says, zeros if it has become shorter.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from pyctr_lite import linux
from pyctr_lite.commit import content, header
from pyctr_lite.commit.stream import DigestStream, LayerDigest, Writable
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import walk, whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20
_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_LONG_PATH = 4096
_MOST_PATH = 1 << 18
_MOST_LONG_PATHS = 1 << 32
"""An archive repeats the whole path in each entry: of a million directories, one in another, it would have a
terabyte. Headers of 1 MiB are the largest that readers take (`tar.MAX_METADATA`, Go's archive/tar)."""
_MOST_HOLES = 8 << 30
EMPTY_DIFF_ID = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
"""The diff_id of a layer with nothing in it: the two blocks of zeros that end a tar archive."""


def write_layer(upper: str, output: Writable, *, source_date_epoch: int | None = None) -> LayerDigest:
    """Write the layer of an upper directory to `output`, uncompressed, and give its digest.

    The same tree gives the same bytes: names are sorted, times are in seconds, and no user names, inode
    numbers or access times are written. No time is later than `source_date_epoch` (seconds; without it, the
    environment's SOURCE_DATE_EPOCH, https://reproducible-builds.org/specs/source-date-epoch/). The upper
    directory's own owner and mode are not part of it, as in Docker's layers. Sockets are passed over.
    Fails with InvalidArgument for a name that only whiteouts may have.
    """
    if source_date_epoch is None and number.is_whole(os.environ.get("SOURCE_DATE_EPOCH", "")):
        source_date_epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    began = time.perf_counter_ns()
    layer = LayerWriter(output, source_date_epoch)
    with linux.closing(os.open(upper, walk.DIRECTORY & ~os.O_NOFOLLOW)) as root:
        layer.add_entries(root, b"")
    digest = layer.finish()
    if explain.sink is not None:
        explain.narrate(f'tar "{upper}": {digest.size} bytes, {digest.diff_id}', began)
    return digest


class LayerWriter:
    """A layer in the making: its stream and digest, and the files that have several names."""

    whiteouts = True
    """Whether deletions are written as whiteouts, and other names like theirs refused."""

    def __init__(self, output: Writable, latest: int | None) -> None:
        self.stream = DigestStream(output)
        self.latest = latest
        self.links: dict[tuple[int, int], bytes] = {}
        self.place = bytearray()
        """The path of the directory that is being added, a slash at its end; empty for the top."""
        self.holes = 0
        """The bytes of holes that were written as zeros."""
        self._names: list[bytes] | None = None
        self._long_paths = 0

    def add_entries(self, directory: int, place: bytes) -> None:
        """Add what is in a directory, in the order of the names' bytes."""
        for name in sorted(map(os.fsencode, os.listdir(directory))):
            try:
                self.add_entry(directory, name, place)
            except FileNotFoundError:
                pass  # deleted meanwhile, in a container that was not paused

    def add_entry(self, directory: int, name: bytes, place: bytes) -> None:
        """Add one inode, by what it is, with all below it; `place` is the path of its directory.

        Raises FileNotFoundError if it is gone.
        """
        if self._names is not None:  # it is `_sorted` that asks, for the order
            self._names.append(name)
            return
        self.place = bytearray(place)
        if self.add_inode(directory, name):
            self.place += name + b"/"
            try:
                below = os.open(name, walk.DIRECTORY, dir_fd=directory)
            except NotADirectoryError:
                raise FileNotFoundError(errno.ENOENT, "replaced meanwhile", os.fsdecode(name)) from None
            self.add_tree(below)

    def add_tree(self, directory: int) -> None:
        """Add a directory, whose path is `place`, with all below it. Its descriptor is closed."""
        walk.visit(directory, self._add_here)

    def _add_here(self, cursor: walk.Cursor) -> Iterator[bytes]:
        """Add the directory that is visited now, and what is in it; yield the names of directories."""
        if not self.add_directory(cursor.fd):
            return
        for name in self._sorted(cursor.fd):
            try:
                is_directory = self.add_inode(cursor.fd, name)
            except FileNotFoundError:
                continue
            if is_directory:
                length = len(self.place)
                self.place += name + b"/"
                yield name
                del self.place[length:]

    def _sorted(self, directory: int) -> list[bytes]:
        """The names in a directory, in the order in which `add_entries` adds them."""
        names: list[bytes] = []
        self._names = names
        try:
            self.add_entries(directory, bytes(self.place))
        finally:
            self._names = None
        return names

    def add_directory(self, directory: int) -> bool:
        """Add a directory, with the mark of an opaque one; whether what is in it is to be added, too."""
        self.add_header(self.path(b""), header.DIRECTORY, os.fstat(directory), xattrs=self.xattrs(directory))
        if whiteout.is_opaque(directory):
            self.hide(bytes(self.place), whiteout.OPAQUE_NAME[len(whiteout.PREFIX) :])
        return True

    def add_inode(self, directory: int, name: bytes) -> bool:
        """Add one inode of a directory; True for another directory, which is left to be visited.

        It is opened once, as a place (O_PATH, no link followed), and all that is written is that inode's.
        """
        if self.whiteouts and name.startswith(whiteout.PREFIX):
            raise InvalidArgument(
                f"/{os.fsdecode(bytes(self.place) + name)}: a layer cannot hold a name that begins with .wh.",
                "Such a name says that a file was deleted. Rename or remove it, then commit again.",
            )
        with linux.closing(os.open(name, _PLACE, dir_fd=directory)) as fd:
            status = os.fstat(fd)
            if self.whiteouts and whiteout.is_whiteout(status):
                self.path(whiteout.PREFIX + name)
                self.hide(bytes(self.place), name)
                return False
            if stat.S_ISDIR(status.st_mode):
                return True
            self.add_place(fd, status, self.path(name))
            return False

    def add_place(self, place: int, status: os.stat_result, path: bytes) -> None:
        """Add what a descriptor (O_PATH) is of: anything but a directory. Sockets are passed over."""
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFSOCK:
            return
        by_descriptor = f"/proc/self/fd/{place}"
        xattrs = self.xattrs(by_descriptor)
        if self.add_link(path, status, xattrs):
            return
        if kind != stat.S_IFREG:
            target = os.readlink(b"", dir_fd=place) if kind == stat.S_IFLNK else b""
            is_device = kind in (stat.S_IFCHR, stat.S_IFBLK)
            device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0)
            self.add_header(path, header.NODES[kind], status, linkname=target, device=device, xattrs=xattrs)
            return
        with linux.closing(os.open(by_descriptor, os.O_RDONLY | os.O_CLOEXEC)) as fd:
            self.add_file(fd, path, status, xattrs)

    def add_link(self, path: bytes, status: os.stat_result, xattrs: dict[str, bytes]) -> bool:
        """Add a hard link, if this inode was added under another name.

        The xattrs are repeated: who unpacks gives the link its owner, and that takes the file's capabilities.
        """
        if status.st_nlink == 1:
            return False
        first = self.links.setdefault((status.st_dev, status.st_ino), path)
        if first == path:
            return False
        self.add_header(path, header.HARDLINK, status, linkname=first, xattrs=xattrs)
        return True

    def add_file(self, fd: int, path: bytes, status: os.stat_result, xattrs: dict[str, bytes]) -> None:
        """Add a regular file. Raises InvalidArgument if holes of more than 8 GiB would become zeros."""
        if status.st_blocks * 512 < status.st_size:
            self.holes += status.st_size - sum(length for _, length in content.data_pieces(fd, status.st_size))
            if self.holes > _MOST_HOLES:
                raise InvalidArgument(
                    f"/{os.fsdecode(path)}: a sparse file of {status.st_size} bytes: a layer has zeros for its "
                    f"holes, and the most for all is {_MOST_HOLES}",
                    "Remove it, or keep it in a volume.",
                )
        self.add_header(path, header.REGULAR, status, size=status.st_size, xattrs=xattrs)
        self.add_data(fd, status)

    def hide(self, place: bytes, name: bytes) -> None:
        """Add a whiteout, as a step that can be narrated."""
        if explain.sink is None:
            self.add_whiteout(place, name)
        else:
            marker = os.fsdecode(place + whiteout.PREFIX + name)
            explain.step(f'whiteout "{marker}"', self.add_whiteout, place, name)

    def add_whiteout(self, place: bytes, name: bytes) -> None:
        """Say that `name` is deleted, by an empty file `.wh.<name>`.

        It has no time: overlayfs makes one inode serve as many whiteouts, its time is that of the first.
        """
        marker = place + whiteout.PREFIX + name
        self.stream.write(header.entry_header(marker, header.REGULAR, mode=0o600))

    def add_header(
        self,
        path: bytes,
        type: bytes,
        status: os.stat_result,
        *,
        size: int = 0,
        linkname: bytes = b"",
        device: tuple[int, int] = (0, 0),
        xattrs: dict[str, bytes] | None = None,
    ) -> None:
        """Write the header of an inode."""
        mtime = status.st_mtime_ns // 10**9
        uid, gid = self.owner(status)
        self.stream.write(
            header.entry_header(
                path,
                type,
                mode=stat.S_IMODE(status.st_mode),
                uid=uid,
                gid=gid,
                size=size,
                mtime=mtime if self.latest is None else min(mtime, self.latest),
                linkname=linkname,
                device=device,
                xattrs=xattrs,
            )
        )

    def owner(self, status: os.stat_result) -> tuple[int, int]:
        """The user and the group that the header names."""
        return status.st_uid, status.st_gid

    def path(self, name: bytes) -> bytes:
        """The path of a name in the directory that is being added. Raises InvalidArgument if it is too long."""
        path = bytes(self.place + name)
        if len(path) > _LONG_PATH:
            self._long_paths += len(path)
            if len(path) > _MOST_PATH or self._long_paths > _MOST_LONG_PATHS:
                raise InvalidArgument(
                    f"/{os.fsdecode(path[:60])}...: a path of {len(path)} bytes is too long for an archive",
                    f"The most is {_MOST_PATH}, and {_MOST_LONG_PATHS} for all paths longer than {_LONG_PATH}.",
                )
        return path

    def xattrs(self, file: int | str) -> dict[str, bytes]:
        """The extended attributes that the header has."""
        return content.read_xattrs(file)

    def add_data(self, fd: int, status: os.stat_result) -> None:
        """Write exactly as many bytes as the header says, even if the file changes meanwhile; holes unread."""
        size, position, sparse = status.st_size, 0, status.st_blocks * 512 < status.st_size
        while position < size:
            start, end = content.next_data(fd, position, size) if sparse else (position, size)
            self.stream.write_zeros(start - position)
            self.add_range(fd, start, end)
            position = end
        self.stream.write_zeros(-size % header.BLOCK)

    def add_range(self, fd: int, position: int, end: int) -> None:
        """Write the bytes of a file from one position to another, zeros if it has become shorter."""
        while position < end:
            data = os.pread(fd, min(_CHUNK, end - position), position)
            if not data:
                self.stream.write_zeros(end - position)
                return
            self.stream.write(data)
            position += len(data)

    def finish(self) -> LayerDigest:
        """End the archive with two blocks of zeros."""
        self.stream.write_zeros(2 * header.BLOCK)
        return self.stream.finish()
