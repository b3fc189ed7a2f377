"""The Init layer: a layer between the image and the container that holds empty mount points and /etc/mtab.

The engine's mounts over the image (/proc, /etc/hosts, …) need mount points. If these were made in the container's
upper directory, a commit would include them. The image is not trusted: its paths are resolved inside its root and
examined by descriptor, and the layer is written to by descriptor as well.
"""

from __future__ import annotations

import os
import stat

from pyctr_lite import linux
from pyctr_lite.rootfs import target

DIRECTORIES = ("/dev", "/proc", "/sys")
FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
MTAB, MOUNTS = "/etc/mtab", "/proc/mounts"
"""A link that Docker's Init layer also has: `mount` and `df` of older systems read the file."""


def make_init_layer(layer: str, image_root_fd: int) -> None:
    """Create the mount points that the image lacks in an empty directory.

    `image_root_fd` is the image's root (its layers, mounted). A parent directory of a mount point, such as /etc,
    gets the owner, mode and time that it has in the image, because the container sees the Init layer's.
    If the image's /etc is a link, it is kept: the mount points are made when a container starts.
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
    """Return whether the last component of a path is a symbolic link."""
    try:
        fd = target.open_in_root(root_fd, path, linux.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return False
    with linux.closing(fd):
        return stat.S_ISLNK(os.fstat(fd).st_mode)


def _make_file(layer_fd: int, image_root_fd: int, path: str) -> None:
    """Create an empty file, and copy the attributes of the image's directory to its directory."""
    parent, name = os.path.split(path)
    with linux.closing(target.make_directory(layer_fd, parent)) as parent_fd:
        with linux.closing(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent_fd)) as fd:
            os.fchmod(fd, 0o644)
        _copy_attributes(image_root_fd, parent, parent_fd)


def _make_mtab(layer_fd: int, image_root_fd: int) -> None:
    """Create the link, unless the image's /etc is a link or already has the name, even as a broken link."""
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
    copy = f"/proc/self/fd/{copy_fd}"  # fchmod(2) and futimens(2) refuse an O_PATH descriptor
    os.chmod(copy, found.st_mode & 0o7777)
    os.chown(copy, found.st_uid, found.st_gid)
    os.utime(copy, ns=(found.st_mtime_ns, found.st_mtime_ns))
