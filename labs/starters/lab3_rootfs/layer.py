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

    `..` removes the part before it, whatever that is: `.wh.x/../a` is `a`.
    Raises BrokenArchive, with the name in its text, if the name leads above the root, or below the name of a
    whiteout.
    """
    # Names are bytes: not every name is UTF-8, and all bytes but the slash may be part of one.
    # - Write down first what these are to become: ./etc//passwd  /  a/..  a/../b  a/../../b  .wh.a  .wh.a/b
    # - `..` takes back what is before it. What if there is nothing to take back? That is no slip of a careful
    #   packer: raise BrokenArchive, and name the entry, as an archive has thousands.
    # - A whiteout has nothing below it. Its name begins with `whiteout.PREFIX` (b".wh."). Which parts may begin
    #   with that, and at which moment do you know which parts there are?
    raise Todo("3.4")


def apply_entry(tree: Tree, reader: tar.TarReader, entry: tar.Entry, path: bytes) -> None:
    """Apply one entry: create an inode, or hide files of the layers below.

    `path` is the cleaned name of the entry. If two entries have the same name, the later one wins; if it replaces
    a whiteout, the files that the whiteout hid stay hidden. Two directories of the same name are one, with the
    attributes of the later entry; the root, too, only gets the attributes of its entry.
    `.wh.<name>` hides a name, `.wh..wh..opq` all names in its directory, of the layers below. Any other name that
    begins with `.wh..wh.` is bookkeeping of aufs, a union file system before overlayfs, and is skipped.
    Raises BrokenArchive if the root is not a directory, or if a whiteout points outside its directory.
    """
    # `tree` is the directory that is filled. It has
    #   tree.root                      the root's own descriptor
    #   tree.directory(path)           a descriptor of a directory in it, made if missing; the tree keeps it open,
    #                                  and closes it when it removes a directory
    #   tree.remove(dirfd, name)       removes what is there; True if that was a whiteout
    # Of the modules: `attributes.set_on_name(dirfd, name, entry)`, `layer.make_inode(tree, dirfd, name, reader,
    # entry)`, `whiteout.make`, `whiteout.make_opaque(dirfd)`, `whiteout.hidden_name(name)`.
    # - Five kinds of entries: the root, which is there already (b"." in itself); `whiteout.OPAQUE_NAME`; names
    #   with `whiteout.METADATA_PREFIX`, which are aufs's; names with `whiteout.PREFIX`; and all others. Three of
    #   the names begin alike: which question comes first?
    # - make_inode makes one thing, and fails with FileExistsError if the name is taken, except by a directory for
    #   a directory. The later entry wins. What must you know of what was there, and how old may a descriptor be?
    # - What replaces a whiteout goes on hiding what the whiteout hid: itself alone, not its neighbours.
    # - Only a name that is taken is no error.
    raise Todo("3.6")
