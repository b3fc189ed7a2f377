"""The function calls itself for each part: a long name ends in a RecursionError."""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import whiteout

HINT = "What bounds yours?"


def clean(name: bytes) -> bytes:
    parent, slash, part = name.rpartition(b"/")
    before = clean(parent) if slash else b""
    if part in (b"", b"."):
        return before
    if part == b"..":
        if not before:
            raise BrokenArchive(f"{name!r} leads out")
        return before.rpartition(b"/")[0]
    if before.rpartition(b"/")[2].startswith(whiteout.PREFIX):
        raise BrokenArchive(f"{name!r} is below a whiteout")
    return before + b"/" + part if before else part
