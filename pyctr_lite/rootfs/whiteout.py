"""Whiteouts: a layer's marks for deleted files of the layers below.

In archives these are files named `.wh.NAME`, in overlayfs inodes and an xattr. Source: OCI image-spec layer.md,
section Whiteouts; Documentation/filesystems/overlayfs.rst, section whiteouts and opaque directories.
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
"""Other names with this prefix are aufs's bookkeeping (hard link directory, pseudo-links), not image files."""
OPAQUE_XATTR = "trusted.overlay.opaque"
OVERLAY_XATTRS = ("trusted.overlay.", "user.overlay.")
"""overlayfs's own xattrs. Those of an archive are ignored: they could redirect a lookup."""


def hidden_name(name: bytes) -> bytes:
    """Return the name that `.wh.<name>` hides. Raises BrokenArchive for `.wh.`, `.wh..` and `.wh...`."""
    hidden = name[len(PREFIX) :]
    if hidden in (b"", b".", b".."):
        raise BrokenArchive(f"whiteout {name.decode()!r} points outside its directory")
    return hidden


def make(dirfd: int, name: bytes) -> None:
    """Hide `name` of the layers below, in the directory `dirfd`, by a character device 0:0 of that name.

    If this layer itself has a file of that name, it stays: a directory becomes opaque, and any other file, also a
    link, already hides the layers below. Fails with any other error of the kernel, such as ENAMETOOLONG or ENOSPC.
    Idempotent. Source: overlayfs.rst, "whiteouts and opaque directories".
    """
    try:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dirfd)
    except FileExistsError:
        if stat.S_ISDIR(os.stat(name, dir_fd=dirfd, follow_symlinks=False).st_mode):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            with linux.closing(os.open(name, flags, dir_fd=dirfd)) as fd:
                make_opaque(fd)


def make_opaque(fd: int) -> None:
    """Hide everything that the layers below have in this directory."""
    os.setxattr(fd, OPAQUE_XATTR, b"y")


def is_opaque(fd: int) -> bool:
    """Return whether a directory hides the entries of the layers below."""
    try:
        return os.getxattr(fd, OPAQUE_XATTR) == b"y"
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
            raise
        return False


def is_whiteout(status: os.stat_result) -> bool:
    """Return whether an inode is a whiteout: a character device 0:0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def hide_below(root: int, lowers: list[str]) -> None:
    """Hide each entry of the lower layers' roots: overlayfs ignores the opaque xattr of a layer's root."""
    names = {os.fsencode(name) for lower in lowers for name in os.listdir(lower)}
    for name in sorted(names):
        make(root, name)
