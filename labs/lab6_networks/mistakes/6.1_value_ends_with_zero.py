"""Every value gets a zero byte at its end, as a text does."""

from __future__ import annotations

import struct

HINT = "Are the zero bytes at the end counted?"


def attribute(kind: int, value: bytes) -> bytes:
    value += b"\0"
    padding = -len(value) % 4
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(padding)
