"""The upper bits of the kind are cut off: it becomes another kind."""

from __future__ import annotations

import struct

HINT = "A kind of 16 bits cannot be 65536"


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", len(value) + 4, kind & 0xFFFF) + value + bytes(padding)
