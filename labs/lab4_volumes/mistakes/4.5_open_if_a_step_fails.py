"""Source and data are closed where the copy has worked, and nowhere else."""

from __future__ import annotations

import fcntl
import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import target
from pyctr_lite.volumes import fill

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

HINT = "who closes what you open if a step fails?"


def fill_volume(data_directory: str, root_fd: int, path: str) -> bool:
    if os.path.basename(data_directory) != "_data":
        return False
    volume = os.path.dirname(data_directory)
    lock = os.open(volume, _DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.listdir(data_directory) and not os.path.exists(f"{volume}/filling"):
            return False
        try:
            source = target.open_in_root(root_fd, path, _DIRECTORY)
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            raise InvalidArgument(f"cannot mount volume over existing file, file exists {path}") from None
        with open(f"{volume}/filling", "w"):
            pass
        data = os.open(data_directory, _DIRECTORY)
        fill.copy_tree(source, data)
        os.unlink(f"{volume}/filling")
        os.close(source)
        os.close(data)
        return True
    finally:
        os.close(lock)
