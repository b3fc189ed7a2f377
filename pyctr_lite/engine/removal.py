"""Taking a container's directory off the disk."""

from __future__ import annotations

import os

from pyctr_lite import linux


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
