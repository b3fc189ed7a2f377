"""The error does not say which name it is about."""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import whiteout

HINT = "which of an archive's thousand entries is it?"


def clean(name: bytes) -> bytes:
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise BrokenArchive("a name leads above the root")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    if any(part.startswith(whiteout.PREFIX) for part in parts[:-1]):
        raise BrokenArchive("a name is below a whiteout")
    return b"/".join(parts)
