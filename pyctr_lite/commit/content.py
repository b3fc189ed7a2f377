"""The content of a file for an archive: its pieces of data between holes, and its extended attributes.

A layer has zeros for the holes of sparse files. pax has a format for holes, but the library with which Docker and
podman reproduce a layer byte by byte does not keep it, so the digest would change. Holes are not read.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_XATTRS = 1 << 18


def next_data(fd: int, position: int, size: int) -> tuple[int, int]:
    """Return the start and end of a file's next data, or `(size, size)` if the rest is a hole (lseek(2))."""
    try:
        start = os.lseek(fd, position, os.SEEK_DATA)
        return min(start, size), min(os.lseek(fd, start, os.SEEK_HOLE), size)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size, size


def data_pieces(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the (offset, length) of each piece of data in a file; the gaps between them are holes."""
    position = 0
    while position < size:
        start, end = next_data(fd, position, size)
        if start < end:
            yield start, end - start
        position = max(end, position + 1)


def read_xattrs(file: int | str) -> dict[str, bytes]:
    """Read the extended attributes for a layer: without those of overlayfs and the host's SELinux label.

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
        if total > _MAX_XATTRS:
            raise InvalidArgument(f"extended attributes of more than {_MAX_XATTRS} bytes do not fit in an archive")
    return found
