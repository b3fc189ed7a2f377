"""A directory tree that is filled from an untrusted archive: every path ends inside it, whatever it says.

A path's parent is opened once with openat2(2) RESOLVE_IN_ROOT (links and `..` stop at the tree's root) and
kept; the last component is only ever used with that descriptor, and never followed. The tree lies in the
store's staging, which nothing but the archive's entries changes. Depth is only limited by the archive: nothing
here calls itself for each level, or needs the whole of a path to fit into a system call.
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.linux import (
    O_PATH,
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    closing,
    openat2,
)
from pyctr_lite.rootfs import walk, whiteout

_MAX_OPEN = 256
_MAX_PATH = 4000  # bytes of a path in one system call; the kernel takes 4095
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PLACE = O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_NO_LINKS = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


class Tree:
    """The tree at `root`; `lowers` are the layers below it, bottom first, also unpacked."""

    def __init__(self, root: str, lowers: list[str]) -> None:
        self.lowers = lowers
        self.root = os.open(root, _DIRECTORY)
        self._parents: dict[bytes, int] = {}
        self._current = b""
        self._current_fd, self._current_times = -1, (0, 0)

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.forget()
        finally:
            os.close(self.root)

    def take_root_attributes(self) -> None:
        """Give the root the owner, mode and xattrs that it has below: overlayfs shows those of the topmost."""
        if self.lowers:
            self._take_attributes_below(b"", self.root)

    def forget(self) -> None:
        """Close the kept descriptors: something that a path led through has gone."""
        self.settle()
        for fd in self._parents.values():
            os.close(fd)
        self._parents.clear()

    def settle(self) -> None:
        """Give the directory that was changed last the times it had before: entries in it do not count."""
        if self._current_fd >= 0:
            os.utime(self._current_fd, ns=self._current_times)
            self._current_fd = -1

    def directory(self, path: bytes, *, make: bool = True) -> int:
        """The descriptor of a directory that is about to be changed, made with its parents if it is missing.

        It stays the tree's, until the next call. With `make=False` the directory is only looked into.
        """
        if not make:
            return self._existing(path)
        try:
            fd = self._existing(path)
        except (FileNotFoundError, NotADirectoryError):
            fd = self._make_directories(path)
        self._change(path, fd)
        return fd

    def remove_scratch(self, name: bytes) -> None:
        """Remove a directory at the top that is no part of the tree, if there is one."""
        try:
            os.stat(name, dir_fd=self.root, follow_symlinks=False)
        except FileNotFoundError:
            return
        self.remove(self.directory(b""), name)

    def remove(self, dirfd: int, name: bytes) -> bool:
        """Remove what an entry is about to replace, a directory with all in it; True where it was a whiteout."""
        status = os.stat(name, dir_fd=dirfd, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=dirfd)
            if stat.S_ISLNK(status.st_mode):
                self.forget()
            return whiteout.is_whiteout(status)
        walk.remove_tree(name, dirfd)
        self.forget()
        return False

    def _change(self, path: bytes, fd: int) -> None:
        """Remember the times of a directory that is about to be changed, until another one is."""
        if self._current_fd < 0 or path != self._current:
            self.settle()
            status = os.fstat(fd)
            self._current, self._current_fd = path, fd
            self._current_times = status.st_atime_ns, status.st_mtime_ns

    def _existing(self, path: bytes) -> int:
        """The descriptor of a directory. Raises FileNotFoundError or NotADirectoryError if it is not there."""
        if not path:
            return self.root
        fd = self._parents.pop(path, None)
        if fd is None:
            fd = self._open(path)
            if len(self._parents) >= _MAX_OPEN:  # not those used last: a hard link needs two at once
                self.settle()
                for old in list(self._parents)[: _MAX_OPEN // 2]:
                    os.close(self._parents.pop(old))
        self._parents[path] = fd  # now the one used last
        return fd

    def _open(self, path: bytes) -> int:
        """Open a directory: from its parent if that is known, and from the root if there is a link on the way."""
        parent, _, name = path.rpartition(b"/")
        known = self._parents.get(parent)
        if known is not None:
            try:
                return openat2(known, os.fsdecode(name), _DIRECTORY, 0, _NO_LINKS)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
        return open_long(self.root, path, _DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

    def _make_directories(self, path: bytes) -> int:
        """Make each directory on the way that the archive has no entry for."""
        end = -1
        while end < len(path):
            end = path.find(b"/", end + 1)
            end = len(path) if end < 0 else end
            try:
                fd = self._existing(path[:end])
            except (FileNotFoundError, NotADirectoryError):
                self._make_directory(path[:end])
                fd = self._existing(path[:end])
        return fd

    def _make_directory(self, path: bytes) -> None:
        """Make a directory, whose parent is there, as it is in the layers below."""
        parent, _, name = path.rpartition(b"/")
        dirfd = self._existing(parent)
        self._change(parent, dirfd)
        try:
            os.mkdir(name, 0o700, dir_fd=dirfd)
        except FileExistsError:
            if not whiteout.is_whiteout(os.stat(name, dir_fd=dirfd, follow_symlinks=False)):
                raise BrokenArchive(f"{path!r} is no directory, and has entries in it") from None
            os.unlink(name, dir_fd=dirfd)
            os.mkdir(name, 0o700, dir_fd=dirfd)
            whiteout.make(dirfd, name)
        with closing(os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=dirfd)) as fd:
            os.fchmod(fd, 0o755)
            self._take_attributes_below(path, fd)

    def _take_attributes_below(self, path: bytes, fd: int) -> None:
        """Give a directory the attributes of the one that overlayfs would show without this layer."""
        for lower in reversed(self.lowers):
            found = _open_below(lower, path)
            if found is None:
                continue
            with closing(found):
                status = os.fstat(found)
                if not stat.S_ISDIR(status.st_mode):
                    return  # a whiteout, or a file that is replaced
                os.fchown(fd, status.st_uid, status.st_gid)
                os.fchmod(fd, stat.S_IMODE(status.st_mode))
                below = f"/proc/self/fd/{found}"
                for key in os.listxattr(below):
                    if not key.startswith(whiteout.OVERLAY_XATTRS):
                        os.setxattr(fd, key, os.getxattr(below, key))
                os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))
            return


def open_long(root: int, path: bytes, flags: int, resolve: int) -> int:
    """Open a path as openat2(2) does, but one of any length: in pieces, all but the first without links."""
    fd, start = root, 0
    while True:
        end = len(path) if len(path) - start <= _MAX_PATH else path.rfind(b"/", start, start + _MAX_PATH)
        if end < 0:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path[start : start + 256])
        try:
            piece, last = os.fsdecode(path[start:end]), end == len(path)
            next_fd = openat2(fd, piece or ".", flags if last else _PLACE, 0, _NO_LINKS if start else resolve)
        finally:
            if fd != root:
                os.close(fd)
        if last:
            return next_fd
        fd, start = next_fd, end + 1


def _open_below(lower: str, path: bytes) -> int | None:
    """A path of a layer below, opened as a place only, or None; a link in it is not followed."""
    with closing(os.open(lower, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as root:
        try:
            return open_long(root, path, O_PATH | os.O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            return None
