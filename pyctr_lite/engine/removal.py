"""Taking a container's directory off the disk."""

from __future__ import annotations

import os
import stat

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


def remove_tree(path: str) -> None:
    """Remove a directory with all that is in it, never following a link."""
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                remove_tree(entry.path)
            else:
                os.unlink(entry.path)
    try:
        os.rmdir(path)
    except PermissionError:
        os.chmod(path, stat.S_IRWXU)
        os.rmdir(path)
