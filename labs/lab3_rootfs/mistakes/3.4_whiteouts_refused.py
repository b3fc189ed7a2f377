"""The prefix is looked for in the last part as well: no image with a deletion can be read."""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import whiteout

HINT = "which of its parts may have the prefix?"


def clean(name: bytes) -> bytes:
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise BrokenArchive(f"{name!r} leads out")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    if any(part.startswith(whiteout.PREFIX) for part in parts):
        raise BrokenArchive(f"{name!r} is a whiteout")
    return b"/".join(parts)
