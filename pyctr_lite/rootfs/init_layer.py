"""The Init layer: a layer between the image and the container that holds empty mount points and /etc/mtab.

What the engine mounts over the image (/proc, /etc/hosts, …) needs something to be mounted on. Were it made
in the container's own upper directory, a commit would take it along. The image is not trusted: its paths are
resolved inside its root and looked at by descriptor, and the layer is only written to by descriptors, too.
"""

from __future__ import annotations

import os
import stat

from pyctr_lite import linux
from pyctr_lite.rootfs import target

DIRECTORIES = ("/dev", "/proc", "/sys")
FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
MTAB, MOUNTS = "/etc/mtab", "/proc/mounts"
"""A link that Docker's Init layer has, too: `mount` and `df` of older systems read the file."""


def make_init_layer(layer: str, image_root_fd: int) -> None:
    """Fill an empty directory with the mount points that the image lacks.

    `image_root_fd` is the image's own root (its layers, mounted): a directory on the way to a mount point,
    such as /etc, gets the owner and mode that it has there, for the Init layer's are the ones that show.
    An image whose /etc is a link keeps it: its mount points are made when a container starts.
    """
    with linux.closing(os.open(layer, linux.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as layer_fd:
        for path in DIRECTORIES:
            if not _exists(image_root_fd, path):
                os.close(target.make_directory(layer_fd, path))
        for path in FILES:
            if not _exists(image_root_fd, path) and not _is_link(image_root_fd, os.path.dirname(path)):
                _make_file(layer_fd, image_root_fd, path)
        _make_mtab(layer_fd, image_root_fd)


def _exists(root_fd: int, path: str) -> bool:
    try:
        os.close(target.open_in_root(root_fd, path))
    except OSError:
        return False
    return True


def _is_link(root_fd: int, path: str) -> bool:
    """Whether the last part of a path is a link."""
    try:
        fd = target.open_in_root(root_fd, path, linux.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return False
    with linux.closing(fd):
        return stat.S_ISLNK(os.fstat(fd).st_mode)


def _make_file(layer_fd: int, image_root_fd: int, path: str) -> None:
    """Make an empty file, and give its directory the attributes of the image's."""
    parent, name = os.path.split(path)
    with linux.closing(target.make_directory(layer_fd, parent)) as parent_fd:
        with linux.closing(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent_fd)) as fd:
            os.fchmod(fd, 0o644)
        _copy_attributes(image_root_fd, parent, parent_fd)


def _make_mtab(layer_fd: int, image_root_fd: int) -> None:
    """Make the link unless the image's /etc is a link, or has something of the name, if only a broken link."""
    parent, name = os.path.split(MTAB)
    if _exists(image_root_fd, MTAB) or any(_is_link(image_root_fd, path) for path in (parent, MTAB)):
        return
    with linux.closing(target.make_directory(layer_fd, parent)) as parent_fd:
        os.symlink(MOUNTS, name, dir_fd=parent_fd)
        _copy_attributes(image_root_fd, parent, parent_fd)


def _copy_attributes(image_root_fd: int, path: str, copy_fd: int) -> None:
    try:
        fd = target.open_in_root(image_root_fd, path, linux.O_PATH | os.O_DIRECTORY)
    except OSError:
        return
    with linux.closing(fd):
        found = os.fstat(fd)
    copy = f"/proc/self/fd/{copy_fd}"  # of a descriptor that only names a place (O_PATH)
    os.chmod(copy, found.st_mode & 0o7777)
    os.chown(copy, found.st_uid, found.st_gid)
    os.utime(copy, ns=(found.st_mtime_ns, found.st_mtime_ns))
