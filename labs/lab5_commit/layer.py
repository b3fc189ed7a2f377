"""An upper directory as the next layer: the same tree gives the same bytes (exercises 5.3 to 5.5)."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

# These functions are methods of the runtime's LayerWriter: `self` is the layer in the making. It has
#   self.stream.write(data)                       the tar stream, hashed as it is written
#   self.latest                                   no time may be later than this (seconds); None: no limit
#   self.add_entry(directory, name, prefix)       adds one inode, whatever it is


def add_whiteout(self: LayerWriter, prefix: bytes, name: bytes) -> None:
    """Add an empty file `.wh.<name>`, which marks `name` as deleted in the directory with the path `prefix`.

    `prefix` ends with a slash, or is empty for the top. The marker's mode is 0600; its owner, group and time
    are 0: overlayfs uses one inode for many whiteouts, with the time of the first.
    Source: OCI image-spec layer.md, section Whiteouts.
    """
    # - A layer has no devices 0:0: other engines would not know what they mean. What does image-spec have
    #   instead, under which name, and in which directory? All names are bytes, `whiteout.PREFIX` is, too.
    # - `header.entry_header(path, type, mode=…)` returns the bytes of an entry without data. The types are
    #   header.REGULAR, header.DIRECTORY and so on; what you do not give is 0.
    # - Bytes belong to the archive when they are written to its stream.
    raise Todo("5.3")


def add_entries(self: LayerWriter, directory: int, prefix: bytes) -> None:
    """Add the entries of an open directory, sorted by the bytes of their names; `prefix` is its path.

    `prefix` ends with a slash, or is empty for the top. An entry that was deleted meanwhile is left out; any
    other error is raised.
    """
    # - `os.listdir` takes a descriptor as well as a path. Its order is the file system's, and another one on the
    #   next machine. Which order is the same everywhere? Mind that a name in an archive is bytes (`os.fsencode`),
    #   and that text is sorted differently.
    # - `self.add_entry` adds an entry of any kind.
    # - The container may be running: what if a name is gone by now? And if it is there, but cannot be read: who
    #   should hear of it?
    raise Todo("5.4")


def add_header(
    self: LayerWriter,
    path: bytes,
    type: bytes,
    status: os.stat_result,
    *,
    size: int = 0,
    linkname: bytes = b"",
    device: tuple[int, int] = (0, 0),
    xattrs: dict[str, bytes] | None = None,
) -> None:
    """Write the header of an inode: permissions, owner and time are those of `status`, the rest is as given.

    The time is in whole seconds, rounded down. No time is later than `self.latest`, unless that is None.
    """
    # - `header.entry_header(path, type, mode=…, uid=…, gid=…, size=…, mtime=…, linkname=…, device=…, xattrs=…)`
    #   returns the bytes, and `self.stream` takes them. Which of the values are your arguments, which come from
    #   `status`?
    # - `status.st_mode` is more than permissions. Which of its bits belong in a header, and which do not?
    # - A time has a fraction, and may lie before 1970. Which member of `status` is exact, and which way is down?
    # - `self.latest` is None if there is no limit. Is 0 a limit?
    raise Todo("5.5")
