"""The zero bytes are put before the value."""

from __future__ import annotations

import struct

HINT = "and not the value"


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", len(value) + 4, kind) + bytes(padding) + value
