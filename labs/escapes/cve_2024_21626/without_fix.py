"""CVE-2024-21626 (runc before 1.1.12, January 2024): the working directory is a descriptor of the host.

runc opened /sys/fs/cgroup and left it to the exec of the program to close it. An image may name its working
directory, and the name may be `/proc/self/fd/7`: a magic link, which does not lead to a path but straight to what
descriptor 7 is. These functions do the same: they forget a descriptor, and take the name as it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyctr_lite.runtime.filesystem import RootFilesystem

REPLACES = {
    "close_all_but": "pyctr_lite.linux.processes:close_all_but",
    "make_directory": "pyctr_lite.runtime.filesystem:RootFilesystem.make_directory",
    "enter_directory": "pyctr_lite.runtime.process:enter_directory",
}


def close_all_but(keep: set[int]) -> None:
    """Close no descriptor, and leave one more behind."""
    os.open("/sys/fs/cgroup", os.O_RDONLY)  # the exec closes it: too late


def make_directory(self: RootFilesystem, path: str) -> None:
    """Create the working directory if it is missing in the image."""
    os.makedirs(f"{self.bundle.rootfs}{path}", exist_ok=True)


def enter_directory(root_fd: int, cwd: str) -> str:
    """Change to the working directory, and return its path."""
    os.chdir(cwd)
    return cwd
