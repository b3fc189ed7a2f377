"""Owner, mode, xattrs and times of what a layer has: set in the order in which none undoes another."""

from __future__ import annotations

import errno
import os

from pyctr_lite.rootfs import tar, whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def set_on_file(fd: int, entry: tar.Entry) -> None:
    """Give an open regular file its attributes: the owner first, it takes setuid bits and capabilities away."""
    os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode)
    if entry.xattrs:
        _set_xattrs(entry, lambda name, value: os.setxattr(fd, name, value))
    os.utime(fd, ns=(entry.mtime, entry.mtime))


def set_on_name(dirfd: int, name: bytes, entry: tar.Entry) -> None:
    """Give anything else its attributes, not following a link; a directory gets its times at the end."""
    os.chown(name, entry.uid, entry.gid, dir_fd=dirfd, follow_symlinks=False)
    if entry.type != tar.SYMLINK:
        os.chmod(name, entry.mode, dir_fd=dirfd)
    if entry.xattrs:
        path = b"/proc/self/fd/%d/%s" % (dirfd, name)
        _set_xattrs(entry, lambda key, value: os.setxattr(path, key, value, follow_symlinks=False))
    if entry.type != tar.DIRECTORY:
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=dirfd, follow_symlinks=False)


def _set_xattrs(entry: tar.Entry, set_xattr: Callable[[str, bytes], None]) -> None:
    for name, value in entry.xattrs.items():
        if name.startswith(whiteout.OVERLAY_XATTRS):
            continue
        try:
            set_xattr(name, value)
        except OSError as error:
            # A file system that knows no such attribute; Docker goes on too. Capabilities are not for dropping.
            if error.errno != errno.EOPNOTSUPP or name == "security.capability":
                raise
