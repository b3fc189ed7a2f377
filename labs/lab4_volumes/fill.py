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
    """Copy what a root file system has at `path` into a volume's `_data`, if that is empty.

    `root_fd` is a descriptor of the mounted root; `path` is resolved inside it, so that no symbolic link
    leads out. A marker, the file `filling` beside `_data`, says that a copy was begun: one that was killed is
    taken up again by the next call. Of several calls at a time one copies, and the others wait for it. A
    directory of the host (a volume made with `o=bind`, not called `_data`) is left as it is. Gives whether
    anything was copied.

    Fails with InvalidArgument where `path` is a file.
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
