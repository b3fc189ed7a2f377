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
    """Return the path of the file that an overlay of `lowers` shows as `name`, or None if it shows none.

    `lowers` are top first, and the path is `<lower>/<name>`. A symbolic link is not followed: it is the file
    shown.
    """
    # The answer is what an overlay mount of these layers would show. Think of:
    # - Several layers may have the name. Which of them decides, and do the others still matter then?
    # - A layer may say that the name is gone: `whiteout.is_whiteout(status)` recognizes the inode that says so.
    # - Whatever has the name is an entry: a directory, a device, a symbolic link whose target is missing.
    # - A layer may fail to answer, on a broken disk. Which one error says that it does not have the name?
    # - `lowers` belongs to the caller.
    raise Todo("5.1")


def entry_changes(upper: int, name: str, lowers: list[str], path: str) -> list[Change]:
    """Return the change of one entry of an upper directory, and the changes below it.

    `upper` is the open upper directory, `lowers` are the directories merged with it, top first. `path` is the
    entry's path in the container, for the report. A file that was copied up without a change gives an empty
    list. A directory is changed if its owner or mode is, or an entry in it. A deleted directory is reported
    without its former entries.
    Raises FileNotFoundError if the entry was deleted meanwhile.
    """
    # Compare what the entry is now with what the layers showed under its name (5.1: `diff.lower_entry`).
    # - `upper` is a descriptor, and `name` is a name in that directory. The container may put a symbolic link
    #   anywhere, so no look may follow one.
    # - A whiteout stands for a deletion. Was there anything to delete?
    # - A directory is reported with what is below it: `diff.directory_changes(directory, lowers, path)` returns
    #   that for an open directory. With which directories of the layers is it to be compared
    #   (`diff.lower_directories`), and who closes what you open?
    # - overlayfs copies a file up as soon as it is opened for writing, so a file that is here need not have
    #   changed. `diff.differs(before, now)` compares two inodes. It does not see a file's capabilities: parts of
    #   root's privileges that a program gets when it is executed, such as ping's, kept in an extended attribute
    #   (capabilities(7), setcap(8)). `diff.file_capability(path)` returns those of any path, and
    #   `/proc/self/fd/<descriptor>/<name>` is a path.
    raise Todo("5.2")
