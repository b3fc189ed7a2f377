"""A layer's archive: its names, and what each entry does (exercises 3.4 and 3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import attributes, layer, tar, whiteout

if TYPE_CHECKING:
    from pyctr_lite.rootfs.tree import Tree


def clean(name: bytes) -> bytes:
    """Return an archive's name without `.`, `..` and superfluous slashes; the root itself is b"".

    Raises BrokenArchive if the name leads above the root, or below the name of a whiteout.
    """
    # 1. Split the name at the slashes, and go through its parts, keeping those that count.
    # 2. An empty part (of `//`, or of a slash at either end) and `.` say nothing.
    # 3. `..` takes back the part before it. Where there is none, the name leads above the root: that is no
    #    slip of a careful packer. `raise BrokenArchive(…)` with the name in it.
    # 4. Only the last part may begin with `whiteout.PREFIX` (it is bytes): a whiteout has nothing below it.
    # 5. Join what is left.
    raise Todo("3.4")


def apply_entry(tree: Tree, reader: tar.TarReader, entry: tar.Entry, path: bytes) -> None:
    """Apply one entry: create an inode, or hide files of the layers below.

    `path` is the cleaned name of the entry. If two entries have the same name, the later one wins; if it replaces
    a whiteout, the files that the whiteout hid stay hidden. Bookkeeping of aufs is skipped.
    Raises BrokenArchive if the root is not a directory, or if a whiteout points outside its directory.
    """
    # `tree` is the directory that is filled. It has
    #   tree.root                      its own descriptor
    #   tree.directory(path)           a descriptor of a directory in it, made where missing: leave it open
    #   tree.remove(dirfd, name)       removes what is there; True where that was a whiteout
    # 1. Take the path apart: the directory (`parent`) and the `name` in it. `parent` may be empty: the root.
    # 2. An empty path is the root itself, which is there already: it must be a directory (`entry.type`,
    #    `tar.DIRECTORY`), and gets its attributes by `attributes.set_on_name(tree.root, b".", entry)`.
    # 3. Four kinds of names are left. Which order tells them apart, as three of them begin alike?
    #      whiteout.OPAQUE_NAME       .wh..wh..opq  `whiteout.make_opaque(dirfd)`
    #      whiteout.METADATA_PREFIX   .wh..wh.…     aufs's own: no content
    #      whiteout.PREFIX            .wh.…         `whiteout.make(dirfd, whiteout.hidden_name(name))`
    #      any other                                `layer.make_inode(tree, dirfd, name, reader, entry)`
    # 4. make_inode fails with FileExistsError where the name is taken. Remove what is there, and make it again.
    #    Ask `tree.directory(parent)` anew after that: descriptors do not outlive a removal.
    # 5. Was it a whiteout that you removed? Then it is to hide what it hid: `whiteout.make` again, on the new
    #    inode.
    raise Todo("3.6")
