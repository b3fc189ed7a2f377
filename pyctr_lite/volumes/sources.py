"""The source of a bind mount: opened once for each start, and from then on used by its descriptor only.

A path that the user gave (`-v /srv:/x`) is followed as the user sees it. A part of a volume (`volume-subpath`) is
not: containers that hold the volume can put a link in its place at any time. So the part is never kept as a path;
it is resolved again for each start, beneath the volume's own directory, which no container can replace, and with
openat2(2) RESOLVE_BENEATH: links inside the volume work, any that leads out is refused. Since a descriptor is
what is looked at and what is mounted, nothing can be swapped between the two (CVE-2017-1002101, CVE-2021-25741).
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument, NotFound


def origin(source: str, subpath: str, volumes: str) -> tuple[str, str]:
    """Split a mount's source into the directory that it is resolved in and the path below that, or "".

    `volumes` is the store's directory: a source that is written as a path into a volume is a part of it too.
    """
    if not subpath and source.startswith(volumes + "/"):
        name, data, below = [*source[len(volumes) + 1 :].split("/", 2), "", ""][:3]
        if data == "_data" and below:
            return f"{volumes}/{name}/_data", below
    return source, subpath


def open_source(path: str, below: str = "") -> int:
    """Open what a bind shows, as a place only (O_PATH): `path`, or what is `below` that directory and not outside.

    Raises FileNotFoundError or, of a part, NotFound if it is missing, InvalidArgument if a link leads out of the
    directory.
    """
    if not below:
        return os.open(path, linux.O_PATH | os.O_CLOEXEC)
    with linux.closing(os.open(path, linux.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as directory:
        try:
            resolve = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_MAGICLINKS
            return linux.openat2(directory, below, linux.O_PATH, 0, resolve)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.ELOOP):
                raise InvalidArgument(
                    f"cannot access path {below} of {path}: it leads out of the volume",
                    "a link in the volume points elsewhere: a container may have put it there",
                ) from None
            raise NotFound(f"cannot access path {below} of {path}: {os.strerror(error.errno or 0)}") from None
