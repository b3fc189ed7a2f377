"""The kinds of namespace, and which ones a process is in (exercises 1.1 and 1.2)."""

from __future__ import annotations

import os

from labs.kit import Todo
from pyctr_lite.namespaces import kinds

# A kind is a row of the table in pyctr_lite/namespaces/kinds.py:
#   kinds.KINDS            all eight, in a fixed order
#   kinds.BY_NAME[name]    one of them, by either of its names: "mnt" or "mount", "net" or "network"
#   kind.flag              its CLONE_NEW* bit
#   kind.proc              its file's name in /proc/<pid>/ns


def flags(names: list[str]) -> int:
    """Combine the CLONE_NEW* flags of a list of kinds, by either name. Raises KeyError for an unknown name."""
    # The kernel takes one word: a kind that is asked for has its bit set, all others are clear.
    # - A list may be empty, and a kind may be named twice, by either name. Which operator leaves a bit that is
    #   already set as it is?
    # - Whoever asks for a wall must not get a container without it: what happens with a name that is unknown?
    raise Todo("1.1")


def identify(pid: int | str = "self") -> dict[str, int]:
    """Return the inode number of each namespace of a process, by its name in /proc/<pid>/ns (`kind.proc`).

    Processes in one namespace get equal numbers. A kernel without time namespaces has no entry `time`, and the
    result leaves it out. Any other missing entry means that there is no such process: FileNotFoundError.
    Source: namespaces(7).
    """
    # The result maps each kind's name in /proc/<pid>/ns to an inode number. Processes that share a namespace share
    # the number; processes that do not, differ.
    # - An entry of /proc/<pid>/ns looks like a symbolic link. Which inode is the namespace's: the link's own, or
    #   that of what it leads to?
    # - A kernel can be built without time namespaces: then the entry "time" is missing, and the result has seven
    #   kinds. Any other missing entry means that there is no such process. Who must hear of that?
    # - The entries that end in "_for_children" are not about the process itself.
    raise Todo("1.2")
