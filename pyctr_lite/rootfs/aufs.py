"""aufs's own files in old layers (docker on aufs, until 2019): names at the top that begin with `.wh..wh.`.

aufs kept a file with several names in `/.wh..wh.plnk/<inode>.<inode>` ("pseudo-links"), and the entries that it
stood for are hard links to that. So those files are needed until the layer is unpacked; no image has them in it.
"""

from __future__ import annotations

import os

from pyctr_lite.rootfs import whiteout

PSEUDO_LINKS = b".wh..wh.plnk"
"""The directory, in the layer's root. Nothing but `pseudo_link` leads there: `layer.clean` refuses the name."""


def is_bookkeeping(name: bytes) -> bool:
    """Whether an entry of an archive is aufs's own: not a file of the image, nor a whiteout."""
    if whiteout.METADATA_PREFIX not in name:
        return False
    first, slash, _ = _normal(name).partition(b"/")
    return first.startswith(whiteout.METADATA_PREFIX) and (bool(slash) or first != whiteout.OPAQUE_NAME)


def pseudo_link(name: bytes) -> bytes:
    """The path in the layer at which a pseudo-link is kept, "" for any other name."""
    path = _normal(name)
    return PSEUDO_LINKS + b"/" + path.rpartition(b"/")[2] if path.startswith(PSEUDO_LINKS + b"/") else b""


def _normal(name: bytes) -> bytes:
    return os.path.normpath(name.lstrip(b"/"))
