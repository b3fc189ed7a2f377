"""Unpack a tar stream into a directory that others may change in the meantime: `cp` into and out of containers.

A running container can replace any name by a link to a file of the host. That has no effect: each name is used
with the descriptor of its directory, which was opened beneath the base or the container's root, and no link is
followed. Files are always created (O_EXCL), and get their owner and mode through their own descriptor.
A mount point in a container is never removed: from outside its mount namespace, the kernel would allow that, and
detach the mount inside.
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import BrokenArchive, Conflict, InvalidArgument
from pyctr_lite.rootfs import idmapped, tar, target, tree, whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.rootfs.tar import Entry, Readable

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BENEATH = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_SYMLINKS | linux.RESOLVE_NO_MAGICLINKS
_MAX_OPEN = 256
_DEVICES = (tar.CHARACTER, tar.BLOCK_DEVICE)


class Unpacker:
    """Unpacks into the directory with descriptor `base` and path `path`. `skipped` names what was not created.

    `owner`: uid and gid for every file, or None to keep the archive's. `root` is the descriptor of the container's
    root that contains `path`: names in the archive may then lead through links below it, and devices are created.
    Without `root` the directory is on the host: no link is followed, devices are skipped, and no file gets setuid
    bits or capabilities. `id_range` is the host id range of the container's user namespace, to which owners are
    mapped.
    """

    def __init__(
        self,
        base: int,
        path: str,
        *,
        owner: tuple[int, int] | None = None,
        root: int | None = None,
        id_range: list[int] | None = None,
    ) -> None:
        self.base, self.path, self.owner, self.root, self.id_range = base, path, owner, root, id_range
        self.skipped: list[str] = []
        self.bytes = 0
        self._parents: dict[bytes, int] = {}
        self._timed: set[int] = set()  # hashes of the paths of directories that have their time from the archive
        self._current = b""
        self._current_fd, self._current_times = -1, (0, 0)

    def unpack(self, stream: Readable) -> None:
        """Unpack all entries.

        Raises BrokenArchive, or Conflict if a directory would replace a file or the reverse.
        """
        reader = tar.TarReader(stream)
        umask = os.umask(0)  # files get their mode at creation: a later chmod by name could hit another file
        try:
            if self.id_range:  # an idmapped mount refuses files of users that it does not map
                linux.setfsids(self.id_range[0], self.id_range[0])
            for entry in reader:
                path = clean(entry.name)
                if not path:
                    continue  # the base directory keeps its attributes
                parent = path.rpartition(b"/")[0]
                directory = self._directory(parent)
                self._change(parent, directory)
                self._make(directory, path, entry, reader)
            reader.drain()
        finally:
            if self.id_range:
                linux.setfsids(os.geteuid(), os.getegid())
            os.umask(umask)
            self._forget()

    def _directory(self, path: bytes) -> int:
        """Return the descriptor of a directory below the base, which stays open for the next entries in it."""
        if not path:
            return self.base
        fd = self._parents.pop(path, None)
        if fd is None:
            fd = self._open(path)
            if len(self._parents) >= _MAX_OPEN:
                self._forget(_MAX_OPEN // 2)  # keep those used last: a hard link needs two at the same time
        self._parents[path] = fd  # moved to the end: it is now the one used last
        return fd

    def _open(self, path: bytes) -> int:
        """Open a directory, from its parent if that is open; follow links only inside a container."""
        parent, _, name = path.rpartition(b"/")
        known = self._parents.get(parent) if parent else self.base
        start, below = (self.base, path) if known is None else (known, name)
        try:
            return tree.open_long(start, below, os.O_PATH | os.O_DIRECTORY, _BENEATH)
        except OSError as error:
            if self.root is None or error.errno not in (errno.ENOENT, errno.ELOOP):
                raise
        return target.make_directory(self.root, f"{self.path}/{os.fsdecode(path)}")

    def _change(self, path: bytes, fd: int) -> None:
        """Remember the times of a directory before an entry in it changes, if they are from the archive."""
        if path != self._current:
            self._settle()
            if hash(path) in self._timed:
                status = os.stat(b".", dir_fd=fd)
                self._current_fd, self._current_times = fd, (status.st_atime_ns, status.st_mtime_ns)
            self._current = path

    def _settle(self) -> None:
        """Restore the times of the directory that was changed last, which its new entries have changed."""
        if self._current_fd >= 0:
            os.utime(b".", ns=self._current_times, dir_fd=self._current_fd)
        self._current, self._current_fd = b"", -1

    def _forget(self, number: int | None = None) -> None:
        self._settle()
        for path in list(self._parents)[:number]:
            os.close(self._parents.pop(path))

    def _shown(self, path: bytes) -> str:
        return os.path.join(self.path, os.fsdecode(path))

    def _make(self, directory: int, path: bytes, entry: Entry, reader: tar.TarReader) -> None:
        name = path.rpartition(b"/")[2]
        if entry.type in _DEVICES and self.root is None:
            self.skipped.append(os.fsdecode(path))
            return
        if entry.type == tar.DIRECTORY:
            self._make_directory(directory, name, path, entry)
            return
        try:
            existing = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            pass
        else:
            if stat.S_ISDIR(existing.st_mode):
                raise Conflict(f'cannot overwrite directory "{self._shown(path)}" with non-directory')
            if linux.is_mount_root(directory, name):
                raise Conflict(
                    f"unlinkat {self._shown(path)}: device or resource busy",
                    "something is mounted there: write to it from inside (exec), or change the mounted file",
                )
            os.unlink(name, dir_fd=directory)
        if entry.type == tar.REGULAR:
            self._make_file(directory, name, entry, reader)
            return
        if entry.type == tar.HARDLINK:
            source = clean(entry.linkname)
            parent = self._directory(source.rpartition(b"/")[0])
            first = source.rpartition(b"/")[2]
            try:
                os.link(first, name, src_dir_fd=parent, dst_dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                if os.fsdecode(source) not in self.skipped:
                    raise
                self.skipped.append(os.fsdecode(path))
            return
        if entry.type == tar.SYMLINK:
            os.symlink(entry.linkname, name, dir_fd=directory)
        elif entry.type == tar.FIFO:
            os.mkfifo(name, entry.mode, dir_fd=directory)
        else:
            kind = stat.S_IFCHR if entry.type == tar.CHARACTER else stat.S_IFBLK
            os.mknod(name, kind | entry.mode, os.makedev(*entry.device), dir_fd=directory)
        os.chown(name, *self._owner(entry), dir_fd=directory, follow_symlinks=False)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=directory, follow_symlinks=False)

    def _make_directory(self, directory: int, name: bytes, path: bytes, entry: Entry) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=directory)
        except FileExistsError:
            pass
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=directory)
        except NotADirectoryError:
            raise Conflict(f'cannot overwrite non-directory "{self._shown(path)}" with directory') from None
        try:
            self._set_attributes(fd, entry)
            os.utime(fd, ns=(entry.mtime, entry.mtime))
            self._timed.add(hash(path))
        finally:
            os.close(fd)

    def _make_file(self, directory: int, name: bytes, entry: Entry, reader: tar.TarReader) -> None:
        fd = os.open(name, _NEW_FILE, 0o600, dir_fd=directory)
        try:
            pieces = iter([(0, entry.size)] if entry.pieces is None else entry.pieces)
            offset = left = 0
            for data in reader.data():
                while data:
                    while not left:
                        offset, left = next(pieces)
                    written = os.pwrite(fd, data[:left], offset)
                    offset, left, data = offset + written, left - written, data[written:]
            os.ftruncate(fd, entry.size)
            self.bytes += entry.size
            self._set_attributes(fd, entry)
            os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def _set_attributes(self, fd: int, entry: Entry) -> None:
        os.fchown(fd, *self._owner(entry))
        gains = self.root is not None or self.owner is None or entry.type == tar.DIRECTORY
        os.fchmod(fd, entry.mode if gains else entry.mode & ~(stat.S_ISUID | stat.S_ISGID))
        for name, value in entry.xattrs.items():
            if name.startswith(whiteout.OVERLAY_XATTRS) or (self.root is None and not name.startswith("user.")):
                continue
            if self.id_range and name == "security.capability":
                value = idmapped.capability_outside(value, self.id_range[0])
            try:
                os.setxattr(fd, name, value)
            except OSError:
                self.skipped.append(f"{os.fsdecode(entry.name)}: {name}")

    def _owner(self, entry: Entry) -> tuple[int, int]:
        owner = (entry.uid, entry.gid) if self.owner is None else self.owner
        if self.id_range is None:
            return owner
        first, count = self.id_range
        if max(owner) >= count:
            raise InvalidArgument(
                f"{os.fsdecode(entry.name)}: id {max(owner)} has no host id",
                f"the container's user namespace has {count} ids: use a larger one, --userns auto:size=N",
            )
        return owner[0] + first, owner[1] + first


def clean(name: bytes) -> bytes:
    """Return a name without `.` and redundant slashes, empty for the top. Raises BrokenArchive if it has `..`."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise BrokenArchive(f"{os.fsdecode(name)!r} leads outside the archive's root")
    return b"/".join(parts)
