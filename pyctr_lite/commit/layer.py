"""The layer of a container's changes: a tar stream of its overlay upper directory (OCI image-spec layer.md).

The container may be running and change files meanwhile (`commit --pause=false`). It cannot redirect a read: each
inode is opened once, relative to its directory's descriptor, with O_PATH and without following links; fstat(2)
reports its kind, and only a regular file is read, through that descriptor. It cannot break the archive either: as
many bytes are written as a file's header says, zeros if the file was truncated.
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
_PATH_ONLY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_LONG_PATH = 4096
_MAX_PATH = 1 << 18
_MAX_LONG_PATHS = 1 << 32
"""Bytes. An archive repeats the whole path in each entry: a million nested directories would need a terabyte.
Readers accept headers of at most 1 MiB (`tar.MAX_METADATA`, Go's archive/tar)."""
_MAX_HOLES = 8 << 30
EMPTY_DIFF_ID = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
"""The diff_id of an empty layer: the two blocks of zeros that end a tar archive."""


def write_layer(upper: str, output: Writable, *, source_date_epoch: int | None = None) -> LayerDigest:
    """Write the layer of an upper directory to `output`, uncompressed, and return its digest.

    Equal trees give equal bytes: names are sorted, times are in seconds, and no user names, inode numbers or
    access times are written. No time is later than `source_date_epoch` (seconds; by default the environment's
    SOURCE_DATE_EPOCH, https://reproducible-builds.org/specs/source-date-epoch/). The upper directory's own owner
    and mode are left out, as in Docker's layers. Sockets are skipped.
    Raises InvalidArgument for a name that is reserved for whiteouts, too long a path, or more than 8 GiB of holes.
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
    """A writer of a layer, with its stream, its digest, and the first names of files with several hard links."""

    whiteouts = True
    """Whether to write whiteouts for deleted files, and to refuse other files with the names of whiteouts."""

    def __init__(self, output: Writable, latest: int | None) -> None:
        self.stream = DigestStream(output)
        self.latest = latest
        self.links: dict[tuple[int, int], bytes] = {}
        self.prefix = bytearray()
        """The path of the current directory with a trailing slash; empty for the top."""
        self.holes = 0
        """The bytes of holes written as zeros."""
        self._names: list[bytes] | None = None
        self._long_paths = 0

    def add_entries(self, directory: int, prefix: bytes) -> None:
        """Add the entries of an open directory, sorted by the bytes of their names; `prefix` is its path.

        `prefix` ends with a slash, or is empty for the top. An entry that was deleted meanwhile is left out; any
        other error is raised.
        """
        for name in sorted(map(os.fsencode, os.listdir(directory))):
            try:
                self.add_entry(directory, name, prefix)
            except FileNotFoundError:
                pass  # deleted meanwhile by a container that is not paused

    def add_entry(self, directory: int, name: bytes, prefix: bytes) -> None:
        """Add an inode of any kind, with everything below it; `prefix` is the path of its directory.

        Raises FileNotFoundError if it was deleted.
        """
        if self._names is not None:  # `_sorted_names` only collects the names
            self._names.append(name)
            return
        self.prefix = bytearray(prefix)
        if self.add_inode(directory, name):
            self.prefix += name + b"/"
            try:
                below = os.open(name, walk.DIRECTORY, dir_fd=directory)
            except NotADirectoryError:
                raise FileNotFoundError(errno.ENOENT, "replaced meanwhile", os.fsdecode(name)) from None
            self.add_tree(below)

    def add_tree(self, directory: int) -> None:
        """Add a directory with everything below it; `self.prefix` is its path. Closes its descriptor."""
        walk.visit(directory, self._visit)

    def _visit(self, cursor: walk.Cursor) -> Iterator[bytes]:
        """Add the visited directory and its entries; yield the names of its subdirectories."""
        if not self.add_directory(cursor.fd):
            return
        for name in self._sorted_names(cursor.fd):
            try:
                is_directory = self.add_inode(cursor.fd, name)
            except FileNotFoundError:
                continue
            if is_directory:
                length = len(self.prefix)
                self.prefix += name + b"/"
                yield name
                del self.prefix[length:]

    def _sorted_names(self, directory: int) -> list[bytes]:
        """Return the names in a directory in the order of `add_entries`."""
        names: list[bytes] = []
        self._names = names
        try:
            self.add_entries(directory, bytes(self.prefix))
        finally:
            self._names = None
        return names

    def add_directory(self, directory: int) -> bool:
        """Add a directory, and its mark if it is opaque; return whether to add its entries."""
        self.add_header(self.path(b""), header.DIRECTORY, os.fstat(directory), xattrs=self.xattrs(directory))
        if whiteout.is_opaque(directory):
            self.hide(bytes(self.prefix), whiteout.OPAQUE_NAME[len(whiteout.PREFIX) :])
        return True

    def add_inode(self, directory: int, name: bytes) -> bool:
        """Add an inode of a directory; return True for a subdirectory, which is added when visited.

        The inode is opened once (O_PATH, without following links), and everything is read from that inode.
        """
        if self.whiteouts and name.startswith(whiteout.PREFIX):
            raise InvalidArgument(
                f"/{os.fsdecode(bytes(self.prefix) + name)}: a layer cannot contain a name that begins with .wh.",
                "Such a name marks a deleted file. Rename or remove it, then commit again.",
            )
        with linux.closing(os.open(name, _PATH_ONLY, dir_fd=directory)) as fd:
            status = os.fstat(fd)
            if self.whiteouts and whiteout.is_whiteout(status):
                self.path(whiteout.PREFIX + name)
                self.hide(bytes(self.prefix), name)
                return False
            if stat.S_ISDIR(status.st_mode):
                return True
            self.add_non_directory(fd, status, self.path(name))
            return False

    def add_non_directory(self, path_fd: int, status: os.stat_result, path: bytes) -> None:
        """Add the file of an O_PATH descriptor, of any kind but a directory. Sockets are skipped."""
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFSOCK:
            return
        by_descriptor = f"/proc/self/fd/{path_fd}"
        xattrs = self.xattrs(by_descriptor)
        if self.add_link(path, status, xattrs):
            return
        if kind != stat.S_IFREG:
            target = os.readlink(b"", dir_fd=path_fd) if kind == stat.S_IFLNK else b""
            is_device = kind in (stat.S_IFCHR, stat.S_IFBLK)
            device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0)
            self.add_header(path, header.NODES[kind], status, linkname=target, device=device, xattrs=xattrs)
            return
        with linux.closing(os.open(by_descriptor, os.O_RDONLY | os.O_CLOEXEC)) as fd:
            self.add_file(fd, path, status, xattrs)

    def add_link(self, path: bytes, status: os.stat_result, xattrs: dict[str, bytes]) -> bool:
        """Add a hard link if the inode was already added under another name; return whether it was.

        The xattrs are repeated: unpacking sets the owner of the link, which clears the file's capabilities.
        """
        if status.st_nlink == 1:
            return False
        first = self.links.setdefault((status.st_dev, status.st_ino), path)
        if first == path:
            return False
        self.add_header(path, header.HARDLINK, status, linkname=first, xattrs=xattrs)
        return True

    def add_file(self, fd: int, path: bytes, status: os.stat_result, xattrs: dict[str, bytes]) -> None:
        """Add a regular file. Raises InvalidArgument if more than 8 GiB of holes would become zeros."""
        if status.st_blocks * 512 < status.st_size:
            self.holes += status.st_size - sum(length for _, length in content.data_pieces(fd, status.st_size))
            if self.holes > _MAX_HOLES:
                raise InvalidArgument(
                    f"/{os.fsdecode(path)}: a sparse file of {status.st_size} bytes: its holes become zeros in a "
                    f"layer, and a layer may have at most {_MAX_HOLES} of them",
                    "Remove it, or keep it in a volume.",
                )
        self.add_header(path, header.REGULAR, status, size=status.st_size, xattrs=xattrs)
        self.add_data(fd, status)

    def hide(self, prefix: bytes, name: bytes) -> None:
        """Add a whiteout as a step that `--explain` reports."""
        if explain.sink is None:
            self.add_whiteout(prefix, name)
        else:
            marker = os.fsdecode(prefix + whiteout.PREFIX + name)
            explain.step(f'whiteout "{marker}"', self.add_whiteout, prefix, name)

    def add_whiteout(self, prefix: bytes, name: bytes) -> None:
        """Add an empty file `.wh.<name>`, which marks `name` as deleted in the directory with the path `prefix`.

        `prefix` ends with a slash, or is empty for the top. The marker's mode is 0600; its owner, group and time
        are 0: overlayfs uses one inode for many whiteouts, with the time of the first.
        Source: OCI image-spec layer.md, section Whiteouts.
        """
        marker = prefix + whiteout.PREFIX + name
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
        """Write the header of an inode: permissions, owner and time are those of `status`, the rest is as given.

        The time is in whole seconds, rounded down. No time is later than `self.latest`, unless that is None.
        """
        mtime = status.st_mtime_ns // 10**9
        self.stream.write(
            header.entry_header(
                path,
                type,
                mode=stat.S_IMODE(status.st_mode),
                uid=status.st_uid,
                gid=status.st_gid,
                size=size,
                mtime=mtime if self.latest is None else min(mtime, self.latest),
                linkname=linkname,
                device=device,
                xattrs=xattrs,
            )
        )

    def path(self, name: bytes) -> bytes:
        """Return the path of a name in the current directory. Raises InvalidArgument if it is too long."""
        path = bytes(self.prefix + name)
        if len(path) > _LONG_PATH:
            self._long_paths += len(path)
            if len(path) > _MAX_PATH or self._long_paths > _MAX_LONG_PATHS:
                raise InvalidArgument(
                    f"/{os.fsdecode(path[:60])}...: a path of {len(path)} bytes is too long for an archive",
                    f"The maximum is {_MAX_PATH}; {_MAX_LONG_PATHS} for all paths longer than {_LONG_PATH}.",
                )
        return path

    def xattrs(self, file: int | str) -> dict[str, bytes]:
        """Return the extended attributes for the header."""
        return content.read_xattrs(file)

    def add_data(self, fd: int, status: os.stat_result) -> None:
        """Write as many bytes as the header says, even if the file changes meanwhile. Holes are not read."""
        size, position, sparse = status.st_size, 0, status.st_blocks * 512 < status.st_size
        while position < size:
            start, end = content.next_data(fd, position, size) if sparse else (position, size)
            self.stream.write_zeros(start - position)
            self.add_range(fd, start, end)
            position = end
        self.stream.write_zeros(-size % header.BLOCK)

    def add_range(self, fd: int, position: int, end: int) -> None:
        """Write the bytes of a file from `position` to `end`, with zeros after the end of a truncated file."""
        while position < end:
            data = os.pread(fd, min(_CHUNK, end - position), position)
            if not data:
                self.stream.write_zeros(end - position)
                return
            self.stream.write(data)
            position += len(data)

    def finish(self) -> LayerDigest:
        """End the archive with two blocks of zeros; return its digest."""
        self.stream.write_zeros(2 * header.BLOCK)
        return self.stream.finish()
