"""A file below a whiteout is taken."""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive

HINT = "can a whiteout have something below it?"


def clean(name: bytes) -> bytes:
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise BrokenArchive(f"{name!r} leads out")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)
