"""How a layer says that something below it is gone: in archives by `.wh.` names, in overlayfs by an inode.

OCI image-spec layer.md, section Whiteouts; Documentation/filesystems/overlayfs.rst, section whiteouts and
opaque directories.
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import BrokenArchive

PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"
METADATA_PREFIX = b".wh..wh."
"""Other names with it are aufs's own bookkeeping (hard link directory, pseudo-links): no content."""
OPAQUE_XATTR = "trusted.overlay.opaque"
OVERLAY_XATTRS = ("trusted.overlay.", "user.overlay.")
"""overlayfs's own; out of an archive they could redirect a lookup, so they are never taken from one."""


def hidden_name(name: bytes) -> bytes:
    """The name that the whiteout `.wh.<name>` hides. Fails with BrokenArchive for `.wh.`, `.wh..`, `.wh...`."""
    hidden = name[len(PREFIX) :]
    if hidden in (b"", b".", b".."):
        raise BrokenArchive(f"whiteout {name.decode()!r} is aimed outside its directory")
    return hidden


def make(dirfd: int, name: bytes) -> None:
    """Hide `name` of the layers below, in the directory `dirfd`: by a character device 0:0 of that name.

    What this layer itself has under the name stays: a directory becomes opaque, anything else hides it already.
    """
    try:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dirfd)
    except FileExistsError:
        if stat.S_ISDIR(os.stat(name, dir_fd=dirfd, follow_symlinks=False).st_mode):
            with linux.closing(
                os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dirfd)
            ) as fd:
                make_opaque(fd)


def make_opaque(fd: int) -> None:
    """Hide all that the layers below have in this directory."""
    os.setxattr(fd, OPAQUE_XATTR, b"y")


def is_opaque(fd: int) -> bool:
    """Whether a directory hides what is below it."""
    try:
        return os.getxattr(fd, OPAQUE_XATTR) == b"y"
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
            raise
        return False


def is_whiteout(status: os.stat_result) -> bool:
    """Whether an inode hides the name it has."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def hide_below(root: int, lowers: list[str]) -> None:
    """Make a layer's root opaque: overlayfs merges the roots of all layers whatever their xattrs say."""
    names = {os.fsencode(name) for lower in lowers for name in os.listdir(lower)}
    for name in sorted(names):
        make(root, name)
