"""Owner, mode, xattrs and times of what a layer has: set in the order in which none undoes another.

What can be opened gets them by its descriptor. Where there is only a name in a directory (links, devices,
FIFOs), each call takes the descriptor of the directory and follows no link.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite.linux import O_PATH, closing
from pyctr_lite.rootfs import tar, whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def set_on_file(fd: int, entry: tar.Entry) -> None:
    """Give an open file or directory its attributes, the owner first: that takes setuid and capabilities away."""
    os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode)
    if entry.xattrs:
        _set_each(entry, lambda name, value: os.setxattr(fd, name, value))
    os.utime(fd, ns=(entry.mtime, entry.mtime))


def set_on_name(dirfd: int, name: bytes, entry: tar.Entry) -> None:
    """Give anything else its attributes. Raises NotADirectoryError or ELOOP if it is not what the entry says."""
    if entry.type == tar.DIRECTORY:
        with closing(os.open(name, _DIRECTORY, dir_fd=dirfd)) as fd:
            set_on_file(fd, entry)
        return
    os.chown(name, entry.uid, entry.gid, dir_fd=dirfd, follow_symlinks=False)
    if entry.type != tar.SYMLINK:
        _chmod(dirfd, name, entry.mode)
    set_xattrs(dirfd, name, entry)
    os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=dirfd, follow_symlinks=False)


def set_xattrs(dirfd: int, name: bytes, entry: tar.Entry) -> None:
    """Give a name in a directory its extended attributes alone."""
    if entry.xattrs:
        path = b"/proc/self/fd/%d/%s" % (dirfd, name)
        _set_each(entry, lambda key, value: os.setxattr(path, key, value, follow_symlinks=False))


def _chmod(dirfd: int, name: bytes, mode: int) -> None:
    """chmod(2) follows links, and a device is never opened: so by a descriptor of the place alone."""
    with closing(os.open(name, O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dirfd)) as fd:
        os.chmod(f"/proc/self/fd/{fd}", mode)


def _set_each(entry: tar.Entry, set_xattr: Callable[[str, bytes], None]) -> None:
    for name, value in entry.xattrs.items():
        if name.startswith(whiteout.OVERLAY_XATTRS):
            continue
        try:
            set_xattr(name, value)
        except OSError as error:
            # A file system that knows no such attribute; Docker goes on too. Capabilities are not for dropping.
            if error.errno != errno.EOPNOTSUPP or name == "security.capability":
                raise
