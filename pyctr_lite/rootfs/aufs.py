"""Bookkeeping files of aufs in old layers (Docker on aufs, until 2019): top-level names that begin with .wh..wh.

aufs kept each file with several names as `/.wh..wh.plnk/<inode>.<inode>` (a "pseudo-link"). The names in the image
are hard links to it, so that pseudo-links are needed until the layer is unpacked; they are not part of the image.
"""

from __future__ import annotations

import os

from pyctr_lite.rootfs import whiteout

PSEUDO_LINKS = b".wh..wh.plnk"
"""The directory in the layer's root. Only `pseudo_link` returns paths in it: `layer.clean` refuses the name."""


def is_bookkeeping(name: bytes) -> bool:
    """Return whether an archive entry is aufs's bookkeeping: neither a file of the image nor a whiteout."""
    if whiteout.METADATA_PREFIX not in name:
        return False
    first, slash, _ = _normal(name).partition(b"/")
    return first.startswith(whiteout.METADATA_PREFIX) and (bool(slash) or first != whiteout.OPAQUE_NAME)


def pseudo_link(name: bytes) -> bytes:
    """Return the path of a pseudo-link in the layer, or "" for any other name."""
    path = _normal(name)
    return PSEUDO_LINKS + b"/" + path.rpartition(b"/")[2] if path.startswith(PSEUDO_LINKS + b"/") else b""


def _normal(name: bytes) -> bytes:
    return os.path.normpath(name.lstrip(b"/"))
