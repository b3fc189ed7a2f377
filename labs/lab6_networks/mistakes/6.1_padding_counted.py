"""The length includes the zero bytes at the end, so a name gets longer by them."""

from __future__ import annotations

import struct

HINT = "Are the zero bytes at the end counted?"


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", len(value) + padding + 4, kind) + value + bytes(padding)
