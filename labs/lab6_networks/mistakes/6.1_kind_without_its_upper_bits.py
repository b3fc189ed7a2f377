"""The bit that says that an attribute is nested is masked out."""

from __future__ import annotations

import struct

HINT = "attribute("


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", len(value) + 4, kind & 0x3FFF) + value + bytes(padding)
