"""The value is filled up with blanks."""

from __future__ import annotations

import struct

HINT = "zero bytes are asked for"


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", len(value) + 4, kind) + value + b" " * padding
