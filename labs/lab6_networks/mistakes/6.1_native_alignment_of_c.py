"""Length and kind have 32 bits each, as a C compiler's int."""

from __future__ import annotations

import struct

HINT = "What is between them?"


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HHI", len(value) + 4, kind, 0) + value + bytes(padding)
