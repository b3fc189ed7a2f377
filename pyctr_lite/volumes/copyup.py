"""The initial content of a tmpfs with the option `tmpcopyup`: a copy of the directory that it covers.

The directory belongs to the image, which is not trusted, and another container may change it meanwhile. It is
therefore read by descriptors only, without following links. The tmpfs is new, and no process inside can reach it.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.rootfs import walk
from pyctr_lite.volumes import fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def copy_up(source: int, mounted: int) -> None:
    """Copy the contents of a directory into the root of a new tmpfs, and its attributes. Both may be O_PATH.

    Owners, modes, times, xattrs, links and holes are kept. In a user namespace devices are left out.
    Fails with ENOSPC if the tmpfs is too small.
    """
    with (
        linux.closing(os.open(".", walk.DIRECTORY, dir_fd=source)) as top,
        linux.closing(os.open(".", walk.DIRECTORY, dir_fd=mounted)) as root,
    ):
        names, links = os.listdir(top), ".links"
        while links in names:
            links += "_"
        try:
            os.mkdir(links, 0o700, dir_fd=root)
            with linux.closing(os.open(links, walk.DIRECTORY, dir_fd=root)) as links_fd:
                _copy(os.dup(top), root, links_fd)
            walk.remove_tree(links, root)
            fill.copy_attributes(top, root)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise OSError(errno.ENOSPC, "tmpcopyup: the tmpfs is too small for the image's files") from None
            raise


def _copy(source: int, root: int, links: int) -> None:
    """Copy a tree. `source` is closed; the way back up leads through descriptors (`walk.Cursor`)."""
    copier = fill.Copier(links, lenient=True)
    copy = os.dup(root)

    def enter(cursor: walk.Cursor) -> Iterator[str]:
        nonlocal copy
        for name in copier.copy_files(cursor.fd, copy):
            os.mkdir(name, 0o700, dir_fd=copy)
            above, copy = copy, os.open(name, walk.DIRECTORY, dir_fd=copy)
            os.close(above)
            yield name
            above = os.open("..", walk.DIRECTORY, dir_fd=copy)
            os.close(copy)
            copy = above
        fill.copy_attributes(cursor.fd, copy)

    try:
        walk.visit(source, enter)
    finally:
        os.close(copy)
