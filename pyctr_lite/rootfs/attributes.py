"""Owner, mode, xattrs and times of a layer's files, set in an order in which no call undoes another.

Regular files and directories are opened and changed through their descriptor. Links, devices and FIFOs are not
opened: each call takes the descriptor of their directory and their name, and follows no link.
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
    """Set the attributes of an open file or directory, owner first: chown(2) clears setuid and capabilities."""
    os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode)
    if entry.xattrs:
        _apply_xattrs(entry, lambda name, value: os.setxattr(fd, name, value))
    os.utime(fd, ns=(entry.mtime, entry.mtime))


def set_on_name(dirfd: int, name: bytes, entry: tar.Entry) -> None:
    """Set the attributes of a name in a directory: anything but a regular file.

    Raises NotADirectoryError, or OSError with ELOOP, if the entry is a directory and the name is not.
    """
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
    """Set only the extended attributes of a name in a directory."""
    if entry.xattrs:
        path = b"/proc/self/fd/%d/%s" % (dirfd, name)
        _apply_xattrs(entry, lambda key, value: os.setxattr(path, key, value, follow_symlinks=False))


def _chmod(dirfd: int, name: bytes, mode: int) -> None:
    """Change a mode through an O_PATH descriptor: chmod(2) follows links, and a device must not be opened."""
    with closing(os.open(name, O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dirfd)) as fd:
        os.chmod(f"/proc/self/fd/{fd}", mode)


def _apply_xattrs(entry: tar.Entry, set_xattr: Callable[[str, bytes], None]) -> None:
    for name, value in entry.xattrs.items():
        if name.startswith(whiteout.OVERLAY_XATTRS):
            continue
        try:
            set_xattr(name, value)
        except OSError as error:
            # The file system does not support the attribute. Docker ignores that too, but a lost capability
            # would break a program.
            if error.errno != errno.EOPNOTSUPP or name == "security.capability":
                raise
