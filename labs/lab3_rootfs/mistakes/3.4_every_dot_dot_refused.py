"""Every `..` is an error, also where it stays inside."""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import whiteout

HINT = "Is every `..` an attack?"


def clean(name: bytes) -> bytes:
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise BrokenArchive(f"{name!r} has a .. in it")
    if any(part.startswith(whiteout.PREFIX) for part in parts[:-1]):
        raise BrokenArchive(f"{name!r} is below a whiteout")
    return b"/".join(parts)
