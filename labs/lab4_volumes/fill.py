"""A new volume's first content (exercise 4.5)."""

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
    out. The file `filling` beside `_data` marks a copy in progress: if it was killed, the next call resumes it.
    Concurrent calls wait for each other. A directory of the host (a volume with `o=bind`, whose directory is not
    named `_data`) is left unchanged.
    Raises InvalidArgument if `path` is a file.
    """
    # 1. Is the last part of `data_directory` not `_data`? It is the host's own directory: leave it (False).
    # 2. Two containers may start at once with the same new volume. Open the directory that holds `_data`
    #    (`os.open(…, _DIRECTORY)`) and wait for its lock: `fcntl.flock(fd, fcntl.LOCK_EX)`. Closing the
    #    descriptor lets it go: close it whatever happens. Look at nothing before the lock is yours.
    # 3. Is there anything in `_data`? It belongs to somebody: leave it, unless the marker says that it is half a
    #    copy.
    # 4. Open what the image has at `path`: `target.open_in_root(root_fd, path, _DIRECTORY)` takes the root for
    #    `/`, whatever a link says. Nothing there (FileNotFoundError): False. A file (NotADirectoryError):
    #    InvalidArgument.
    # 5. Make the marker; open `_data`; `fill.copy_tree(source, data)`, two descriptors; take the marker away.
    #    In this order: what does a kill between any two of them leave behind?
    # 6. Close what you opened. True.
    raise Todo("4.5")
