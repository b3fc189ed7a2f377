"""A zero byte at the end of a name is cut off: two names become one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import attributes, layer, tar, whiteout

if TYPE_CHECKING:
    from pyctr_lite.rootfs.tree import Tree

HINT = "Which of its bytes do you look at?"


def clean(name: bytes) -> bytes:
    kept = []
    for part in name.rstrip(b"\0").split(b"/"):
        if part in (b"", b"."):
            continue
        if part != b"..":
            kept.append(part)
        elif kept:
            del kept[-1]
        else:
            raise BrokenArchive(f"{name!r} leads above the root")
    for part in kept[:-1]:
        if part.startswith(whiteout.PREFIX):
            raise BrokenArchive(f"{name!r}: a whiteout has nothing below it")
    return b"/".join(kept)
