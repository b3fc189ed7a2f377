"""What a file holds besides its name: where its data lie between the holes, and its extended attributes.

In a layer the holes of sparse files are written as zeros: pax has a form for them, but what Docker and podman use
to write a layer again byte by byte does not keep it, and the digest would be another. They cost no reading.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_XATTRS = 1 << 18


def next_data(fd: int, position: int, size: int) -> tuple[int, int]:
    """Where a file's next data begin and end; `(size, size)` where only a hole is left (lseek(2))."""
    try:
        start = os.lseek(fd, position, os.SEEK_DATA)
        return min(start, size), min(os.lseek(fd, start, os.SEEK_HOLE), size)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size, size


def data_pieces(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """The (offset, length) of each piece of data in a file: what lies between them are holes."""
    position = 0
    while position < size:
        start, end = next_data(fd, position, size)
        if start < end:
            yield start, end - start
        position = max(end, position + 1)


def read_xattrs(file: int | str) -> dict[str, bytes]:
    """The extended attributes that belong into a layer: not overlayfs's own, nor the host's SELinux label.

    Raises InvalidArgument if they are too large for the header of an archive.
    """
    try:
        names = os.listxattr(file)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return {}
    found = {}
    total = 0
    for name in names:
        if name.startswith(whiteout.OVERLAY_XATTRS) or name == "security.selinux":
            continue
        try:
            found[name] = os.getxattr(file, name)
        except OSError as error:
            if error.errno != errno.ENODATA:  # removed meanwhile
                raise
            continue
        total += len(name) + len(found[name])
        if total > _MOST_XATTRS:
            raise InvalidArgument(f"extended attributes of more than {_MOST_XATTRS} bytes fit into no archive")
    return found
