"""A length that does not fit into 16 bits is cut without an error."""

from __future__ import annotations

import struct

HINT = "what would the kernel read as the next attribute?"


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", (len(value) + 4) & 0xFFFF, kind) + value + bytes(padding)
