"""A tar stream unpacked below a directory that others may change meanwhile: `cp` into a container or out of one.

Each name is used once, with the descriptor of its directory, and no link is followed there; what is made is
given its owner and mode by its own descriptor, never by its name (a container that runs could put a link to a
file of the host in its place).
"""

from __future__ import annotations

import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import BrokenArchive, Conflict, InvalidArgument
from pyctr_lite.rootfs import idmapped, tar, target, whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.rootfs.tar import Entry, Readable

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BENEATH = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_SYMLINKS | linux.RESOLVE_NO_MAGICLINKS
_MOST_OPEN = 256
_DEVICES = (tar.CHARACTER, tar.BLOCK_DEVICE)


class Unpacker:
    """Unpacks into the directory `base`. `skipped` are the names of what was not made.

    `owner` is whose all becomes, None as the archive says. `inside` is a container's root and the path of `base`
    in it: names in the archive may then go through links in there, and devices are made. Else the directory is
    the host's: nothing in it is followed, devices are skipped, and no file gains setuid bits or capabilities.
    `id_range` is the first host id and how many of the user namespace whose owners those are.
    """

    def __init__(
        self,
        base: int,
        *,
        owner: tuple[int, int] | None = None,
        inside: tuple[int, str] | None = None,
        id_range: list[int] | None = None,
    ) -> None:
        self.base, self.owner, self.inside, self.id_range = base, owner, inside, id_range
        self.skipped: list[str] = []
        self.bytes = 0
        self._parents: dict[bytes, int] = {}

    def unpack(self, stream: Readable) -> None:
        """Unpack all. Fails with BrokenArchive, with Conflict for a directory in a file's place or the reverse."""
        directories: dict[bytes, Entry] = {}
        reader = tar.TarReader(stream)
        umask = os.umask(0)  # modes are given as a thing is made: a chmod by name could be led astray
        try:
            if self.id_range:  # nobody else's files can be made in an idmapped mount
                linux.setfsids(self.id_range[0], self.id_range[0])
            for entry in reader:
                path = clean(entry.name)
                if not path:
                    continue  # the directory that it is unpacked into stays as it is
                self._make(self._directory(path.rpartition(b"/")[0]), path, entry, reader)
                if entry.type == tar.DIRECTORY:
                    directories[path] = entry
            reader.drain()
            for path, entry in directories.items():
                self._set_time(path, entry)
        finally:
            if self.id_range:
                linux.setfsids(os.geteuid(), os.getegid())
            os.umask(umask)
            self._forget()

    def _directory(self, path: bytes) -> int:
        """The descriptor of a directory below the base, kept for what else is in it."""
        if not path:
            return self.base
        if path in self._parents:
            fd = self._parents[path] = self._parents.pop(path)  # now the one used last
            return fd
        if self.inside is None:
            fd = linux.openat2(self.base, os.fsdecode(path), os.O_PATH | os.O_DIRECTORY, 0, _BENEATH)
        else:
            root_fd, base_path = self.inside
            fd = target.make_directory(root_fd, f"{base_path}/{os.fsdecode(path)}")
        if len(self._parents) >= _MOST_OPEN:
            self._forget(_MOST_OPEN // 2)  # not those used last: a hard link needs two at the same time
        self._parents[path] = fd
        return fd

    def _forget(self, number: int | None = None) -> None:
        for path in list(self._parents)[:number]:
            os.close(self._parents.pop(path))

    def _make(self, directory: int, path: bytes, entry: Entry, reader: tar.TarReader) -> None:
        name = path.rpartition(b"/")[2]
        if entry.type in _DEVICES and self.inside is None:
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
                raise Conflict(f'cannot overwrite directory "{os.fsdecode(path)}" with non-directory')
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
            raise Conflict(f'cannot overwrite non-directory "{os.fsdecode(path)}" with directory') from None
        try:
            self._set_attributes(fd, entry)
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
        gains = self.inside is not None or self.owner is None or entry.type == tar.DIRECTORY
        os.fchmod(fd, entry.mode if gains else entry.mode & ~(stat.S_ISUID | stat.S_ISGID))
        for name, value in entry.xattrs.items():
            if name.startswith(whiteout.OVERLAY_XATTRS) or (self.inside is None and not name.startswith("user.")):
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
                f"the container's user namespace has {count}: --userns auto:size=N gives it more",
            )
        return owner[0] + first, owner[1] + first

    def _set_time(self, path: bytes, entry: Entry) -> None:
        parent, _, name = path.rpartition(b"/")
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=self._directory(parent))
        except (FileNotFoundError, NotADirectoryError):
            return  # it was removed meanwhile
        try:
            os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)


def clean(name: bytes) -> bytes:
    """A name without `.`, doubled or leading slashes; empty for the top. Fails with BrokenArchive for `..`."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise BrokenArchive(f"{os.fsdecode(name)!r} leads outside the archive's root")
    return b"/".join(parts)
