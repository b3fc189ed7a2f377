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
    # 1. Begin with a word that has no bit set.
    # 2. For each name, look up its kind. An unknown name is an error of whoever called: let the KeyError go
    #    out. Who asked for a wall must not get a container without it.
    # 3. Set the kind's bit in the word. A name that comes twice is set once: which operator does that?
    raise Todo("1.1")


def identify(pid: int | str = "self") -> dict[str, int]:
    """Return the inode number of each namespace of a process. Processes in the same namespace get equal numbers.

    Raises FileNotFoundError if there is no such process. Source: namespaces(7).
    """
    # 1. For each of the eight kinds there is an entry /proc/<pid>/ns/<kind.proc>. It looks like a symbolic
    #    link, and what it leads to is the namespace. Whose inode number is wanted: the link's, or that of what
    #    it leads to? (`os.stat` follows links, `os.lstat` does not.)
    # 2. The answer maps `kind.proc` to that number.
    # 3. A kernel can be built without time namespaces. Then the entry "time" is missing, and it is left out
    #    of the answer. Any other entry that is missing means that there is no such process: let the
    #    FileNotFoundError go out.
    raise Todo("1.2")
