"""The initial content of a volume (exercise 4.5)."""

from __future__ import annotations

import fcntl
import os

from labs.kit import Todo
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import target
from pyctr_lite.volumes import fill

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def fill_volume(data_directory: str, root_fd: int, path: str) -> bool:
    """Copy the directory at `path` in a root file system into an empty volume's `_data`; return whether it did.

    `root_fd` is a descriptor of the mounted root. `path` is resolved inside it, so that no symbolic link leads
    out; if nothing is there, nothing is copied. The copy keeps owners, modes, times and links (`copy_tree`).
    The file `filling` beside `_data` marks a copy in progress: if it failed or was killed, the next call resumes
    it. Concurrent calls wait for each other, by flock(2) on the directory that contains `_data`. A directory of
    the host (a volume with `o=bind`, whose directory is not named `_data`) is left unchanged.
    Raises InvalidArgument, which names `path`, if it is not a directory; fails with ENOENT if there is no volume.
    """
    # 1. A directory of the host is not the engine's to fill. How do you recognize it, and what must not be made
    #    beside it?
    # 2. Two containers may start at the same moment with the same new volume, and one has to wait. What can
    #    change while you wait, and so must be looked at afterwards? What lets the lock go, whatever happens?
    # 3. When is a volume empty, and when is what it has only half a copy?
    # 4. `target.open_in_root(root_fd, path, flags)` opens a path as seen from the image's own `/`. Two of its
    #    errors are answers to a question: which? All others are errors of the start.
    # 5. `fill.copy_tree(source, data)` copies from one open directory to another. The start may be killed, or
    #    the disk be full, between any two of your steps: what does each of them leave behind, and what will the
    #    next call make of it?
    raise Todo("4.5")
