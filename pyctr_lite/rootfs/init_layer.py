"""The Init layer: a layer between the image and the container that holds empty mount points, nothing else.

What the engine mounts over the image (/proc, /etc/hosts, …) needs something to be mounted on. Were it made
in the container's own upper directory, a commit would take it along.
"""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.rootfs import target

DIRECTORIES = ("/dev", "/proc", "/sys")
FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")


def make_init_layer(layer: str, image_root_fd: int) -> None:
    """Fill an empty directory with the mount points that the image lacks.

    `image_root_fd` is the image's own root (its layers, mounted): a directory on the way to a mount point,
    such as /etc, gets the owner and mode that it has there, for the Init layer's are the ones that show.
    """
    layer_fd = os.open(layer, linux.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in DIRECTORIES:
            if not _exists(image_root_fd, path):
                os.close(target.make_directory(layer_fd, path))
        for path in FILES:
            if not _exists(image_root_fd, path):
                parent = os.path.dirname(path)
                os.close(target.make_mountpoint(layer_fd, path, directory=False))
                _copy_attributes(image_root_fd, layer, parent)
    finally:
        os.close(layer_fd)


def _exists(root_fd: int, path: str) -> bool:
    try:
        os.close(target.open_in_root(root_fd, path))
    except OSError:
        return False
    return True


def _copy_attributes(image_root_fd: int, layer: str, path: str) -> None:
    try:
        fd = target.open_in_root(image_root_fd, path)
    except OSError:
        return
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    os.chmod(layer + path, found.st_mode & 0o7777)
    os.chown(layer + path, found.st_uid, found.st_gid)
    os.utime(layer + path, ns=(found.st_mtime_ns, found.st_mtime_ns))
