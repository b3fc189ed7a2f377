"""Unmount everything in a container's directory, so that it can be removed."""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.rootfs import walk


def is_mounted(directory: str) -> bool:
    """Return whether a container's root file system is mounted in its directory (the verb `mount`)."""
    return os.stat(f"{directory}/rootfs").st_dev != os.stat(directory).st_dev


def unmount_rootfs(directory: str) -> None:
    """Undo the verb `mount`: unmount the root file system and the parts of volumes. Idempotent."""
    try:
        while is_mounted(directory):
            linux.umount2(f"{directory}/rootfs", linux.MNT_DETACH)
    except FileNotFoundError:
        pass
    _unmount_sources(f"{directory}/sources")


def _unmount_sources(directory: str) -> None:
    """Unmount the parts of volumes that the verb `mount` has mounted for other runtimes.

    Remove each mount point with unlink(2) or rmdir(2), never recursively: no file of a volume may be removed.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        path = f"{directory}/{name}"
        try:
            while True:
                linux.umount2(path, linux.MNT_DETACH | linux.UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: it is not a mount point any more
                raise
        walk.remove_entry(path)
    os.rmdir(directory)
