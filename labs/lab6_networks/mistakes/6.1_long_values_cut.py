"""A long value is cut, and its length is not."""

from __future__ import annotations

import struct

HINT = "the longest value"


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", len(value) + 4, kind) + value[:4096] + bytes(padding)
