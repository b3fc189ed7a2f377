"""The kind stands before the length."""

from __future__ import annotations

import struct

HINT = "the kind stands where the length should be"


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", kind, len(value) + 4) + value + bytes(padding)
