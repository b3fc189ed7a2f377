"""A container's changes as a layer: a tar stream of its overlay upper directory (OCI image-spec layer.md).

Holes of sparse files are written as zeros: pax has a form for them, but what Docker and podman use to write a
layer again byte by byte does not keep it, and the digest would be another. They cost no reading.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from pyctr_lite.commit import header
from pyctr_lite.commit.stream import DigestStream, LayerDigest, Writable
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import walk, whiteout

_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TYPES = {
    stat.S_IFLNK: header.SYMLINK,
    stat.S_IFCHR: header.CHARACTER,
    stat.S_IFBLK: header.BLOCK_DEVICE,
    stat.S_IFIFO: header.FIFO,
}

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
    if source_date_epoch is None and os.environ.get("SOURCE_DATE_EPOCH", "").isdecimal():
        source_date_epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    began = time.perf_counter_ns()
    layer = LayerWriter(output, source_date_epoch)
    root = os.open(upper, _DIRECTORY & ~os.O_NOFOLLOW)
    try:
        with walk.Deep():
            layer.add_entries(root, b"")
    finally:
        os.close(root)
    digest = layer.finish()
    if explain.sink is not None:
        explain.narrate(f'tar "{upper}": {digest.size} bytes, {digest.diff_id}', began)
    return digest


class LayerWriter:
    """A layer in the making: its stream and digest, and the files that have several names."""

    def __init__(self, output: Writable, latest: int | None) -> None:
        self.stream = DigestStream(output)
        self.latest = latest
        self.links: dict[tuple[int, int], bytes] = {}

    def add_entries(self, directory: int, place: bytes) -> None:
        """Add what is in a directory, in the order of the names' bytes."""
        for name in sorted(map(os.fsencode, os.listdir(directory))):
            try:
                self.add_entry(directory, name, place)
            except FileNotFoundError:
                pass  # deleted meanwhile, in a container that was not paused

    def add_entry(self, directory: int, name: bytes, place: bytes) -> None:
        """Add one inode, by what it is."""
        if name.startswith(whiteout.PREFIX):
            raise InvalidArgument(
                f"/{os.fsdecode(place + name)}: a layer cannot hold a name that begins with .wh.",
                "Such a name says that a file was deleted. Rename or remove it, then commit again.",
            )
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            self.add_directory(directory, name, place + name + b"/")
        elif kind == stat.S_IFREG:
            self.add_file(directory, name, place + name)
        elif whiteout.is_whiteout(status):
            self.hide(place, name)
        elif kind != stat.S_IFSOCK:
            self.add_node(directory, name, place + name, status)

    def add_directory(self, parent: int, name: bytes, place: bytes) -> None:
        """Add a directory, with the mark of an opaque one, and all below it."""
        directory = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            self.add_header(place, header.DIRECTORY, os.fstat(directory), xattrs=read_xattrs(directory))
            if whiteout.is_opaque(directory):
                self.hide(place, whiteout.OPAQUE_NAME[len(whiteout.PREFIX) :])
            self.add_entries(directory, place)
        finally:
            os.close(directory)

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

    def add_file(self, directory: int, name: bytes, path: bytes) -> None:
        """Add a regular file, or where it was added under another name, a link to that."""
        fd = os.open(name, _FILE, dir_fd=directory)
        try:
            status = os.fstat(fd)
            if self.add_link(path, status):
                return
            self.add_header(path, header.REGULAR, status, size=status.st_size, xattrs=read_xattrs(fd))
            self.add_data(fd, status)
        finally:
            os.close(fd)

    def add_node(self, directory: int, name: bytes, path: bytes, status: os.stat_result) -> None:
        """Add a symbolic link, a device or a FIFO."""
        kind = stat.S_IFMT(status.st_mode)
        target = os.readlink(name, dir_fd=directory) if kind == stat.S_IFLNK else b""
        is_device = kind in (stat.S_IFCHR, stat.S_IFBLK)
        device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0)
        xattrs = read_xattrs(b"/proc/self/fd/%d/%s" % (directory, name))
        if not self.add_link(path, status):
            self.add_header(path, _TYPES[kind], status, linkname=target, device=device, xattrs=xattrs)

    def add_link(self, path: bytes, status: os.stat_result) -> bool:
        """Add a hard link, if this inode was added under another name."""
        if status.st_nlink == 1:
            return False
        first = self.links.setdefault((status.st_dev, status.st_ino), path)
        if first == path:
            return False
        self.add_header(path, header.HARDLINK, status, linkname=first)
        return True

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

    def add_data(self, fd: int, status: os.stat_result) -> None:
        """Write exactly as many bytes as the header says, even if the file changes meanwhile; holes unread."""
        size, position = status.st_size, 0
        sparse = status.st_blocks * 512 < size
        while position < size:
            start, end = next_data(fd, position, size) if sparse else (position, size)
            self.stream.write_zeros(start - position)
            position = start
            while position < end:
                data = os.pread(fd, min(_CHUNK, end - position), position)
                if not data:  # it became shorter: zeros for the rest
                    self.stream.write_zeros(end - position)
                    break
                self.stream.write(data)
                position += len(data)
            position = end
        self.stream.write_zeros(-size % header.BLOCK)

    def finish(self) -> LayerDigest:
        """End the archive with two blocks of zeros."""
        self.stream.write_zeros(2 * header.BLOCK)
        return self.stream.finish()


def next_data(fd: int, position: int, size: int) -> tuple[int, int]:
    """Where a file's next data begin and end; `(size, size)` where only a hole is left (lseek(2))."""
    try:
        start = os.lseek(fd, position, os.SEEK_DATA)
        return min(start, size), min(os.lseek(fd, start, os.SEEK_HOLE), size)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size, size


def read_xattrs(file: int | bytes) -> dict[str, bytes]:
    """The extended attributes that belong into a layer: not overlayfs's own, nor the host's SELinux label."""
    follow = isinstance(file, int)
    try:
        names = os.listxattr(file, follow_symlinks=follow)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return {}
    return {
        name: os.getxattr(file, name, follow_symlinks=follow)
        for name in names
        if not name.startswith(whiteout.OVERLAY_XATTRS) and name != "security.selinux"
    }
