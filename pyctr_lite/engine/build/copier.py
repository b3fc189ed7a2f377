"""Copies files into the root of a step: COPY and ADD, with BuildKit's rules for what is there already.

The destination is resolved with the step's root as `/`. Below it every file is made relative to the descriptor of
its directory, and no link is followed: a file replaces a link of its name.
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite.build.tree import Visitor
from pyctr_lite.commit import content
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import target, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.build.tree import Entry

    Mode = Callable[[int], int]
    """Returns the permission bits for the st_mode of a source."""

_SMALL = 1 << 16
"""Bytes of a file that is copied by one read and one write: a copy in the kernel takes more system calls."""
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def make_directories(root: int, path: str, owner: tuple[int, int], mode: int = 0o755) -> int:
    """Open a directory of the root (O_RDONLY). It and its parents are made with `mode` if they are missing."""
    made = ""
    for name in path.strip("/").split("/"):
        made = f"{made}/{name}"
        known = target.exists(root, made)
        fd = target.make_directory(root, made, mode)
        try:
            if not known:
                os.chown(f"/proc/self/fd/{fd}", *owner)
        finally:
            os.close(fd)
    return target.open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)


class Copier(Visitor):
    """A visitor that copies into the directory `fd`, which it closes at its end.

    The contents of a source directory go into that directory; a source that is a file gets the name `name`.
    `owner` is None to keep the owners of the sources, `mode` is None to keep their modes. `path` is that of the
    destination, for messages.
    """

    def __init__(self, fd: int, path: str, name: str, owner: tuple[int, int] | None, mode: Mode | None) -> None:
        self._cursor = walk.Cursor(fd)
        self._top = os.dup(fd)
        self.path, self._name, self._owner, self._mode = path.rstrip("/"), name, owner, mode
        self._directories: list[tuple[os.stat_result, dict[str, bytes]] | None] = []
        self._links: dict[tuple[int, int], str] = {}

    @property
    def directory(self) -> int:
        """The descriptor of the directory that is copied into now."""
        return self._cursor.fd

    def __enter__(self) -> Copier:
        self._umask = os.umask(0)
        return self

    def __exit__(self, *exception: object) -> None:
        os.umask(self._umask)
        self._cursor.close()
        os.close(self._top)

    def enter(self, path: str, status: os.stat_result, xattrs: dict[str, bytes]) -> None:
        """Make a directory, or use the one that is there. The destination itself keeps its attributes."""
        if not path:
            self._directories.append(None)
            return
        name = os.path.basename(path)
        try:
            os.mkdir(name, 0o700, dir_fd=self.directory)
        except FileExistsError:
            pass
        try:
            self._cursor.down(name)
        except NotADirectoryError:
            raise InvalidArgument(f"cannot copy to non-directory: {self.path}/{path}") from None
        self._directories.append((status, xattrs))

    def leave(self) -> None:
        """Set the attributes of a directory, after all that changes its time."""
        found = self._directories.pop()
        if found is not None:
            self.set_attributes(self.directory, found[0], found[1])
            self._cursor.up()

    def add(self, entry: Entry, path: str) -> None:
        """Copy anything but a directory. Sockets are skipped."""
        name = os.path.basename(path) or self._name
        mode = entry.status.st_mode
        if stat.S_ISSOCK(mode):
            return
        if stat.S_ISREG(mode):
            if not self._linked(entry, name, path or self._name):
                self.copy_file(entry, name)
            return
        self._make_room(name)
        parent = self.directory
        if stat.S_ISLNK(mode):
            os.symlink(entry.link_target(), name, dir_fd=parent)
        else:
            os.mknod(
                name, mode if self._mode is None else self._permissions(mode), entry.status.st_rdev, dir_fd=parent
            )
        os.chown(name, *self._owner_of(entry.status), dir_fd=parent, follow_symlinks=False)
        time = entry.status.st_mtime_ns
        os.utime(name, ns=(time, time), dir_fd=parent, follow_symlinks=False)

    def write(self, data: bytes, mode: int) -> None:
        """Write a file `name` with the given content."""
        self._make_room(self._name)
        fd = os.open(self._name, _NEW_FILE, mode, dir_fd=self.directory)
        with open(fd, "wb") as file:
            os.fchown(fd, *(self._owner or (0, 0)))
            os.fchmod(fd, mode if self._mode is None else stat.S_IMODE(self._mode(stat.S_IFREG | mode)))
            file.write(data)

    def _linked(self, entry: Entry, name: str, path: str) -> bool:
        """Make a hard link to the copy of the same inode, and return whether there is one."""
        if entry.status.st_nlink == 1:
            return False
        inode = entry.status.st_dev, entry.status.st_ino
        first = self._links.setdefault(inode, path)
        if first == path:
            return False
        self._make_room(name)
        try:
            os.link(first, name, src_dir_fd=self._top, dst_dir_fd=self.directory, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENAMETOOLONG, errno.EMLINK):
                raise
            return False
        return True

    def copy_file(self, entry: Entry, name: str) -> None:
        """Copy a regular file into the directory `self.directory`, as `name`.

        The copy is a new file. It replaces whatever has the name, as BuildKit does: another file, a device, a
        link, also one that leads to a directory. What is replaced is neither followed nor written to, and its
        other names keep it. The copy is made with mode 0600: only its owner can open it before its attributes
        are set.
        Content and holes come from the source (`copy_content`), and so do the attributes: its status and its
        extended attributes are given to `self.set_attributes`. `entry.open()` opens the source.
        Raises InvalidArgument ("cannot replace directory PATH/NAME with a file") if a directory has the name. It
        stays as it is. If the source cannot be opened, nothing is replaced.
        Source: openat(2), O_EXCL and O_NOFOLLOW; unlinkat(2); BuildKit, fsutil/copy.
        """
        source = entry.open()
        try:
            try:
                fd = os.open(name, _NEW_FILE, 0o600, dir_fd=self.directory)
            except FileExistsError:
                self._make_room(name)
                fd = os.open(name, _NEW_FILE, 0o600, dir_fd=self.directory)
            try:
                copy_content(source, fd)
                self.set_attributes(fd, entry.status, content.read_xattrs(source))
            finally:
                os.close(fd)
        finally:
            os.close(source)

    def _make_room(self, name: str) -> None:
        """Remove the file that a new one replaces. Raises InvalidArgument if it is a directory."""
        try:
            os.unlink(name, dir_fd=self.directory)
        except FileNotFoundError:
            pass
        except IsADirectoryError:
            raise InvalidArgument(f"cannot replace directory {self.path}/{name} with a file") from None

    def _owner_of(self, status: os.stat_result) -> tuple[int, int]:
        return (status.st_uid, status.st_gid) if self._owner is None else self._owner

    def _permissions(self, mode: int) -> int:
        return stat.S_IFMT(mode) | (stat.S_IMODE(mode) if self._mode is None else self._mode(mode))

    def set_attributes(self, fd: int, status: os.stat_result, xattrs: dict[str, bytes]) -> None:
        """Set owner, mode, extended attributes and time of a copy, by those of its source."""
        os.fchown(fd, *self._owner_of(status))
        os.fchmod(fd, stat.S_IMODE(self._permissions(status.st_mode)))
        for name, value in xattrs.items():
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise
        os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))


def copy_content(source: int, fd: int) -> None:
    """Copy the content of a regular file; a larger one keeps its holes."""
    size = os.fstat(source).st_size
    if size <= _SMALL:
        data = os.read(source, size)
        written = os.write(fd, data)
        if written == size:
            return
    for offset, length in content.data_pieces(source, size):
        os.lseek(source, offset, os.SEEK_SET)
        os.lseek(fd, offset, os.SEEK_SET)
        while length:
            try:
                copied = os.copy_file_range(source, fd, length)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise
                copied = os.sendfile(fd, source, None, length)
            if not copied:
                break  # it was truncated meanwhile
            length -= copied
    os.ftruncate(fd, size)
