"""os.path.normpath: what leads above the root is quietly put into it, or kept."""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import whiteout

HINT = "What has this archive in mind?"


def clean(name: bytes) -> bytes:
    import os

    cleaned = os.path.normpath(b"/" + name).strip(b"/")
    if any(part.startswith(whiteout.PREFIX) for part in cleaned.split(b"/")[:-1]):
        raise BrokenArchive(f"{name!r} is below a whiteout")
    return cleaned
