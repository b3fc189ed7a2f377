"""Taking a container's directory off the disk."""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.rootfs import walk


def is_mounted(directory: str) -> bool:
    """Whether `mount` was done: something is mounted on the root of the container in a directory."""
    return os.stat(f"{directory}/rootfs").st_dev != os.stat(directory).st_dev


def unmount_rootfs(directory: str) -> None:
    """Undo `mount`, where it was done: nothing may be mounted in a container that is removed."""
    try:
        while is_mounted(directory):
            linux.umount2(f"{directory}/rootfs", linux.MNT_DETACH)
    except FileNotFoundError:
        pass
    _unmount_sources(f"{directory}/sources")


def _unmount_sources(directory: str) -> None:
    """Unmount the parts of volumes that `mount` has mounted for other runtimes.

    What was mounted on is removed by a call that removes nothing else: never a file of the volume.
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
            if error.errno != errno.EINVAL:  # nothing is mounted there any more
                raise
        walk.remove_entry(path)
    os.rmdir(directory)
