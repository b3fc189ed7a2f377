"""The source of a bind mount, opened once per start and then used only by descriptor.

A path from the user (`-v /srv:/x`) is followed with its links. A part of a volume (`volume-subpath`) is not:
containers that use the volume can put a link there at any time. The part is therefore resolved again for each
start, beneath the volume's own directory, which no container can replace, with openat2(2) RESOLVE_BENEATH: links
inside the volume work, links that lead out of it are refused. The same descriptor is checked and mounted, so that
nothing can be swapped in between (CVE-2017-1002101, CVE-2021-25741).
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument, NotFound


def origin(source: str, subpath: str, volumes: str) -> tuple[str, str]:
    """Split a mount's source into the directory to resolve it in and the path below that, or "".

    `volumes` is the directory of the store: a host path that leads into a volume is also a part of that volume.
    """
    if not subpath and source.startswith(volumes + "/"):
        name, data, below = [*source[len(volumes) + 1 :].split("/", 2), "", ""][:3]
        if data == "_data" and below:
            return f"{volumes}/{name}/_data", below
    return source, subpath


def open_source(path: str, below: str = "") -> int:
    """Open the source of a bind mount with O_PATH: `path`, or the path `below` resolved inside that directory.

    Raises FileNotFoundError if `path` is missing, NotFound if `below` is missing in it, and InvalidArgument if a
    link leads out of the directory.
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
                    "a link in the volume points outside; a container may have created it",
                ) from None
            raise NotFound(f"cannot access path {below} of {path}: {os.strerror(error.errno or 0)}") from None
