"""The prefix is looked for before `..` is taken back."""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import whiteout

HINT = "takes the whiteout's name back"


def clean(name: bytes) -> bytes:
    parts: list[bytes] = []
    names = [part for part in name.split(b"/") if part not in (b"", b".")]
    if any(part.startswith(whiteout.PREFIX) for part in names[:-1]):
        raise BrokenArchive(f"{name!r} is below a whiteout")
    for part in names:
        if part != b"..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise BrokenArchive(f"{name!r} leads out")
    return b"/".join(parts)
