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

    Its time is 0: overlayfs uses one inode for many whiteouts, with the time of the first.
    Source: OCI image-spec layer.md, section Whiteouts.
    """
    # 1. The marker has the name of what is deleted with `whiteout.PREFIX` before it, and lies where that lay.
    #    `prefix` is the path of the directory, with a slash at its end (or empty).
    # 2. It is an empty regular file: `header.entry_header(path, header.REGULAR, mode=0o600)` gives its bytes.
    # 3. Write them to the stream. A layer of an image never holds the 0:0 device that overlayfs uses: other
    #    engines would not know what it means.
    raise Todo("5.3")


def add_entries(self: LayerWriter, directory: int, prefix: bytes) -> None:
    """Add the entries of a directory, sorted by the bytes of their names; `prefix` is its path."""
    # 1. `os.listdir(directory)` takes a descriptor. Its order is the file system's own, and another on the
    #    next machine: what order makes the bytes the same everywhere? Names in an archive are bytes
    #    (`os.fsencode`).
    # 2. Add each with `self.add_entry(…)`.
    # 3. In a container that runs a name can be gone by now (FileNotFoundError): that is no fault.
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
    """Write the header of an inode; no time is later than `self.latest`, unless that is None."""
    # 1. The header is `header.entry_header(path, type, mode=…, uid=…, gid=…, size=…, mtime=…, linkname=…,
    #    device=…, xattrs=…)`. `status.st_mode` holds the kind of file as well: the header wants the
    #    permission bits alone (`stat.S_IMODE`).
    # 2. A tar's times are whole seconds: round down, `status.st_mtime_ns` is in nanoseconds.
    # 3. Where `self.latest` is set, no time is later than that.
    # 4. Write it to the stream.
    raise Todo("5.5")
