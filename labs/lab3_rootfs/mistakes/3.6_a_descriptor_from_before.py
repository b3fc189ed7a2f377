"""The directory is asked for once: its descriptor is closed when something in it is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import attributes, layer, tar, whiteout

if TYPE_CHECKING:
    from pyctr_lite.rootfs.tree import Tree

HINT = "How old is the one of `sub` that you use then?"


def apply_entry(tree: Tree, reader: tar.TarReader, entry: tar.Entry, path: bytes) -> None:
    parent, _, name = path.rpartition(b"/")
    if not path:
        if entry.type != tar.DIRECTORY:
            raise BrokenArchive(f"{entry} is no directory")
        attributes.set_on_name(tree.root, b".", entry)
        return
    if name == whiteout.OPAQUE_NAME:
        whiteout.make_opaque(tree.directory(parent))
        return
    if name.startswith(whiteout.METADATA_PREFIX):
        return
    if name.startswith(whiteout.PREFIX):
        whiteout.make(tree.directory(parent), whiteout.hidden_name(name))
        return
    directory = tree.directory(parent)
    try:
        layer.make_inode(tree, directory, name, reader, entry)
    except FileExistsError:
        hidden = tree.remove(directory, name)
        layer.make_inode(tree, directory, name, reader, entry)
        if hidden:
            whiteout.make(directory, name)
