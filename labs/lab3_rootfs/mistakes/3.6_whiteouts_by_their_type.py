"""Only a regular file is taken for a whiteout; the name alone says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import attributes, layer, tar, whiteout

if TYPE_CHECKING:
    from pyctr_lite.rootfs.tree import Tree

HINT = "does something else with you"


def apply_entry(tree: Tree, reader: tar.TarReader, entry: tar.Entry, path: bytes) -> None:
    parent, _, name = path.rpartition(b"/")
    if path == b"":
        if entry.type != tar.DIRECTORY:
            raise BrokenArchive(f"{entry}: the root is no directory")
        attributes.set_on_name(tree.root, b".", entry)
        return
    if name == whiteout.OPAQUE_NAME:
        if entry.type == tar.REGULAR:
            whiteout.make_opaque(tree.directory(parent))
        return
    if name.startswith(whiteout.METADATA_PREFIX):
        return
    if name.startswith(whiteout.PREFIX) and entry.type == tar.REGULAR:
        whiteout.make(tree.directory(parent), whiteout.hidden_name(name))
        return
    try:
        layer.make_inode(tree, tree.directory(parent), name, reader, entry)
    except FileExistsError:
        hidden = tree.remove(tree.directory(parent), name)
        layer.make_inode(tree, tree.directory(parent), name, reader, entry)
        if hidden:
            whiteout.make(tree.directory(parent), name)
