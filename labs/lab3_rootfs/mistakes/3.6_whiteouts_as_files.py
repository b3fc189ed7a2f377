"""Whiteouts are unpacked as the files they are in the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import attributes, layer, tar, whiteout

if TYPE_CHECKING:
    from pyctr_lite.rootfs.tree import Tree

HINT = "What does the name say?"


def apply_entry(tree: Tree, reader: tar.TarReader, entry: tar.Entry, path: bytes) -> None:
    parent, _, name = path.rpartition(b"/")
    if not path:
        if entry.type != tar.DIRECTORY:
            raise BrokenArchive(f"{entry} is no directory")
        attributes.set_on_name(tree.root, b".", entry)
        return
    try:
        layer.make_inode(tree, tree.directory(parent), name, reader, entry)
    except FileExistsError:
        hidden = tree.remove(tree.directory(parent), name)
        layer.make_inode(tree, tree.directory(parent), name, reader, entry)
        if hidden:
            whiteout.make(tree.directory(parent), name)
