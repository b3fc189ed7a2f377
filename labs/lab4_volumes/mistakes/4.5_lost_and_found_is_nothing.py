"""A volume that has lost+found alone counts as empty."""

from __future__ import annotations

import fcntl
import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import target
from pyctr_lite.volumes import fill

HINT = "should be left as it is"


_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def fill_volume(data_directory: str, root_fd: int, path: str) -> bool:
    if os.path.basename(data_directory) != "_data":
        return False
    volume = os.path.dirname(data_directory)
    marker = f"{volume}/filling"
    opened = [os.open(volume, _DIRECTORY)]
    try:
        fcntl.flock(opened[0], fcntl.LOCK_EX)
        if set(os.listdir(data_directory)) - {"lost+found"} and not os.path.exists(marker):
            return False
        try:
            opened.append(target.open_in_root(root_fd, path, _DIRECTORY))
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            raise InvalidArgument(f"cannot mount volume over existing file, file exists {path}") from None
        opened.append(os.open(data_directory, _DIRECTORY))
        with open(marker, "w"):
            pass
        fill.copy_tree(opened[1], opened[2])
        os.unlink(marker)
        return True
    finally:
        for fd in opened:
            os.close(fd)
