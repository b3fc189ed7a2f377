"""A COPY that replaces what is there, and follows no link (exercise 7.5)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.commit import content
from pyctr_lite.engine.build import copier
from pyctr_lite.errors import InvalidArgument

if TYPE_CHECKING:
    from pyctr_lite.build.tree import Entry
    from pyctr_lite.engine.build.copier import Copier

# This function is a method of the engine's Copier: `self` has
#   self.directory                           the descriptor of the directory to copy into
#   self.path                                the path of that directory in the image, for messages
#   self.set_attributes(fd, status, xattrs)  sets owner, mode, extended attributes and time of a copy
# entry.open() opens the source for reading and returns a descriptor, entry.status is its os.stat_result;
# copier.copy_content(source, fd) copies from descriptor to descriptor; content.read_xattrs(source) are the
# extended attributes.


def copy_file(self: Copier, entry: Entry, name: str) -> None:
    """Copy a regular file into the directory `self.directory`, as `name`.

    The copy is a new file. It replaces whatever has the name, as BuildKit does: another file, a device, a
    link, also one that leads to a directory. What is replaced is neither followed nor written to, and its
    other names keep it. The copy is made with mode 0600: only its owner can open it before its attributes
    are set.
    Content and holes come from the source (`copy_content`), and so do the attributes: its status and its
    extended attributes are given to `self.set_attributes`. `entry.open()` opens the source.
    Raises InvalidArgument ("cannot replace directory PATH/NAME with a file") if a directory has the name. It
    stays as it is. If the source cannot be opened, nothing is replaced.
    Source: openat(2), O_EXCL and O_NOFOLLOW; unlinkat(2); BuildKit, fsutil/copy.
    """
    # 1. The image below is not trusted. It has a link with the name that you are about to write: to /etc/passwd,
    #    to ../../.., to a directory, to nothing. Whose file do you write to if you open that name?
    # 2. The name may be that of a file that other names share (a hard link), of a device, of a fifo. What happens
    #    to them if you open it with O_TRUNC, and what if you take the name away first?
    # 3. Look at openat(2): which flags make a new file or nothing, and relative to what is a name with `dir_fd`?
    # 4. unlinkat(2) says EISDIR of a directory. A whole directory is not replaced by a file: who has to hear that,
    #    in which words, and what must still be there?
    # 5. What is the mode of the new file at the moment at which it gets its name? Who closes the two descriptors
    #    if a step fails?
    raise Todo("7.5")
