"""A directory tree that is filled from an untrusted archive: every path ends inside it, whatever it says.

A path's parent is opened once with openat2(2) RESOLVE_IN_ROOT (links and `..` stop at the tree's root) and
kept; the last component is only ever used with that descriptor, and never followed.
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.linux import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2
from pyctr_lite.rootfs import walk, whiteout

_MOST_OPEN = 256
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Tree:
    """The tree at `root`; `lowers` are the layers below it, bottom first, also unpacked."""

    def __init__(self, root: str, lowers: list[str]) -> None:
        self.lowers = lowers
        self.root = os.open(root, _DIRECTORY)
        self._parents: dict[bytes, int] = {}
        self.times_below: dict[bytes, int] = {}
        """The mtime (ns) below of each directory that was made as it is there."""

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *exception: object) -> None:
        self.forget()
        os.close(self.root)

    def take_root_attributes(self) -> None:
        """Give the root the owner, mode and xattrs that it has below: overlayfs shows those of the topmost."""
        if self.lowers:
            self._take_attributes_below(b"", self.root)

    def forget(self) -> None:
        """Close the kept descriptors: something that a path led through has gone."""
        for fd in self._parents.values():
            os.close(fd)
        self._parents.clear()

    def directory(self, path: bytes, *, make: bool = True) -> int:
        """The descriptor of a directory, made with its parents where it is missing. It stays the tree's."""
        if not path:
            return self.root
        kept = self._parents.pop(path, None)
        if kept is not None:
            self._parents[path] = kept  # now the one used last
            return kept
        try:
            fd = self._open(path)
        except (FileNotFoundError, NotADirectoryError):
            if not make:
                raise
            self._make_directory(path)
            fd = self._open(path)
        if len(self._parents) >= _MOST_OPEN:
            for old in list(self._parents)[
                : _MOST_OPEN // 2
            ]:  # not those used last: a hard link needs two at once
                os.close(self._parents.pop(old))
        self._parents[path] = fd
        return fd

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

    def _open(self, path: bytes) -> int:
        return openat2(self.root, os.fsdecode(path), _DIRECTORY, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

    def _make_directory(self, path: bytes) -> None:
        """Make a directory that the archive has no entry for, as it is in the layers below."""
        parent, _, name = path.rpartition(b"/")
        dirfd = self.directory(parent)
        try:
            os.mkdir(name, 0o700, dir_fd=dirfd)
        except FileExistsError:
            if not whiteout.is_whiteout(os.stat(name, dir_fd=dirfd, follow_symlinks=False)):
                raise BrokenArchive(f"{path!r} is no directory, and has entries in it") from None
            os.unlink(name, dir_fd=dirfd)
            os.mkdir(name, 0o700, dir_fd=dirfd)
            whiteout.make(dirfd, name)
        fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=dirfd)
        try:
            os.fchmod(fd, 0o755)
            self._take_attributes_below(path, fd)
        finally:
            os.close(fd)

    def _take_attributes_below(self, path: bytes, fd: int) -> None:
        """Give a directory the attributes of the one that overlayfs would show without this layer."""
        for lower in reversed(self.lowers):
            found = _open_below(lower, path)
            if found is None:
                continue
            try:
                status = os.fstat(found)
                if not stat.S_ISDIR(status.st_mode):
                    return  # a whiteout, or a file that is replaced
                os.fchown(fd, status.st_uid, status.st_gid)
                os.fchmod(fd, stat.S_IMODE(status.st_mode))
                below = f"/proc/self/fd/{found}"
                for key in os.listxattr(below):
                    if not key.startswith(whiteout.OVERLAY_XATTRS):
                        os.setxattr(fd, key, os.getxattr(below, key))
                self.times_below[path] = status.st_mtime_ns
            finally:
                os.close(found)
            return


def _open_below(lower: str, path: bytes) -> int | None:
    """A path of a layer below, opened as a place only, or None; a link in it is not followed."""
    root = os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS
        return openat2(root, os.fsdecode(path or b"."), os.O_PATH | os.O_NOFOLLOW, 0, resolve)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        return None
    finally:
        os.close(root)
