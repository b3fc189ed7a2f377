"""Length and kind have the high byte first, as on the wire."""

from __future__ import annotations

import struct

HINT = "the high byte first"


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack(">HH", len(value) + 4, kind) + value + bytes(padding)
