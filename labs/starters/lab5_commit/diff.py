"""What a container has changed: its upper directory against the layers below (exercises 5.1 and 5.2)."""

from __future__ import annotations

import os
import stat

from labs.kit import Todo
from pyctr_lite.commit import diff
from pyctr_lite.commit.diff import Change
from pyctr_lite.rootfs import whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def lower_entry(lowers: list[str], name: str) -> str | None:
    """Return the path of the file that an overlay of `lowers` shows as `name`, or None if it shows none."""
    # 1. Look for `name` in each layer, in the order in which they are given: the topmost comes first.
    # 2. Look at the entry itself (`os.lstat`): a symbolic link that leads nowhere is there, too.
    # 3. The first layer that has the name decides. It may say that the name is gone:
    #    `whiteout.is_whiteout(status)` knows such an inode.
    # 4. Where no layer has the name, nothing is shown.
    raise Todo("5.1")


def entry_changes(upper: int, name: str, lowers: list[str], path: str) -> list[Change]:
    """Return the change of one entry of an upper directory, and the changes below it."""
    # `path` is the entry's own, as the user is told it: it ends in `name` already. A change is made with it:
    # `Change("A", path)`.
    # 1. What is this entry? `os.stat(name, dir_fd=upper, follow_symlinks=False)`.
    # 2. What did the layers show as `name`? That is 5.1: call it as `diff.lower_entry(lowers, name)`.
    # 3. A whiteout: deleted (D), if there was something to delete. Nothing below it is shown.
    # 4. A directory: `fd = os.open(name, _DIRECTORY, dir_fd=upper)`, and the list of what changed below it is
    #    `diff.directory_changes(fd, layers, path)`, with `diff.lower_directories(lowers, name)` as its layers.
    #    Close the descriptor whatever happens.
    # 5. Was there nothing before? Added (A), then what is below.
    # 6. Is it changed? It is where something below it is, where `diff.differs(before, now)` says so of the
    #    two inodes, or where its `diff.file_capability(path)` is another. `/proc/self/fd/<upper>/<name>` is a
    #    path of the entry. A file that was only copied up is no change: overlayfs copies a file as soon as it
    #    is opened for writing.
    raise Todo("5.2")
