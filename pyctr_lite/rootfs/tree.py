"""A directory tree that is filled from an untrusted archive: no path leads out of it.

The parent of a path is opened once with openat2(2) RESOLVE_IN_ROOT (links and `..` stop at the tree's root) and
kept open; the last component is only used with that descriptor, and never followed. The tree is in the store's
staging, which only the archive's entries change. Only the archive limits the depth: there is no recursion, and a
path may be longer than a system call accepts.
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
_PATH_ONLY = O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_NO_LINKS = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


class Tree:
    """A tree at the path `root`; `lowers` are the unpacked layers below it, bottom first."""

    def __init__(self, root: str, lowers: list[str]) -> None:
        self.lowers = lowers
        self.root = os.open(root, _DIRECTORY)
        self._parents: dict[bytes, int] = {}
        self._current = b""
        self._current_fd, self._current_times = -1, (0, 0)

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.close_directories()
        finally:
            os.close(self.root)

    def copy_root_attributes(self) -> None:
        """Copy owner, mode, xattrs and time of the root from the layer below: overlayfs shows the top layer's."""
        if self.lowers:
            self._copy_attributes_below(b"", self.root)

    def close_directories(self) -> None:
        """Close the cached descriptors, because a directory or link that a path led through was removed."""
        self.restore_times()
        for fd in self._parents.values():
            os.close(fd)
        self._parents.clear()

    def restore_times(self) -> None:
        """Restore the times of the directory changed last: adding entries must not change them."""
        if self._current_fd >= 0:
            os.utime(self._current_fd, ns=self._current_times)
            self._current_fd = -1

    def directory(self, path: bytes, *, make: bool = True) -> int:
        """Open a directory to change it, creating it and its parents if they are missing.

        The tree owns the descriptor, which is valid until the next call. `make=False` opens an existing directory
        only to read it.
        """
        if not make:
            return self._open_cached(path)
        try:
            fd = self._open_cached(path)
        except (FileNotFoundError, NotADirectoryError):
            fd = self._make_directories(path)
        self._save_times(path, fd)
        return fd

    def remove_scratch(self, name: bytes) -> None:
        """Remove a top-level directory that is not part of the tree, if it exists."""
        try:
            os.stat(name, dir_fd=self.root, follow_symlinks=False)
        except FileNotFoundError:
            return
        self.remove(self.directory(b""), name)

    def remove(self, dirfd: int, name: bytes) -> bool:
        """Remove a file or a directory tree that an entry replaces; return whether it was a whiteout."""
        status = os.stat(name, dir_fd=dirfd, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=dirfd)
            if stat.S_ISLNK(status.st_mode):
                self.close_directories()
            return whiteout.is_whiteout(status)
        walk.remove_tree(name, dirfd)
        self.close_directories()
        return False

    def _save_times(self, path: bytes, fd: int) -> None:
        """Save the times of a directory before a change, and restore those of the one changed before it."""
        if self._current_fd < 0 or path != self._current:
            self.restore_times()
            status = os.fstat(fd)
            self._current, self._current_fd = path, fd
            self._current_times = status.st_atime_ns, status.st_mtime_ns

    def _open_cached(self, path: bytes) -> int:
        """Open an existing directory, or reuse its descriptor. Raises FileNotFoundError or NotADirectoryError."""
        if not path:
            return self.root
        fd = self._parents.pop(path, None)
        if fd is None:
            fd = self._open(path)
            if len(self._parents) >= _MAX_OPEN:  # close the older half: a hard link needs two at once
                self.restore_times()
                for old in list(self._parents)[: _MAX_OPEN // 2]:
                    os.close(self._parents.pop(old))
        self._parents[path] = fd  # now the most recently used
        return fd

    def _open(self, path: bytes) -> int:
        """Open a directory from its parent if that is open, and from the root if not, or if the name is a link."""
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
        """Create each missing directory of a path."""
        end = -1
        while end < len(path):
            end = path.find(b"/", end + 1)
            end = len(path) if end < 0 else end
            try:
                fd = self._open_cached(path[:end])
            except (FileNotFoundError, NotADirectoryError):
                self._make_directory(path[:end])
                fd = self._open_cached(path[:end])
        return fd

    def _make_directory(self, path: bytes) -> None:
        """Create a directory in an existing parent, with the attributes that it has in the layers below."""
        parent, _, name = path.rpartition(b"/")
        dirfd = self._open_cached(parent)
        self._save_times(parent, dirfd)
        try:
            os.mkdir(name, 0o700, dir_fd=dirfd)
        except FileExistsError:
            if not whiteout.is_whiteout(os.stat(name, dir_fd=dirfd, follow_symlinks=False)):
                raise BrokenArchive(f"{path!r} is not a directory, but the archive has entries in it") from None
            os.unlink(name, dir_fd=dirfd)
            os.mkdir(name, 0o700, dir_fd=dirfd)
            whiteout.make(dirfd, name)
        with closing(os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=dirfd)) as fd:
            os.fchmod(fd, 0o755)
            self._copy_attributes_below(path, fd)

    def _copy_attributes_below(self, path: bytes, fd: int) -> None:
        """Copy to a directory the attributes of the one that overlayfs would show without this layer."""
        for lower in reversed(self.lowers):
            found = _open_below(lower, path)
            if found is None:
                continue
            with closing(found):
                status = os.fstat(found)
                if not stat.S_ISDIR(status.st_mode):
                    return  # a whiteout, or a file that this directory replaces
                os.fchown(fd, status.st_uid, status.st_gid)
                os.fchmod(fd, stat.S_IMODE(status.st_mode))
                below = f"/proc/self/fd/{found}"
                for key in os.listxattr(below):
                    if not key.startswith(whiteout.OVERLAY_XATTRS):
                        os.setxattr(fd, key, os.getxattr(below, key))
                os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))
            return


def open_long(root: int, path: bytes, flags: int, resolve: int) -> int:
    """Open a path of any length with openat2(2), piece by piece. Only the first piece may contain links."""
    fd, start = root, 0
    while True:
        end = len(path) if len(path) - start <= _MAX_PATH else path.rfind(b"/", start, start + _MAX_PATH)
        if end < 0:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path[start : start + 256])
        try:
            piece, last = os.fsdecode(path[start:end]), end == len(path)
            next_fd = openat2(fd, piece or ".", flags if last else _PATH_ONLY, 0, _NO_LINKS if start else resolve)
        finally:
            if fd != root:
                os.close(fd)
        if last:
            return next_fd
        fd, start = next_fd, end + 1


def _open_below(lower: str, path: bytes) -> int | None:
    """Open a path of a layer below (O_PATH) without following links; return None if it does not exist."""
    with closing(os.open(lower, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as root:
        try:
            return open_long(root, path, O_PATH | os.O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            return None
